// All weights of a model, which the memory of a rank need not hold.
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "framework/base/mapped_file.h"
#include "framework/data/hdf5_file.h"

namespace throng::train {

/// An array in memory, or in a file that is read as memory. Copies share it.
class Weights {
 public:
  Weights() = default;
  Weights(std::vector<float> values) : memory_(std::make_shared<std::vector<float>>(std::move(values))), values_(*memory_) {}
  /// Those that a WeightsFile has written. A data error where it has not so many.
  static Weights of(const std::filesystem::path& path, size_t count);
  /// Zeros; many of them in a file (MappedFile::scratch).
  static Weights scratch(size_t count);

  operator std::span<const float>() const { return values_; }
  const float* data() const { return values_.data(); }
  size_t size() const { return values_.size(); }
  bool empty() const { return values_.empty(); }
  const float* begin() const { return data(); }
  const float* end() const { return data() + size(); }
  float operator[](size_t i) const { return values_[i]; }
  /// Of `scratch`, or in memory: to be written before there are copies.
  std::span<float> change() { return values_; }
  bool operator==(const Weights& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

 private:
  Weights(MappedFile file) : file_(std::make_shared<MappedFile>(std::move(file))), values_(reinterpret_cast<float*>(file_->bytes().data()), file_->bytes().size() / sizeof(float)) {}
  std::shared_ptr<std::vector<float>> memory_;
  std::shared_ptr<MappedFile> file_;
  std::span<float> values_;
};

/// An HDF5 file /arrays/weights that is written in parts, beside `path`, and put there when all is written. A system error where the disk is full.
class WeightsFile {
 public:
  WeightsFile(std::filesystem::path path, size_t count);
  ~WeightsFile();
  void put(size_t at, std::span<const float> values);
  /// `epoch` is that whose weights they are, counted from 1.
  void finish(int64_t epoch);
  /// The epoch of a file; 0 where there is no file.
  static int64_t epoch_of(const std::filesystem::path& path);

 private:
  std::filesystem::path path_, temporary_;
  data::Hdf5File file_;
};

}  // namespace throng::train
