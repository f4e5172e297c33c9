#include "framework/base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace throng {

uint64_t hash64(const void* data, size_t num_bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, num_bytes, seed);
}

std::string hash128_hex(std::string_view text) {
  XXH128_hash_t h = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", h.high64, h.low64);
}

}  // namespace throng
