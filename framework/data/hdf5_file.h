// The door to HDF5 (serial driver): flat arrays by path in one file. One process-wide lock inside, so any thread may call.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/buffer.h"

namespace throng::data {
namespace hdf5 {
class DirectReads;
}

enum class ArrayType { kUInt8, kInt32, kUInt32, kInt64, kFloat32, kFloat64 };
size_t array_value_bytes(ArrayType type);

/// An open HDF5 file. Paths are "/a/b"; groups are made as needed. Every failure is a system error (writing) or a data
/// error (reading) that names file and path.
class Hdf5File {
 public:
  static Hdf5File create(const std::filesystem::path& path);
  static Hdf5File open(const std::filesystem::path& path);
  Hdf5File(Hdf5File&&) noexcept;
  Hdf5File& operator=(Hdf5File&&) noexcept;
  ~Hdf5File();

  /// Makes an empty one-dimensional dataset that grows, in chunks of so many values. Where it is packed, `append_chunk` extends it, else `append`.
  void make_growing(const std::string& path, ArrayType type, uint64_t chunk_values, bool packed = false);
  void append(const std::string& path, ArrayType type, const void* values, uint64_t count);
  /// Writes the chunk that begins at value `first` as `pack_chunk` made it; the dataset then ends at value `end`.
  void append_chunk(const std::string& path, uint64_t first, uint64_t end, std::span<const std::byte> packed);
  /// Writes a whole array of the given shape; contiguous.
  void write(const std::string& path, ArrayType type, const void* values, const std::vector<uint64_t>& shape);
  /// Makes a contiguous one-dimensional dataset of so many values, which `write_part` then fills in any order.
  void make(const std::string& path, ArrayType type, uint64_t count);
  void write_part(const std::string& path, ArrayType type, uint64_t first, uint64_t count, const void* values);
  void set_attribute(const std::string& path, const std::string& name, const std::string& value);
  /// Flushes and closes; throws where the disk is full. The destructor closes silently.
  void close();

  bool has(const std::string& path) const;
  std::vector<uint64_t> shape(const std::string& path) const;
  /// The type values are stored as: a float type, or kInt64 for any whole numbers but bytes.
  ArrayType stored_type(const std::string& path) const;
  std::string attribute(const std::string& path, const std::string& name) const;
  /// Reads `count` values from `first` of a one-dimensional dataset, converted to `type`. Where it is stored as it is, without HDF5's lock.
  void read(const std::string& path, ArrayType type, uint64_t first, uint64_t count, void* into) const;
  /// Where the values of a contiguous dataset begin in the file, as they lie in memory. A data error where it is stored in another way, or as another type.
  uint64_t offset(const std::string& path, ArrayType type) const;
  /// Reads a whole dataset of any shape.
  void read_all(const std::string& path, ArrayType type, void* into) const;
  /// Paths of the datasets below a group, relative to it, sorted.
  std::vector<std::string> list(const std::string& group) const;

  /// A one-dimensional virtual dataset: the concatenation of `path` in each source file (file name relative to this
  /// file, length); sources without the dataset read as `fill`.
  struct Source {
    std::string file;
    uint64_t length;
    bool present;
  };
  void make_virtual(const std::string& path, ArrayType type, const std::vector<Source>& sources, int fill);

 private:
  explicit Hdf5File(std::filesystem::path path, int64_t id);
  std::filesystem::path path_;
  int64_t id_ = -1;
  std::shared_ptr<hdf5::DirectReads> direct_;  // of a file that is only read
};

}  // namespace throng::data
