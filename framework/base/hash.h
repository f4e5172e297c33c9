// Content hashes (XXH3): fast, well spread, the same on every machine of one byte order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace throng {

uint64_t hash64(const void* data, size_t num_bytes, uint64_t seed = 0);
inline uint64_t hash64(std::string_view text, uint64_t seed = 0) {
  return hash64(text.data(), text.size(), seed);
}
/// 32 hexadecimal digits of XXH3-128.
std::string hash128_hex(std::string_view text);

/// Mixes an integer into a well spread 64-bit value (splitmix64's finaliser).
inline uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace throng
