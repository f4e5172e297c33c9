// Compact keys and radix order against the comparison of rows; groups against a map.
#include "framework/data/compact_keys.h"

#include <gtest/gtest.h>

#include <map>

#include "framework/base/random.h"
#include "framework/data/groups.h"
#include "tests/support/every_type.h"

namespace throng::data {
namespace {

// Columns of every fixed type, with nulls, runs, extremes, NaN and both zeros.
Batch random_rows(int64_t n, uint64_t seed, bool nulls, uint64_t spread) {
  Random random(seed, 0, 0);
  std::vector<Column> columns;
  Schema schema;
  for (Type type : {Type::kBool, Type::kInt32, Type::kInt64, Type::kTimestamp, Type::kFloat32, Type::kFloat64, Type::kString}) {
    Column c(type);
    for (int64_t r = 0; r < n; ++r) {
      const uint64_t v = random.below(spread);
      if (nulls && random.below(9) == 0) c.append_null();
      else if (r > 0 && random.below(3) == 0) c.append_row(Column(c), r - 1);
      else if (type == Type::kBool) c.append(uint8_t(v % 2));
      else if (type == Type::kInt32) c.append(int32_t(v % 7 == 3 ? INT32_MIN : int64_t(v) - 50));
      else if (type == Type::kFloat32) c.append(v % 11 == 5 ? NAN : v % 11 == 6 ? -0.0F : v % 11 == 7 ? 0.0F : float(v) - 20);
      else if (type == Type::kFloat64) c.append(v % 11 == 5 ? double(NAN) : v % 11 == 6 ? -0.0 : v % 11 == 7 ? INFINITY : double(v) / 3 - 20);
      else if (type == Type::kString) c.append_string("s" + std::to_string(v));
      else c.append(type == Type::kInt64 && spread > 1000 && v % 13 == 1 ? INT64_MAX : int64_t(v) - 30);
    }
    schema.add({"c" + std::to_string(columns.size()), type});
    columns.push_back(std::move(c));
  }
  return Batch(schema, std::move(columns));
}

TEST(CompactKeys, OrderAsTheRowsDo) {
  int made = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Batch a = random_rows(700, seed, seed % 2, seed % 4 < 2 ? 40 : 5000), b = random_rows(60, seed + 100, seed % 3, 40);
    Random random(seed, 1, 0);
    std::vector<OrderBy> by;
    for (size_t k = 0; k <= seed % 4; ++k) by.push_back({"c" + std::to_string(random.below(6)), random.below(2) == 1});
    auto compact = CompactKeys::of({&a, &b}, by);
    if (!compact) continue;
    ++made;
    const RowComparison compare(a, b, by), within(a, a, by);
    for (int64_t r = 0; r < a.num_rows(); ++r) {
      ASSERT_TRUE(compact->bits == 64 || compact->of_batch[0][size_t(r)] >> compact->bits == 0);
      for (int64_t c = 0; c < b.num_rows(); ++c) {
        const uint64_t x = compact->of_batch[0][size_t(r)], y = compact->of_batch[1][size_t(c)];
        const int k = compare(r, c);
        ASSERT_EQ(x < y ? -1 : x > y ? 1 : 0, k < 0 ? -1 : k > 0 ? 1 : 0) << "seed " << seed;
      }
    }
    const auto rows = radix_order(compact->of_batch[0], compact->bits);
    ASSERT_EQ(rows.size(), 700u);
    for (size_t i = 1; i < rows.size(); ++i) {
      const int k = within(rows[i - 1], rows[i]);
      ASSERT_TRUE(k < 0 || (k == 0 && rows[i - 1] < rows[i])) << "seed " << seed;
    }
    EXPECT_EQ(ordered_rows(a, by), rows);
  }
  EXPECT_GT(made, 15);
}

TEST(CompactKeys, RadixSortSorts) {
  Random random(3, 0, 0);
  for (int bits : {1, 7, 8, 33, 64})
    for (size_t n : {0, 1, 400, 5000}) {
      AlignedVector<uint64_t> keys(n);
      for (auto& k : keys) k = random.next64() >> (64 - bits);
      AlignedVector<uint64_t> expected = keys;
      std::sort(expected.begin(), expected.end());
      radix_sort(keys, bits);
      EXPECT_EQ(keys, expected);
    }
}

TEST(Groups, AreThoseOfAMap) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const Batch rows = random_rows(1500, seed, seed % 2, seed % 3 ? 12 : 100000);
    Random random(seed, 2, 0);
    std::vector<std::string> names;
    std::vector<OrderBy> by;
    for (size_t k = 0; k <= seed % 3; ++k) names.push_back("c" + std::to_string(random.below(7))), by.push_back({names.back(), false});
    const Groups groups = Groups::of(rows, names);
    const RowComparison compare(rows, rows, by);
    auto less = [&](int64_t a, int64_t b) { return compare(a, b) < 0; };
    std::map<int64_t, uint32_t, decltype(less)> known(less);
    for (int64_t r = 0; r < rows.num_rows(); ++r) {
      auto [it, fresh] = known.emplace(r, uint32_t(known.size()));
      ASSERT_EQ(groups.of_row[size_t(r)], it->second) << "seed " << seed << " row " << r;
      ASSERT_EQ(groups.first_row[it->second] == r, fresh);
    }
    ASSERT_EQ(groups.size(), known.size());
    const Batch sorted = rows.take(ordered_rows(rows, by));
    EXPECT_EQ(group_starts(sorted, names).size(), known.size() + 1);
  }
}

TEST(Groups, OfCodesAreThoseOfTheirValues) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const int64_t n = seed == 0 ? 0 : 900;
    const Batch rows = random_rows(n, seed, seed % 2, 12);
    Random random(seed, 3, 0);
    auto list = std::make_shared<Column>(Type::kInt64);  // more values than rows have, and a null
    for (int64_t v = 0; v < 9; ++v) list->append(100 - v);
    list->append_null();
    GroupKey coded{list, AlignedVector<uint32_t>(size_t(n)), true};
    std::vector<int64_t> places;
    for (auto& code : coded.codes) places.push_back(code = uint32_t(random.below(5) * 2 + 1));
    const Batch plain = rows.with({"coded", Type::kInt64}, list->take(places));
    for (const std::vector<std::string>& names : {std::vector<std::string>{"coded"}, {"coded", "c1"}, {"c6", "coded"}, {"c2", "coded", "c0"}}) {
      std::vector<GroupKey> keys;
      for (const auto& name : names) keys.push_back(name == "coded" ? coded : GroupKey{rows.column_ptr(size_t(rows.schema().find(name)))});
      const Groups groups = Groups::of(keys, n), wanted = Groups::of(plain, names);
      EXPECT_EQ(groups.of_row, wanted.of_row) << "seed " << seed;
      EXPECT_EQ(groups.first_row, wanted.first_row);
      for (size_t k = 0; k < names.size(); ++k) EXPECT_TRUE(testing::same(keys[k].take(groups.first_row), plain.column(names[k]).take(groups.first_row)));
      std::vector<int64_t> sizes(groups.size());
      for (uint32_t g : groups.of_row) ++sizes[g];
      EXPECT_EQ(Groups::sizes(groups.of_row, groups.size()), sizes);
    }
  }
  EXPECT_EQ(Groups::of(std::span<const GroupKey>(), 3).of_row, AlignedVector<uint32_t>(3, 0));
  EXPECT_EQ(Groups::of(std::span<const GroupKey>(), 0).size(), 0u);
}

}  // namespace
}  // namespace throng::data
