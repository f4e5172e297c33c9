#include "framework/data/array_writer.h"

#include <algorithm>

#include "framework/data/pieces.h"

namespace throng::data {
namespace {
constexpr uint64_t kLeastChunkBytes = uint64_t{64} << 10;
}  // namespace

ArrayWriter::ArrayWriter(const std::filesystem::path& path) : file_(Hdf5File::create(path)), behind_(path) {}

void ArrayWriter::make(const std::string& path, ArrayType type) {
  Array& array = arrays_[path];
  array.type = type;
  if (laid_out_) lay_out(path, array);
}

void ArrayWriter::lay_out(const std::string& path, Array& array) {
  const uint64_t width = array_value_bytes(array.type);
  array.chunk = std::clamp<uint64_t>(array.held.size(), kLeastChunkBytes, kPieceBytes) / width;
  file_.make_growing(path, array.type, array.chunk);
  const Buffer held = std::exchange(array.held, {});
  append(path, held.data(), held.size() / width);
}

void ArrayWriter::append(const std::string& path, const void* values, uint64_t count) {
  if (count == 0) return;
  Array& array = arrays_.at(path);
  const uint64_t bytes = count * array_value_bytes(array.type);
  if (array.chunk == 0) {
    append_bytes(array.held, values, bytes);
    held_bytes_ += bytes;
  } else {
    file_.append(path, array.type, values, count);
    behind_.wrote(bytes);
  }
}

void ArrayWriter::end_piece() {
  if (!laid_out_ && held_bytes_ > kPieceBytes / 2) {
    laid_out_ = true;
    for (auto& [path, array] : arrays_) lay_out(path, array);
  }
}

void ArrayWriter::close() {
  for (auto& [path, array] : arrays_)
    if (array.chunk == 0) file_.write(path, array.type, array.held.data(), {array.held.size() / array_value_bytes(array.type)});
  file_.close();
}

}  // namespace throng::data
