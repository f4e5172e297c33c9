// Accumulators over batches against plain loops, for every type of number.
#include "framework/data/aggregation.h"

#include <gtest/gtest.h>

#include <array>

#include <cmath>

#include "framework/base/random.h"
#include "framework/data/groups.h"
#include "tests/support/every_type.h"

namespace throng::data {
namespace {

Column random_numbers(Type type, int64_t n, bool nulls, uint64_t seed) {
  Random random(seed, uint64_t(type), nulls);
  Column c(type);
  for (int64_t r = 0; r < n; ++r) {
    const auto v = int64_t(random.below(2000)) - 1000;
    if (nulls && random.below(4) == 0) c.append_null();
    else if (type == Type::kInt32) c.append(int32_t(v * 2'000'000));
    else if (type == Type::kFloat32) c.append(float(v) / 7);
    else if (type == Type::kFloat64) c.append(double(v) / 7 * 1e10);
    else c.append(v * (int64_t{1} << 40));
  }
  return c;
}

TEST(Aggregate, CountsAndSumsAreThoseOfALoop) {
  for (Type type : {Type::kInt32, Type::kInt64, Type::kFloat32, Type::kFloat64})
    for (bool nulls : {false, true})
      for (int64_t n : {0, 1, 5, 3000})
        for (uint32_t num_groups : {1u, 3u, 700u, 1024u, 1025u}) {
          const Schema schema{{"x", type}};
          const Column x = random_numbers(type, n, nulls, uint64_t(n));
          Random random(num_groups, 1, 0);
          AlignedVector<uint32_t> group_of;
          for (int64_t r = 0; r < n; ++r) group_of.push_back(uint32_t(random.below(num_groups)));
          std::vector<int64_t> rows(num_groups), counts(num_groups), whole(num_groups);
          std::vector<double> floats(num_groups);
          std::vector<std::array<double, 4>> side_by_side(num_groups);
          for (int64_t r = 0; r < n; ++r) {
            const uint32_t g = group_of[size_t(r)];
            ++rows[g];
            if (!x.is_valid(r)) continue;
            ++counts[g];
            floats[g] += x.as_double(r);  // in order of rows: the bits must be the same
            side_by_side[g][size_t(r) % 4] += x.as_double(r);
            if (is_integer(type)) whole[g] += x.as_int64(r);
          }
          for (uint32_t g = 0; g < num_groups && num_groups <= 1024; ++g) {
            const auto& lanes = side_by_side[g];
            floats[g] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
          }
          const Batch batch(schema, std::vector<Column>{x});
          const auto sizes = Groups::sizes(group_of, num_groups);
          auto result = [&](const char* text) {
            auto a = Aggregate("a", text, schema).accumulator();
            a->add(batch, group_of, sizes);
            return a->results(num_groups);
          };
          const Column all = result("count()"), there = result("count(x)"), sum = result("sum(x)"), mean = result("mean(x)");
          for (uint32_t g = 0; g < num_groups; ++g) {
            ASSERT_EQ(all.as_int64(g), rows[g]);
            ASSERT_EQ(there.as_int64(g), counts[g]);
            ASSERT_EQ(sum.is_valid(g), counts[g] > 0);
            if (counts[g] == 0) continue;
            if (is_integer(type)) ASSERT_EQ(sum.as_int64(g), whole[g]);
            else ASSERT_EQ(sum.as_double(g), floats[g]);
            ASSERT_EQ(mean.as_double(g), floats[g] / double(counts[g]));
          }
        }
}

TEST(Aggregate, ASumThatDoesNotFitIsADataError) {
  const Schema schema{{"x", Type::kInt64}};
  const Batch batch(schema, std::vector<Column>{testing::integers({INT64_MAX, 1})});
  auto a = Aggregate("a", "sum(x)", schema).accumulator();
  EXPECT_THROW(a->add(batch, std::vector<uint32_t>{0, 0}, std::vector<int64_t>{2}), Error);
  auto b = Aggregate("a", "sum(x)", schema).accumulator();
  b->add(batch, std::vector<uint32_t>{0, 1}, std::vector<int64_t>{1, 1});
  EXPECT_EQ(b->results(2).as_int64(0), INT64_MAX);
}

}  // namespace
}  // namespace throng::data
