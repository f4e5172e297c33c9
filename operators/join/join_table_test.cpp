// The table of a broadcast join against a loop over all pairs: keys close together and far apart, of every type, alone and in pairs, once
// each and many times, with nulls.
#include "operators/join/join_table.h"

#include <gtest/gtest.h>

#include "framework/base/random.h"
#include "tests/support/batches.h"

namespace throng::op {
namespace {

using data::Batch;
using data::Column;
using data::Schema;
using data::Type;

Column keys(Type type, int64_t rows, uint64_t spread, bool nulls, uint64_t seed) {
  Random random(seed, spread, nulls);
  Column c(type);
  const uint64_t far = type == Type::kInt32 ? 2'000'003 / spread : 4'000'000'007;  // the widest spread lies far apart
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t v = (int64_t(random.below(spread)) - int64_t(spread / 2)) * (spread == 50 ? int64_t(far) : 1);
    if (nulls && random.below(6) == 0) c.append_null();
    else if (type == Type::kBool) c.append(uint8_t(v & 1));
    else if (type == Type::kInt32) c.append(int32_t(v));
    else if (type == Type::kFloat64) c.append(double(v) / 4);
    else if (type == Type::kString) c.append_string(std::to_string(v));
    else c.append(v);
  }
  return c;
}

TEST(JoinTable, AllPairsOfEqualKeys) {
  for (Type type : {Type::kBool, Type::kInt32, Type::kInt64, Type::kTimestamp, Type::kFloat64, Type::kString})
    for (uint64_t spread : {3, 50, 3000})
      for (int64_t right_rows : {0, 1, 60})
        for (bool nulls : {false, true})
          for (bool once : {false, true}) {
            const Schema schema{{"a", type}, {"b", Type::kInt32}};
            std::vector<Column> l, r;
            l.push_back(keys(type, 1100, spread, nulls, 1)), l.push_back(keys(Type::kInt32, 1100, 3, nulls, 2));
            r.push_back(keys(type, right_rows, spread, nulls, 3)), r.push_back(keys(Type::kInt32, right_rows, 3, nulls, 4));
            const Batch left(schema, std::move(l)), right(schema, std::move(r));
            for (const std::vector<std::string>& on : {std::vector<std::string>{"a"}, {"a", "b"}}) {
              std::vector<int64_t> wanted_left{-1}, wanted_right{-1}, got_left{-1}, got_right{-1};  // pairs are added to what is there
              for (int64_t i = 0; i < left.num_rows(); ++i)
                for (int64_t j = 0; j < right_rows; ++j) {
                  bool same = true;
                  for (const auto& name : on) same = same && left.column(name).is_valid(i) && right.column(name).is_valid(j) && Column::compare(left.column(name), i, right.column(name), j) == 0;
                  if (!same) continue;
                  wanted_left.push_back(i), wanted_right.push_back(j);
                  if (once) break;
                }
              JoinTable(right, on).matches(left, on, once, got_left, got_right);
              ASSERT_EQ(got_left, wanted_left) << type_name(type) << " " << spread << " " << right_rows << " " << nulls << once << on.size();
              ASSERT_EQ(got_right, wanted_right) << type_name(type) << " " << spread << " " << right_rows << " " << nulls << once << on.size();
            }
          }
}

}  // namespace
}  // namespace throng::op
