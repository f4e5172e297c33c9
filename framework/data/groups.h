// Rows that agree in some columns.
#pragma once
#include <string>
#include <vector>

#include "framework/data/batch.h"
#include "framework/data/group_key.h"

namespace throng::data {

/// Numbers the groups of rows that agree in some columns, in order of first row.
struct Groups {
  AlignedVector<uint32_t> of_row;
  std::vector<int64_t> first_row;  ///< of each group
  size_t size() const { return first_row.size(); }
  static Groups of(const Batch& rows, const std::vector<std::string>& columns);
  static Groups of(std::span<const GroupKey> keys, int64_t num_rows);
  /// How many rows each of `num_groups` groups has.
  static std::vector<int64_t> sizes(std::span<const uint32_t> of_row, size_t num_groups);
};

}  // namespace throng::data
