#include "framework/data/groups.h"

#include <bit>
#include <cmath>
#include <limits>

#include "framework/base/hash.h"

namespace throng::data {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// A number for each row, below `count`; rows of equal values have equal numbers.
struct Codes {
  AlignedVector<uint32_t> of_row;
  uint64_t count = 0;
  bool by_first_row = false;  // numbered in order of first row
};

// Numbers rows by hash tables: `hash(r)` spreads, `same(a, b)` compares rows.
template <class Hash, class Same>
Codes number(size_t n, const Hash& hash, const Same& same) {
  struct Slot {
    uint32_t code = kNone, upper = 0;
  };
  Codes codes;
  codes.of_row.resize(n);
  codes.by_first_row = true;
  size_t capacity = 1024;
  std::vector<Slot> slots(capacity);
  std::vector<uint64_t> hashes;  // of each code
  std::vector<size_t> first;
  for (size_t r = 0; r < n; ++r) {
    if (r > 0 && same(r - 1, r)) {  // runs are common: rows in order of time
      codes.of_row[r] = codes.of_row[r - 1];
      continue;
    }
    const uint64_t h = hash(r);
    const uint32_t upper = uint32_t(h >> 32);
    size_t at = h & (capacity - 1);
    for (;; at = (at + 1) & (capacity - 1)) {
      Slot& slot = slots[at];
      if (slot.code == kNone) {
        slot = {uint32_t(first.size()), upper};
        codes.of_row[r] = slot.code;
        first.push_back(r);
        hashes.push_back(h);
        break;
      }
      if (slot.upper == upper && same(first[slot.code], r)) {
        codes.of_row[r] = slot.code;
        break;
      }
    }
    if (2 * first.size() < capacity) continue;
    capacity *= 4;
    slots.assign(capacity, {});
    for (uint32_t i = 0; i < hashes.size(); ++i) {
      size_t free = hashes[i] & (capacity - 1);
      while (slots[free].code != kNone) free = (free + 1) & (capacity - 1);
      slots[free] = {i, uint32_t(hashes[i] >> 32)};
    }
  }
  codes.count = first.size();
  return codes;
}

// Tables are worth it up to this many entries.
uint64_t table_limit(size_t n) { return 4 * uint64_t(n) + (1 << 16); }

template <class T>
Codes codes_of_whole(const Column& c) {
  auto v = c.values<T>();
  const size_t n = v.size();
  T least = n ? v[0] : T{}, greatest = least;
  for (T x : v) least = std::min(least, x), greatest = std::max(greatest, x);
  const uint64_t width = uint64_t(greatest) - uint64_t(least);
  const uint32_t nulls = c.has_nulls();
  if (width < 2 * uint64_t(n) + 1024) {
    Codes codes;
    codes.count = width + 1 + nulls;
    codes.of_row.resize(n);
    for (size_t r = 0; r < n; ++r) codes.of_row[r] = uint32_t(uint64_t(v[r]) - uint64_t(least)) + nulls;
    if (nulls)
      for (size_t r = 0; r < n; ++r)
        if (!c.is_valid(int64_t(r))) codes.of_row[r] = 0;
    return codes;
  }
  if (nulls)
    return number(n, [&](size_t r) { return mix64(uint64_t(v[r]) ^ uint64_t(!c.is_valid(int64_t(r)))); },
                  [&](size_t a, size_t b) { return v[a] == v[b] && c.is_valid(int64_t(a)) == c.is_valid(int64_t(b)); });
  return number(n, [&](size_t r) { return mix64(uint64_t(v[r])); }, [&](size_t a, size_t b) { return v[a] == v[b]; });
}

Codes codes_of(const Column& c) {
  const size_t n = size_t(c.size());
  switch (c.type()) {
    case Type::kBool: return codes_of_whole<uint8_t>(c);
    case Type::kInt32: return codes_of_whole<int32_t>(c);
    case Type::kInt64:
    case Type::kTimestamp: return codes_of_whole<int64_t>(c);
    default: break;
  }
  std::vector<uint64_t> hashes(n, 0);
  c.hash_rows(hashes);
  return number(n, [&](size_t r) { return hashes[r]; }, [&](size_t a, size_t b) { return hashes[a] == hashes[b] && Column::compare(c, int64_t(a), c, int64_t(b)) == 0; });
}

Codes combined(Codes a, const Codes& b) {
  const size_t n = a.of_row.size();
  if (a.count * b.count <= table_limit(n)) {  // both are below 2^32
    for (size_t r = 0; r < n; ++r) a.of_row[r] = uint32_t(a.of_row[r] * b.count) + b.of_row[r];
    a.count *= b.count;
    a.by_first_row = false;
    return a;
  }
  auto pair = [&](size_t r) { return uint64_t(a.of_row[r]) << 32 | b.of_row[r]; };
  return number(n, [&](size_t r) { return mix64(pair(r)); }, [&](size_t x, size_t y) { return pair(x) == pair(y); });
}

}  // namespace

Groups Groups::of(const Batch& rows, const std::vector<std::string>& columns) {
  Groups g;
  const size_t n = size_t(rows.num_rows());
  if (columns.empty()) {
    g.of_row.assign(n, 0);
    if (n > 0) g.first_row.push_back(0);
    return g;
  }
  Codes codes = codes_of(rows.column(columns[0]));
  for (size_t i = 1; i < columns.size(); ++i) codes = combined(std::move(codes), codes_of(rows.column(columns[i])));
  if (!codes.by_first_row) {
    std::vector<uint32_t> numbers(codes.count, kNone);
    uint32_t next = 0;
    for (uint32_t& code : codes.of_row) {
      uint32_t& to = numbers[code];
      if (to == kNone) to = next++;
      code = to;
    }
    codes.count = next;
  }
  g.of_row = std::move(codes.of_row);
  g.first_row.reserve(codes.count);
  for (size_t r = 0; r < n; ++r)
    if (g.of_row[r] == g.first_row.size()) g.first_row.push_back(int64_t(r));
  return g;
}

}  // namespace throng::data
