// Strings of a piece as codes of its different strings, where that is much shorter. Internal to framework/data.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "framework/data/column.h"

namespace throng::data {

/// Different strings of a piece, in order of first row, and the number of its string for each row.
struct StringCodes {
  Buffer codes;  ///< a byte a row; two, the low one first, where there are more than 256 strings
  std::vector<uint32_t> lengths;
  Buffer bytes;
};
inline size_t code_bytes(uint64_t dictionary_size) { return dictionary_size > 256 ? 2 : 1; }

/// None where it does not pay: codes and dictionary would take half of the plain bytes or more, there are more than 65,536 strings, the piece
/// is small, or most strings of a sample are different. Follows from the strings alone.
std::optional<StringCodes> encode_strings(const Column& strings);
/// The reverse; a data error where they do not fit together.
Column decode_strings(int64_t rows, const StringCodes& from, AlignedVector<uint8_t> valid);

}  // namespace throng::data
