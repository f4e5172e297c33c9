// bfloat16: the upper half of a float, eight bits of precision.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

namespace throng::tensor {

/// To the nearest, ties to even; what is not a number stays so, what is too large becomes infinite.
inline uint16_t to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16, not_a_number = bits >> 16 | 0x40;
  return uint16_t((bits & 0x7FFFFFFF) > 0x7F800000 ? not_a_number : rounded);
}
inline float from_bfloat16(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

/// Rounds in place.
inline void round_to_bfloat16(std::span<float> values) {
  for (float& v : values) v = from_bfloat16(to_bfloat16(v));
}

}  // namespace throng::tensor
