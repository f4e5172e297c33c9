// Loops over the values of expressions. Internal to framework/data.
#pragma once
#include <cstring>

#include "framework/data/expression_functions.h"

namespace throng::data::expression {

/// Calls body(value_of), where value_of(r) is row r's number as it is kept: one body for arrays, and one for constants.
template <class T, class Body>
void with_array(const ExpressionArray<T>& array, bool constant, const Body& body) {
  if (constant) body([value = array[0]](size_t) { return value; });
  else body([values = array.span().data()](size_t r) { return values[r]; });
}
/// Whole numbers, bools and timestamps.
template <class Body>
void with_whole(const ExpressionValues& v, const Body& body) {
  with_array(v.i, v.constant, body);
}
/// Any number as a double.
template <class Body>
void with_numbers(const ExpressionValues& v, const Body& body) {
  if (is_float(v.type)) return with_array(v.f, v.constant, body);
  with_array(v.i, v.constant, [&](auto value_of) { body([value_of](size_t r) { return double(value_of(r)); }); });
}

/// Calls body(there), where there(r) is 1 where row r is no null, else 0.
template <class Body>
void with_valid(const ExpressionValues& v, const Body& body) {
  if (v.constant || v.valid.empty()) body([there = uint8_t(v.ok(0))](size_t) { return there; });
  else body([valid = v.valid.data()](size_t r) { return uint8_t(valid[r] != 0); });
}
/// Takes from `valid` (of n rows; empty: all) the rows that are null in v.
inline void keep_valid(const ExpressionValues& v, size_t n, AlignedVector<uint8_t>& valid) {
  if (v.valid.empty() || (v.constant && v.valid[0])) return;
  if (v.constant) return valid.assign(n, 0);
  if (valid.empty()) valid.assign(n, 1);
  with_valid(v, [to = valid.data(), n](auto there) {
    for (size_t r = 0; r < n; ++r) to[r] = to[r] & there(r);
  });
}
/// Takes one row from it.
inline void set_null(size_t row, size_t n, AlignedVector<uint8_t>& valid) {
  if (valid.empty()) valid.assign(n, 1);
  valid[row] = 0;
}

}  // namespace throng::data::expression
