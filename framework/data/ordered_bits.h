// Numbers as bits that order as the numbers do. Internal to framework/data.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace throng::data {

inline constexpr uint64_t kSignBit = uint64_t{1} << 63;

inline uint64_t ordered_bits(int64_t v) { return uint64_t(v) ^ kSignBit; }
/// NaN is above all numbers, and both zeros are one.
inline uint64_t ordered_bits(double v) {
  if (std::isnan(v)) return UINT64_MAX;
  const uint64_t bits = std::bit_cast<uint64_t>(v == 0 ? 0.0 : v);
  return bits & kSignBit ? ~bits : bits | kSignBit;
}
/// The same in 32 bits.
inline uint64_t ordered_bits(float v) {
  if (std::isnan(v)) return UINT32_MAX;
  const uint32_t bits = std::bit_cast<uint32_t>(v == 0 ? 0.0F : v);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

}  // namespace throng::data
