// What rows are grouped by.
#pragma once
#include "framework/data/column.h"

namespace throng::data {

/// A column of the rows; or, where it is cheaper to make, numbers into a list of values: row r holds values[codes[r]].
struct GroupKey {
  ColumnPtr values;                ///< of the list: each once, and not every one needs to be a row's
  AlignedVector<uint32_t> codes{};
  bool coded = false;

  /// The values of the rows named.
  Column take(std::span<const int64_t> rows) const {
    if (!coded) return values->take(rows);
    std::vector<int64_t> places;
    for (int64_t r : rows) places.push_back(codes[size_t(r)]);
    return values->take(places);
  }
};

}  // namespace throng::data
