#include "framework/data/deflate.h"

#include <libdeflate.h>

#include <map>
#include <memory>

#include "framework/base/error.h"

namespace throng::data {
namespace {

struct Free {
  void operator()(libdeflate_compressor* c) const { libdeflate_free_compressor(c); }
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};

// Each thread keeps its own, of some 100 KiB to 1 MiB.
libdeflate_compressor* compressor(int level) {
  thread_local std::map<int, std::unique_ptr<libdeflate_compressor, Free>> of_level;
  auto& one = of_level[level];
  if (!one) one.reset(libdeflate_alloc_compressor(level));
  if (!one) throw system_error("no memory to compress with");
  return one.get();
}
libdeflate_decompressor* decompressor() {
  thread_local std::unique_ptr<libdeflate_decompressor, Free> one(libdeflate_alloc_decompressor());
  if (!one) throw system_error("no memory to decompress with");
  return one.get();
}

template <size_t kWidth>
void shuffle(const std::byte* values, size_t n, std::byte* planes) {
  for (size_t i = 0; i < n; ++i)
    for (size_t b = 0; b < kWidth; ++b) planes[b * n + i] = values[i * kWidth + b];
}
template <size_t kWidth>
void unshuffle(const std::byte* planes, size_t n, std::byte* values) {
  for (size_t i = 0; i < n; ++i)
    for (size_t b = 0; b < kWidth; ++b) values[i * kWidth + b] = planes[b * n + i];
}

}  // namespace

Buffer pack_chunk(std::span<const std::byte> values, Packing packing, size_t value_bytes, int level) {
  Buffer planes;
  if (packing.shuffled) {
    planes.resize(values.size());
    const size_t n = values.size() / value_bytes;
    THRONG_CHECK(value_bytes == 4 || value_bytes == 8, "values of {} bytes shuffled", value_bytes);
    if (value_bytes == 4) shuffle<4>(values.data(), n, planes.data());
    else shuffle<8>(values.data(), n, planes.data());
    values = planes;
  }
  libdeflate_compressor* with = compressor(level);
  Buffer packed(libdeflate_zlib_compress_bound(with, values.size()));
  packed.resize(libdeflate_zlib_compress(with, values.data(), values.size(), packed.data(), packed.size()));
  THRONG_CHECK(!packed.empty(), "{} bytes did not fit their bound", values.size());
  return packed;
}

bool unpack_chunk(std::span<const std::byte> packed, Packing packing, size_t value_bytes, std::span<std::byte> values) {
  auto plain = [&](std::span<std::byte> into) {
    if (packing.deflated)  // fails where less or more comes out
      return libdeflate_zlib_decompress(decompressor(), packed.data(), packed.size(), into.data(), into.size(), nullptr) == LIBDEFLATE_SUCCESS;
    if (packed.size() != into.size()) return false;
    std::memcpy(into.data(), packed.data(), into.size());
    return true;
  };
  if (!packing.shuffled) return plain(values);
  thread_local Buffer planes;
  planes.resize(values.size());
  if (!plain(planes)) return false;
  const size_t n = values.size() / value_bytes;
  if (value_bytes == 4) unshuffle<4>(planes.data(), n, values.data());
  else if (value_bytes == 8) unshuffle<8>(planes.data(), n, values.data());
  else return false;
  return true;
}

}  // namespace throng::data
