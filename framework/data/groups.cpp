#include "framework/data/groups.h"

#include <algorithm>

#include "framework/base/hash.h"
#include "framework/data/code_kernels.h"

namespace throng::data {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// A number for each row, below `count`; rows of equal values have equal numbers.
struct Codes {
  AlignedVector<uint32_t> own;
  std::span<const uint32_t> of_row;  // own, or the key's
  uint64_t count = 0;
  bool by_first_row = false;  // numbered in order of first row, by hash tables
  std::vector<int64_t> first_row{};

  std::span<uint32_t> resize(size_t n) {
    own.resize(n);
    of_row = own;
    return own;
  }
};

// Numbers rows by hash tables: `hash(r)` spreads, `same(a, b)` compares rows.
template <class Hash, class Same>
Codes number(size_t n, const Hash& hash, const Same& same) {
  struct Slot {
    uint32_t code = kNone, upper = 0;
  };
  Codes codes;
  const auto of_row = codes.resize(n);
  codes.by_first_row = true;
  size_t capacity = 1024;
  std::vector<Slot> slots(capacity);
  std::vector<uint64_t> hashes;  // of each code
  auto& first = codes.first_row;
  for (size_t r = 0; r < n; ++r) {
    if (r > 0 && same(r - 1, r)) {  // runs are common: rows in order of time
      of_row[r] = of_row[r - 1];
      continue;
    }
    const uint64_t h = hash(r);
    const uint32_t upper = uint32_t(h >> 32);
    size_t at = h & (capacity - 1);
    for (;; at = (at + 1) & (capacity - 1)) {
      Slot& slot = slots[at];
      if (slot.code == kNone) {
        slot = {uint32_t(first.size()), upper};
        of_row[r] = slot.code;
        first.push_back(int64_t(r));
        hashes.push_back(h);
        break;
      }
      if (slot.upper == upper && same(size_t(first[slot.code]), r)) {
        of_row[r] = slot.code;
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
  const auto range = n ? kernels::range_of(v) : kernels::Range<T>{};
  const uint64_t width = uint64_t(range.greatest) - uint64_t(range.least);
  const uint32_t nulls = c.has_nulls();
  if (width < 8 * uint64_t(n) + 1024) {
    Codes codes;
    codes.count = width + 1 + nulls;
    const auto of_row = codes.resize(n);
    kernels::code_by_difference(v, range.least, nulls, of_row);
    if (nulls)
      for (size_t r = 0; r < n; ++r)
        if (!c.is_valid(int64_t(r))) of_row[r] = 0;
    return codes;
  }
  if (nulls)
    return number(n, [&](size_t r) { return mix64(uint64_t(v[r]) ^ uint64_t(!c.is_valid(int64_t(r)))); },
                  [&](size_t a, size_t b) { return v[a] == v[b] && c.is_valid(int64_t(a)) == c.is_valid(int64_t(b)); });
  return number(n, [&](size_t r) { return mix64(uint64_t(v[r])); }, [&](size_t a, size_t b) { return v[a] == v[b]; });
}

Codes codes_of(const GroupKey& key) {
  const Column& c = *key.values;
  if (key.coded) return {{}, key.codes, uint64_t(c.size())};
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
  if (c.type() == Type::kString && !c.has_nulls())
    return number(n, [&](size_t r) { return hashes[r]; }, [&](size_t a, size_t b) { return hashes[a] == hashes[b] && c.string(int64_t(a)) == c.string(int64_t(b)); });
  return number(n, [&](size_t r) { return hashes[r]; }, [&](size_t a, size_t b) { return hashes[a] == hashes[b] && Column::compare(c, int64_t(a), c, int64_t(b)) == 0; });
}

Codes combined(Codes a, const Codes& b) {
  const size_t n = a.of_row.size();
  if (a.count * b.count <= table_limit(n)) {  // both are below 2^32
    Codes codes{std::move(a.own), {}, a.count * b.count};
    codes.own.resize(n);
    kernels::combine_codes(a.of_row, uint32_t(b.count), b.of_row, codes.own);
    codes.of_row = codes.own;
    return codes;
  }
  auto pair = [&](size_t r) { return uint64_t(a.of_row[r]) << 32 | b.of_row[r]; };
  return number(n, [&](size_t r) { return mix64(pair(r)); }, [&](size_t x, size_t y) { return pair(x) == pair(y); });
}

// Numbers codes in order of first row.
Groups numbered(Codes codes) {
  const size_t n = codes.of_row.size();
  if (codes.by_first_row) return {std::move(codes.own), std::move(codes.first_row)};
  Groups g{std::move(codes.own), {}};  // in place, where the codes are no key's
  g.of_row.resize(n);
  std::vector<uint32_t> numbers(codes.count, kNone);
  g.first_row.resize(std::min<size_t>(n, codes.count) + 1);
  const uint32_t* from = codes.of_row.data();
  uint32_t *to = g.of_row.data(), *number_of = numbers.data(), next = 0;
  int64_t* first = g.first_row.data();
  if (codes.count < n / 16) {  // new groups are rare
    for (size_t r = 0; r < n; ++r) {
      uint32_t number = number_of[from[r]];
      if (number == kNone) first[next] = int64_t(r), number = number_of[from[r]] = next++;
      to[r] = number;
    }
  } else {  // each row is noted as the first of a next group, and counted if it is: a jump could not be foretold
    for (size_t r = 0; r < n; ++r) {
      const uint32_t code = from[r], known = number_of[code];
      const bool is_new = known == kNone;
      first[next] = int64_t(r);
      number_of[code] = to[r] = is_new ? next : known;
      next += is_new;
    }
  }
  g.first_row.resize(next);
  return g;
}

}  // namespace

Groups Groups::of(const Batch& rows, const std::vector<std::string>& columns) {
  std::vector<GroupKey> keys;
  for (const auto& name : columns) {
    const int i = rows.schema().find(name);
    keys.push_back({i >= 0 ? rows.column_ptr(size_t(i)) : nullptr});
    if (i < 0) rows.column(name);  // says what is wrong
  }
  return of(keys, rows.num_rows());
}

Groups Groups::of(std::span<const GroupKey> keys, int64_t num_rows) {
  if (keys.empty()) {
    Groups g;
    g.of_row.assign(size_t(num_rows), 0);
    if (num_rows > 0) g.first_row.push_back(0);
    return g;
  }
  Codes codes = codes_of(keys[0]);
  for (size_t i = 1; i < keys.size(); ++i) codes = combined(std::move(codes), codes_of(keys[i]));
  return numbered(std::move(codes));
}

std::vector<int64_t> Groups::sizes(std::span<const uint32_t> of_row, size_t num_groups) {
  std::vector<int64_t> sizes(num_groups);
  kernels::count_codes(of_row, sizes);
  return sizes;
}

}  // namespace throng::data
