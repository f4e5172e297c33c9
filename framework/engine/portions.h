// Sorted rows of a partition that come in portions, with what is left of them in hand.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "framework/engine/sorted_rows.h"
#include "framework/graph/operator.h"

namespace throng::engine {

/// Rows without their place in the input, the last column.
inline data::Batch without_place(const data::Batch& rows) {
  graph::Names kept = rows.schema().names();
  kept.pop_back();
  return rows.project(kept);
}

/// The key of a row, for people.
std::string key_text(const data::Batch& rows, const graph::Names& names, int64_t row);

/// Compares keys of rows of two batches, whose columns may have other names.
class KeyComparison {
 public:
  KeyComparison(const data::Batch& a, const graph::Names& names_a, const data::Batch& b, const graph::Names& names_b) {
    for (size_t i = 0; i < names_a.size(); ++i) columns_.emplace_back(&a.column(names_a[i]), &b.column(names_b[i]));
  }
  int operator()(int64_t i, int64_t j) const {
    for (const auto& [a, b] : columns_)
      if (int k = data::Column::compare(*a, i, *b, j)) return k;
    return 0;
  }

 private:
  std::vector<std::pair<const data::Column*, const data::Column*>> columns_;
};

/// What SortedRows gives, without places. One thread.
struct Portions {
  SortedRows source;
  const graph::Names key;
  size_t input;
  data::Batch rows{};
  bool over = false;

  Portions(SortedRows s, graph::Names k, size_t i, const data::Schema& schema) : source(std::move(s)), key(std::move(k)), input(i), rows(without_place(data::Batch::empty(schema))) {}
  bool empty() const { return rows.num_rows() == 0; }
  int64_t last() const { return rows.num_rows() - 1; }
  void load() {
    auto more = source.next();
    if (!more) {
      over = true;
      return;
    }
    data::Batch next = without_place(*more);
    if (empty()) rows = std::move(next);
    else rows = data::Batch::concat(rows.schema(), std::vector<data::Batch>{rows, next});
  }
  /// How many rows come before (or, if `with`, are at) the key of a row of `bound`.
  int64_t before(const data::Batch& bound, const graph::Names& names, int64_t row, bool with) const {
    const KeyComparison compare(rows, key, bound, names);
    int64_t low = 0, high = rows.num_rows();
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      const int k = compare(middle, row);
      if (k < 0 || (with && k == 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  data::Batch take(int64_t n) {
    data::Batch first = n == rows.num_rows() ? rows : rows.slice(0, n);
    rows = rows.slice(n, rows.num_rows() - n);
    return first;
  }
};

}  // namespace throng::engine
