// Rows that agree in some columns.
#pragma once
#include <string>
#include <vector>

#include "framework/data/batch.h"

namespace throng::data {

/// Numbers the groups of rows that agree in some columns, in order of first row.
struct Groups {
  AlignedVector<uint32_t> of_row;
  std::vector<int64_t> first_row;  ///< of each group
  size_t size() const { return first_row.size(); }
  static Groups of(const Batch& rows, const std::vector<std::string>& columns);
};

}  // namespace throng::data
