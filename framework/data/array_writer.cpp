#include "framework/data/array_writer.h"

#include <algorithm>

#include "framework/base/thread_pool.h"
#include "framework/data/deflate.h"
#include "framework/data/pieces.h"

namespace throng::data {
namespace {
constexpr uint64_t kLeastChunkBytes = uint64_t{64} << 10;
constexpr uint64_t kLeastPackedBytes = uint64_t{4} << 10;  // an index of chunks takes 2 KiB
constexpr uint64_t kPackedAtOnce = uint64_t{4} << 20;
}  // namespace

ArrayWriter::ArrayWriter(const std::filesystem::path& path, const Storage& storage) : storage_(storage), file_(Hdf5File::create(path)), behind_(path) {}

void ArrayWriter::make(const std::string& path, ArrayType type) {
  Array& array = arrays_[path];
  array.type = type;
  if (laid_out_) lay_out(path, array);
}

void ArrayWriter::lay_out(const std::string& path, Array& array) {
  const bool packed = storage_.gzip_level > 0;
  const uint64_t width = array_value_bytes(array.type), bytes = packed ? array.held.size() / 4 : array.held.size();
  array.chunk = std::clamp(bytes, kLeastChunkBytes, kPieceBytes) / width;
  file_.make_growing(path, array.type, array.chunk, packed);
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
  } else if (storage_.gzip_level > 0) {
    append_bytes(array.held, values, bytes);
    cut_chunks(path, array, false);
  } else {
    file_.append(path, array.type, values, count);
    behind_.wrote(bytes);
  }
}

void ArrayWriter::cut_chunks(const std::string& path, Array& array, bool last) {
  const size_t width = array_value_bytes(array.type), chunk_bytes = array.chunk * width;
  size_t at = 0;
  for (size_t left = array.held.size(); left >= chunk_bytes || (last && left > 0); left = array.held.size() - at) {
    const size_t n = std::min(chunk_bytes, left);
    FullChunk chunk{path, array.type, array.written, array.written + n / width, {}};
    append_bytes(chunk.values, array.held.data() + at, n);
    const size_t filled = chunk.values.size();
    chunk.values.resize(chunk_bytes);
    std::fill(chunk.values.begin() + ptrdiff_t(filled), chunk.values.end(), std::byte{0});
    array.written = chunk.end;
    at += n;
    full_bytes_ += chunk_bytes;
    full_.push_back(std::move(chunk));
  }
  array.held.erase(array.held.begin(), array.held.begin() + ptrdiff_t(at));
}

void ArrayWriter::end_piece() {
  if (!laid_out_ && held_bytes_ > kPieceBytes / 2) {
    laid_out_ = true;
    for (auto& [path, array] : arrays_) lay_out(path, array);
  }
  const uint64_t threads = storage_.pool ? uint64_t(storage_.pool->num_threads()) : 1;
  if (full_bytes_ >= threads * kPackedAtOnce) write_chunks();
}

void ArrayWriter::write_chunks() {
  std::vector<Buffer> packed(full_.size());
  auto pack = [&](size_t i) {
    const Buffer values = std::exchange(full_[i].values, {});
    packed[i] = pack_chunk(values, packing_of(full_[i].type), array_value_bytes(full_[i].type), storage_.gzip_level);
  };
  if (storage_.pool) storage_.pool->parallel_for(full_.size(), pack);
  else
    for (size_t i = 0; i < full_.size(); ++i) pack(i);
  for (size_t i = 0; i < full_.size(); ++i) {
    file_.append_chunk(full_[i].path, full_[i].first, full_[i].end, packed[i]);
    behind_.wrote(packed[i].size());
  }
  full_.clear();
  full_bytes_ = 0;
}

void ArrayWriter::close() {
  for (auto& [path, array] : arrays_) {
    const uint64_t held = array.held.size() / array_value_bytes(array.type);
    if (array.chunk == 0 && (storage_.gzip_level == 0 || array.held.size() < kLeastPackedBytes)) {
      file_.write(path, array.type, array.held.data(), {held});
      continue;
    }
    if (array.chunk == 0) {  // little: one chunk
      array.chunk = held;
      file_.make_growing(path, array.type, held, true);
    }
    cut_chunks(path, array, true);
  }
  write_chunks();
  file_.close();
}

}  // namespace throng::data
