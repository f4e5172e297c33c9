#include "framework/data/compact_keys.h"

#include <algorithm>
#include <array>
#include <bit>

#include "framework/data/ordered_bits.h"

namespace throng::data {
namespace {

uint64_t ordered(uint8_t v) { return v != 0; }
uint64_t ordered(int32_t v) { return ordered_bits(int64_t{v}); }
uint64_t ordered(auto v) { return ordered_bits(v); }

// Calls visit with the values of a column of a fixed type; false for the others.
template <class Visit>
bool with_values(const Column& c, const Visit& visit) {
  switch (c.type()) {
    case Type::kBool: visit(c.values<uint8_t>()); return true;
    case Type::kInt32: visit(c.values<int32_t>()); return true;
    case Type::kInt64:
    case Type::kTimestamp: visit(c.values<int64_t>()); return true;
    case Type::kFloat32: visit(c.values<float>()); return true;
    case Type::kFloat64: visit(c.values<double>()); return true;
    default: return false;
  }
}

}  // namespace

std::optional<CompactKeys> CompactKeys::of(const std::vector<const Batch*>& batches, const std::vector<OrderBy>& columns) {
  struct Range {
    uint64_t least = UINT64_MAX, greatest = 0;
    bool nulls = false;
    int bits = 0;
  };
  CompactKeys out;
  std::vector<Range> ranges;
  for (const auto& order : columns) {
    Range range;
    for (const Batch* batch : batches) {
      const Column& c = batch->column(order.column);
      range.nulls = range.nulls || c.has_nulls();
      const bool fixed = with_values(c, [&](auto values) {
        for (auto v : values) {
          const uint64_t o = ordered(v);
          range.least = std::min(range.least, o), range.greatest = std::max(range.greatest, o);
        }
      });
      if (!fixed) return {};
    }
    if (range.least > range.greatest) range.least = range.greatest = 0;
    const uint64_t width = range.greatest - range.least;
    if (width >= UINT64_MAX - 1) return {};
    range.bits = int(std::bit_width(width + (range.nulls ? 1 : 0)));
    out.bits += range.bits;
    if (out.bits > 64) return {};
    ranges.push_back(range);
  }
  for (const Batch* batch : batches) {
    auto& keys = out.of_batch.emplace_back();
    keys.assign(size_t(batch->num_rows()), 0);
    for (size_t i = 0; i < columns.size(); ++i) {
      const Range range = ranges[i];
      const Column& c = batch->column(columns[i].column);
      const bool falling = columns[i].falling;
      const uint64_t width = range.greatest - range.least, first = range.nulls && !falling;  // nulls come first, or last where it falls
      const int up = i == 0 ? 0 : range.bits;  // the first keys are 0, and a shift by 64 is not defined
      with_values(c, [&](auto values) {
        if (falling)
          for (size_t r = 0; r < keys.size(); ++r) keys[r] = (up < 64 ? keys[r] << up : 0) | (width - (ordered(values[r]) - range.least));
        else
          for (size_t r = 0; r < keys.size(); ++r) keys[r] = (up < 64 ? keys[r] << up : 0) | (ordered(values[r]) - range.least + first);
      });
      if (!c.has_nulls()) continue;
      const uint64_t mask = range.bits == 64 ? UINT64_MAX : (uint64_t{1} << range.bits) - 1;
      for (size_t r = 0; r < keys.size(); ++r)
        if (!c.is_valid(int64_t(r))) keys[r] = (keys[r] & ~mask) | (falling ? width + 1 : 0);
    }
  }
  return out;
}

namespace {

// Least significant digit first, in byte digits; digits in which all keys agree are left out. Keeps the order of equal keys.
template <class Entry, class Key>
void radix(AlignedVector<Entry>& entries, int bits, const Key& key) {
  constexpr size_t kValues = 256;
  const size_t n = entries.size(), digits = size_t(std::max(1, (bits + 7) / 8));
  std::vector<std::array<uint32_t, kValues>> counts(digits, std::array<uint32_t, kValues>{});
  for (const Entry& e : entries)
    for (size_t d = 0; d < digits; ++d) ++counts[d][key(e) >> (8 * d) & 0xff];
  AlignedVector<Entry> other(n);
  for (size_t d = 0; d < digits; ++d) {
    auto& count = counts[d];
    if (count[key(entries[0]) >> (8 * d) & 0xff] == n) continue;
    uint32_t at = 0;
    for (auto& c : count) at += std::exchange(c, at);
    for (const Entry& e : entries) other[count[key(e) >> (8 * d) & 0xff]++] = e;
    entries.swap(other);
  }
}

constexpr size_t kFew = 512;  // below, counting digits costs more than comparing

}  // namespace

std::vector<int64_t> radix_order(std::span<const uint64_t> keys, int bits) {
  struct Entry {
    uint64_t key;
    int64_t row;
  };
  std::vector<int64_t> rows(keys.size());
  if (keys.size() < kFew) {
    for (size_t r = 0; r < rows.size(); ++r) rows[r] = int64_t(r);
    std::sort(rows.begin(), rows.end(), [&](int64_t a, int64_t b) { return keys[size_t(a)] != keys[size_t(b)] ? keys[size_t(a)] < keys[size_t(b)] : a < b; });
    return rows;
  }
  const int row_bits = int(std::bit_width(keys.size() - 1));
  if (bits + row_bits <= 64) {  // key and row fit one number: half as much is moved
    AlignedVector<uint64_t> packed(keys.size());
    for (size_t r = 0; r < rows.size(); ++r) packed[r] = keys[r] << row_bits | r;
    radix(packed, bits, [row_bits](uint64_t e) { return e >> row_bits; });
    for (size_t r = 0; r < rows.size(); ++r) rows[r] = int64_t(packed[r] & ((uint64_t{1} << row_bits) - 1));
    return rows;
  }
  AlignedVector<Entry> entries(keys.size());
  for (size_t r = 0; r < rows.size(); ++r) entries[r] = {keys[r], int64_t(r)};
  radix(entries, bits, [](const Entry& e) { return e.key; });
  for (size_t r = 0; r < rows.size(); ++r) rows[r] = entries[r].row;
  return rows;
}

void radix_sort(AlignedVector<uint64_t>& keys, int bits) {
  if (keys.size() < kFew || keys.size() >= UINT32_MAX) std::sort(keys.begin(), keys.end());
  else radix(keys, bits, [](uint64_t k) { return k; });
}

}  // namespace throng::data
