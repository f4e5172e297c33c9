// Rows in the order of some columns.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "framework/data/batch.h"

namespace throng::data {

/// A column to order by. Nulls come first, NaN last; the other way round where `falling`.
struct OrderBy {
  std::string column;
  bool falling = false;
  /// Reads `column`, or `-column` for one that falls. A job error for a column that is not there or is a list.
  static OrderBy parse(const std::string& item, const Schema& schema);
};

/// Keys of rows as 192-bit numbers that order as the columns do, as far as they reach: the same layout for every batch of a schema.
struct RowKeys {
  using Key = std::array<uint64_t, 3>;
  std::vector<Key> keys;
  bool exact = true;  ///< the keys hold all there is to compare: equal keys, all of them exact, are equal rows
  static RowKeys of(const Batch& batch, const std::vector<OrderBy>& columns);
};

/// Row numbers of the batch in order of the columns, ties by `ties` (a value for each row; empty: by row number).
std::vector<int64_t> ordered_rows(const Batch& batch, const std::vector<OrderBy>& columns, std::span<const int64_t> ties = {});

/// Less than, equal to or greater than zero: row i of a against row j of b, which have the columns under the same names.
class RowComparison {
 public:
  RowComparison(const Batch& a, const Batch& b, const std::vector<OrderBy>& columns);
  int operator()(int64_t i, int64_t j) const {
    for (const auto& c : columns_)
      if (int k = Column::compare(*c.a, i, *c.b, j)) return c.falling ? -k : k;
    return 0;
  }

 private:
  struct Pair {
    const Column *a, *b;
    bool falling;
  };
  std::vector<Pair> columns_;
};

/// First row of each run of rows that agree in the columns, and the number of rows at the end.
std::vector<int64_t> group_starts(const Batch& sorted, const std::vector<std::string>& columns);

}  // namespace throng::data
