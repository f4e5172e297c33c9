#include "framework/data/groups.h"

#include "framework/base/hash.h"
#include "framework/data/row_order.h"

namespace throng::data {

Groups Groups::of(const Batch& rows, const std::vector<std::string>& columns) {
  Groups g;
  const size_t n = size_t(rows.num_rows());
  g.of_row.resize(n);
  if (columns.empty()) {
    if (n > 0) g.first_row.push_back(0);
    return g;
  }
  std::vector<OrderBy> by;
  for (const auto& name : columns) by.push_back({name, false});
  const RowKeys keys = RowKeys::of(rows, by);
  if (keys.exact) {  // the keys tell rows apart by themselves
    auto hash = [&](size_t r) { return mix64(keys.keys[r][0] ^ mix64(keys.keys[r][1] ^ mix64(keys.keys[r][2]))); };
    g.number(hash, [&](int64_t a, int64_t b) {
      const auto &x = keys.keys[size_t(a)], &y = keys.keys[size_t(b)];
      return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
    });
  } else {
    const auto hashes = rows.hash_rows(columns);
    const RowComparison compare(rows, rows, by);
    g.number([&](size_t r) { return hashes[r]; }, [&](int64_t a, int64_t b) { return compare(a, b) == 0; });
  }
  return g;
}

// Open addressing; a slot holds a group's number and the upper half of its hash.
template <class Hash, class Same>
void Groups::number(const Hash& hash, const Same& same) {
  struct Slot {
    uint32_t group = UINT32_MAX, upper = 0;
  };
  size_t capacity = 1024;
  std::vector<Slot> slots(capacity);
  std::vector<uint64_t> group_hash;
  for (size_t r = 0; r < of_row.size(); ++r) {
    const uint64_t h = hash(r);
    const uint32_t upper = uint32_t(h >> 32);
    size_t at = h & (capacity - 1);
    for (;; at = (at + 1) & (capacity - 1)) {
      Slot& slot = slots[at];
      if (slot.group == UINT32_MAX) {
        slot = {uint32_t(first_row.size()), upper};
        of_row[r] = slot.group;
        first_row.push_back(int64_t(r));
        group_hash.push_back(h);
        break;
      }
      if (slot.upper == upper && same(first_row[slot.group], int64_t(r))) {
        of_row[r] = slot.group;
        break;
      }
    }
    if (2 * first_row.size() < capacity) continue;
    capacity *= 4;
    slots.assign(capacity, {});
    for (uint32_t i = 0; i < group_hash.size(); ++i) {
      size_t free = group_hash[i] & (capacity - 1);
      while (slots[free].group != UINT32_MAX) free = (free + 1) & (capacity - 1);
      slots[free] = {i, uint32_t(group_hash[i] >> 32)};
    }
  }
}

}  // namespace throng::data
