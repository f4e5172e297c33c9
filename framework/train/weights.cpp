#include "framework/train/weights.h"

#include <unistd.h>

#include "framework/base/error.h"
#include "framework/base/files.h"

namespace throng::train {
namespace {

constexpr const char *kWeights = "/arrays/weights", *kEpoch = "/arrays/epoch";
constexpr size_t kInMemory = size_t{1} << 24;  // numbers

std::filesystem::path beside(std::filesystem::path path) { return path += fmt::format(".tmp{}", ::getpid()); }

}  // namespace

Weights Weights::of(const std::filesystem::path& path, size_t count) {
  const auto file = data::Hdf5File::open(path);
  if (!file.has(kWeights) || file.shape(kWeights) != std::vector<uint64_t>{count}) throw data_error("{}: belongs to another model", path.string());
  if (count == 0) return {};
  return Weights(MappedFile::of(path, file.offset(kWeights, data::ArrayType::kFloat32), count * sizeof(float)));
}

Weights Weights::scratch(size_t count) {
  if (count <= kInMemory) return Weights(std::vector<float>(count));
  return Weights(MappedFile::scratch(count * sizeof(float)));
}

WeightsFile::WeightsFile(std::filesystem::path path, size_t count) : path_(std::move(path)), temporary_(beside(path_)), file_(data::Hdf5File::create(temporary_)) { file_.make(kWeights, data::ArrayType::kFloat32, count); }

WeightsFile::~WeightsFile() {
  std::error_code none;
  std::filesystem::remove(temporary_, none);
}

void WeightsFile::put(size_t at, std::span<const float> values) { file_.write_part(kWeights, data::ArrayType::kFloat32, at, values.size(), values.data()); }

void WeightsFile::finish(int64_t epoch) {
  file_.write(kEpoch, data::ArrayType::kInt64, &epoch, {1});
  file_.close();
  fsync_path(temporary_);
  std::error_code code;
  std::filesystem::rename(temporary_, path_, code);
  if (code) throw system_error("{}: cannot be written: {}", path_.string(), code.message());
}

int64_t WeightsFile::epoch_of(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return 0;
  int64_t epoch = 0;
  data::Hdf5File::open(path).read(kEpoch, data::ArrayType::kInt64, 0, 1, &epoch);
  return epoch;
}

}  // namespace throng::train
