// Names of columns to order by, and orders that rows partly have already.
#include "framework/data/row_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "framework/base/random.h"
#include "framework/data/compact_keys.h"
#include "tests/support/batches.h"

namespace throng::data {
namespace {

TEST(OrderBy, ReadsColumnsAndTheirDirection) {
  const Schema schema({{"a", Type::kInt64}, {"-b", Type::kString}, {"tags", Type::kListString}});
  auto read = [&](const std::string& item) {
    const OrderBy o = OrderBy::parse(item, schema);
    return std::pair(o.column, o.falling);
  };
  EXPECT_EQ(read("a"), std::pair(std::string("a"), false));
  EXPECT_EQ(read("-a"), std::pair(std::string("a"), true));
  EXPECT_EQ(read("-b"), std::pair(std::string("-b"), false));  // the column's own name
  EXPECT_EQ(read("--b"), std::pair(std::string("-b"), true));
  auto fault = [&](const std::string& item) {
    try {
      OrderBy::parse(item, schema);
    } catch (const Error& e) {
      return e.message();
    }
    return std::string();
  };
  EXPECT_THAT(fault("-tags"), ::testing::HasSubstr("column 'tags' is list<string>; rows cannot be ordered by it"));
  EXPECT_THAT(fault("-c"), ::testing::HasSubstr("no column 'c'"));
}

// Columns that rise, fall or do neither, with nulls, NaN and runs.
Batch partly_ordered(int64_t n, uint64_t seed) {
  Random random(seed, 0, 0);
  Schema schema;
  std::vector<Column> columns;
  for (int way : {1, -1, 0})
    for (Type type : {Type::kBool, Type::kInt32, Type::kInt64, Type::kTimestamp, Type::kFloat64, Type::kString})
      for (bool nulls : {false, true}) {
        Column c(type);
        std::vector<int64_t> places;
        for (int64_t r = 0; r < n; ++r) places.push_back(way > 0 ? r * 5 / n : way < 0 ? 4 - r * 5 / n : int64_t(random.below(5)));
        for (int64_t p : places) {
          if (nulls && p == 0) c.append_null();
          else if (type == Type::kBool) c.append(uint8_t(p > 2));
          else if (type == Type::kInt32) c.append(int32_t(p - 2) * 1'000'000'000);
          else if (type == Type::kFloat64) c.append(p == 4 ? double(NAN) : double(p) - 2);
          else if (type == Type::kString) c.append_string(std::string(size_t(p), 'x'));
          else c.append((p - 2) * (int64_t{1} << 61));
        }
        schema.add({fmt::format("{}{}{}", way > 0 ? "up" : way < 0 ? "down" : "any", size_t(type), nulls ? "n" : ""), type});
        columns.push_back(std::move(c));
      }
  return Batch(schema, std::move(columns));
}

TEST(OrderedRows, AreThoseOfAStableSort) {
  for (int64_t n : {0, 1, 2, 60, 900})
    for (uint64_t seed = 0; seed < 60; ++seed) {
      const Batch batch = partly_ordered(n, seed);
      Random random(seed, 1, 0);
      std::vector<OrderBy> by;
      for (size_t k = 0; k <= seed % 4; ++k) by.push_back({batch.schema()[random.below(batch.num_columns())].name, random.below(2) == 1});
      const RowComparison compare(batch, batch, by);
      std::vector<int64_t> wanted(static_cast<size_t>(n)), ties(static_cast<size_t>(n));
      std::iota(wanted.begin(), wanted.end(), 0);
      std::stable_sort(wanted.begin(), wanted.end(), [&](int64_t a, int64_t b) { return compare(a, b) < 0; });
      EXPECT_EQ(ordered_rows(batch, by), wanted) << n << " rows, seed " << seed;
      for (size_t r = 0; r < ties.size(); ++r) ties[r] = int64_t(r) * 3 + 7;
      EXPECT_EQ(ordered_rows(batch, by, ties), wanted);
      std::reverse(ties.begin(), ties.end());  // ties go by them, whatever order rows are in
      std::sort(wanted.begin(), wanted.end(), [&](int64_t a, int64_t b) { return compare(a, b) < 0 || (compare(a, b) == 0 && a > b); });
      EXPECT_EQ(ordered_rows(batch, by, ties), wanted);
    }
}

TEST(RowKeys, OrderAsTextsDo) {
  const std::string ending = "0123456789012345678901";  // keys reach 23 bytes at most
  std::vector<std::string> texts{"", std::string("\0", 1), "a", std::string("a\0", 2), "ab", "\xff", "中文"};
  for (size_t n : {6, 7, 8, 9, 14, 15, 16, 21, 22})
    for (const char* end : {"", "x", "y", "xy"}) texts.push_back(ending.substr(0, n) + end);
  texts.push_back(ending + "xyz");
  auto batch = [&](uint64_t seed, size_t num_texts) {
    Random random(seed, num_texts, 0);
    Column s(Type::kString), k(Type::kInt64), after(Type::kBool);
    for (int r = 0; r < 80; ++r) {
      if (random.below(10) == 0) s.append_null();
      else s.append_string(texts[random.below(num_texts)]);
      k.append(int64_t(random.below(3))), after.append(uint8_t(random.below(2)));
    }
    return Batch(Schema{{"s", Type::kString}, {"k", Type::kInt64}, {"after", Type::kBool}}, std::vector<Column>{s, k, after});
  };
  int exact = 0;
  for (uint64_t seed = 0; seed < 24; ++seed) {
    std::vector<OrderBy> by{{"s", seed % 2 == 1}};
    if (seed % 3 > 0) by.insert(by.begin(), OrderBy{"k", seed % 3 == 1});
    if (seed % 5 == 0) by.push_back({"after", true});
    const Batch a = batch(seed, texts.size()), b = batch(seed + 100, seed % 4 ? texts.size() : 1);
    for (const Batch* other : {&a, &b}) {
      const RowKeys x = RowKeys::of(a, by), y = RowKeys::of(*other, by);
      const RowComparison compare(a, *other, by);
      exact += y.exact;
      for (int64_t i = 0; i < 80; ++i)
        for (int64_t j = 0; j < 80; ++j) {
          const int k = compare(i, j);
          const auto &key = x.keys[size_t(i)], &other_key = y.keys[size_t(j)];
          const int by_key = key < other_key ? -1 : other_key < key ? 1 : 0;
          if (by_key == 0 && !(x.exact && y.exact)) continue;
          ASSERT_EQ(by_key, k < 0 ? -1 : k > 0 ? 1 : 0) << "seed " << seed << " " << a.column("s").string(i) << " " << other->column("s").string(j);
        }
    }
  }
  EXPECT_GT(exact, 0);
  Batch plain = batch(1, 1).take(std::vector<int64_t>{});
  EXPECT_TRUE(RowKeys::of(plain, {{"s", false}}).exact);
  const Batch nul(Schema{{"s", Type::kString}}, std::vector<Column>{testing::strings({"a", std::string("a\0", 2)})});
  EXPECT_FALSE(RowKeys::of(nul, {{"s", false}}).exact);
  EXPECT_EQ(ordered_rows(nul, {{"s", true}}), (std::vector<int64_t>{1, 0}));
}

TEST(OrderedRows, RadixOrderOfNarrowAndWideKeys) {
  Random random(9, 0, 0);
  for (size_t n : {0, 1, 511, 512, 513, 3000})
    for (int bits : {0, 1, 8, 20, 52, 53, 63, 64}) {
      std::vector<uint64_t> keys(n);
      for (auto& k : keys) k = bits == 0 ? 0 : random.next64() >> (64 - bits) & ~uint64_t{6};
      std::vector<int64_t> wanted(n);
      std::iota(wanted.begin(), wanted.end(), 0);
      std::stable_sort(wanted.begin(), wanted.end(), [&](int64_t a, int64_t b) { return keys[size_t(a)] < keys[size_t(b)]; });
      EXPECT_EQ(radix_order(keys, bits), wanted) << n << " keys of " << bits << " bits";
    }
}

}  // namespace
}  // namespace throng::data
