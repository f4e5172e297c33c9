// Loops over whole numbers and codes of them, for the vector instructions at hand. Internal to framework/data.
#pragma once
#include <cstdint>
#include <span>

namespace throng::data::kernels {

template <class T>
struct Range {
  T least, greatest;
};
/// The bounds of values, of which there must be one.
template <class T>
Range<T> range_of(std::span<const T> values);  // uint8_t, int32_t, int64_t

/// codes[r] = values[r] - least + first, which must be below 2^32.
template <class T>
void code_by_difference(std::span<const T> values, T least, uint32_t first, std::span<uint32_t> codes);
/// codes[r] = high[r] * factor + low[r]; codes may be one of them.
void combine_codes(std::span<const uint32_t> high, uint32_t factor, std::span<const uint32_t> low, std::span<uint32_t> codes);
/// Adds to counts[c] how many codes are c.
void count_codes(std::span<const uint32_t> codes, std::span<int64_t> counts);

}  // namespace throng::data::kernels
