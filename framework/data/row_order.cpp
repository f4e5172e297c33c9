#include "framework/data/row_order.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace throng::data {
namespace {

// The first column's value as a number that orders like it, as far as eight bytes can tell; nulls 0, NaN the largest.
uint64_t prefix(const Column& c, int64_t row) {
  if (!c.is_valid(row)) return 0;
  constexpr uint64_t kSign = uint64_t{1} << 63;
  uint64_t key = 0;
  switch (c.type()) {
    case Type::kString: {
      auto text = c.string(row);
      for (size_t i = 0; i < 8; ++i) key = key << 8 | (i < text.size() ? uint64_t(static_cast<unsigned char>(text[i])) : 0);
      break;
    }
    case Type::kFloat32:
    case Type::kFloat64: {
      double v = c.as_double(row);
      if (std::isnan(v)) return UINT64_MAX;
      uint64_t bits = std::bit_cast<uint64_t>(v == 0 ? 0.0 : v);
      key = bits & kSign ? ~bits : bits | kSign;
      break;
    }
    default:
      if (!is_fixed(c.type())) return 1;  // lists: told apart by the full comparison
      key = uint64_t(c.as_int64(row)) ^ kSign;
  }
  return std::max<uint64_t>(key, 1);  // above a null; values that fall together are told apart by the full comparison
}

}  // namespace

RowComparison::RowComparison(const Batch& a, const Batch& b, const std::vector<OrderBy>& columns) {
  for (const auto& o : columns) columns_.push_back({&a.column(o.column), &b.column(o.column), o.falling});
}

std::vector<int64_t> ordered_rows(const Batch& batch, const std::vector<OrderBy>& columns, std::span<const int64_t> ties) {
  struct Entry {
    uint64_t prefix;
    int64_t row;
  };
  std::vector<Entry> entries(static_cast<size_t>(batch.num_rows()));
  const Column* first = columns.empty() ? nullptr : &batch.column(columns[0].column);
  const bool falling = !columns.empty() && columns[0].falling;
  for (size_t r = 0; r < entries.size(); ++r) {
    uint64_t p = first ? prefix(*first, int64_t(r)) : 0;
    entries[r] = {falling ? ~p : p, int64_t(r)};
  }
  const RowComparison compare(batch, batch, columns);
  std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    if (int k = compare(a.row, b.row)) return k < 0;
    return ties.empty() ? a.row < b.row : ties[size_t(a.row)] < ties[size_t(b.row)];
  });
  std::vector<int64_t> rows;
  rows.reserve(entries.size());
  for (const auto& e : entries) rows.push_back(e.row);
  return rows;
}

std::vector<int64_t> group_starts(const Batch& sorted, const std::vector<std::string>& columns) {
  std::vector<OrderBy> by;
  for (const auto& name : columns) by.push_back({name, false});
  const RowComparison compare(sorted, sorted, by);
  std::vector<int64_t> starts;
  for (int64_t r = 0; r < sorted.num_rows(); ++r)
    if (r == 0 || compare(r - 1, r) != 0) starts.push_back(r);
  starts.push_back(sorted.num_rows());
  return starts;
}

}  // namespace throng::data
