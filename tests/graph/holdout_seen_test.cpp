// What a protocol says of held-out rows.
#include "framework/graph/holdout_seen.h"

#include <gtest/gtest.h>

#include "framework/comm/threads_backend.h"

namespace throng::graph {
namespace {

using data::Type;

/// Times in seconds, negative for none; odd places are held out.
data::Batch batch_of(const std::vector<int64_t>& times, bool timed = true) {
  data::Schema schema;
  std::vector<data::Column> columns;
  data::Column ts(Type::kTimestamp), held(Type::kBool);
  for (size_t i = 0; i < times.size(); ++i) {
    times[i] < 0 ? ts.append_null() : ts.append(times[i] * 1'000'000);
    held.append(uint8_t(i % 2));
  }
  if (timed) schema.add({"ts", Type::kTimestamp}), columns.push_back(std::move(ts));
  schema.add({"holdout", Type::kBool}), columns.push_back(std::move(held));
  return data::Batch(schema, std::move(columns));
}

HoldoutSeen seen(const data::Batch& batch) {
  HoldoutSeen found;
  found.see(batch);
  return found;
}

TEST(HoldoutSeen, IsByTimeOnlyWhereAllAreNewer) {
  EXPECT_TRUE(seen(batch_of({1, 5, 2, 6, 4, 7})).by_time());
  EXPECT_FALSE(seen(batch_of({1, 5, 2, 6, 5, 7})).by_time()) << "as old as a training row";
  EXPECT_FALSE(seen(batch_of({1, 5, 2, -1})).by_time()) << "nobody knows when";
  EXPECT_FALSE(seen(batch_of({1, 5, -1})).by_time());
  EXPECT_FALSE(seen(batch_of({1})).by_time()) << "nothing is held out";
  EXPECT_FALSE(seen(batch_of({1, 5}, false)).by_time());
  EXPECT_EQ(seen(batch_of({1, 5, 2, 6}, false)).rows, 2);
  EXPECT_EQ(seen(batch_of({1, 5, 2, 6})).when(), ", all newer than any training row (a split by time)");
  EXPECT_EQ(seen(batch_of({9, 5})).when(), "");
  EXPECT_EQ(holdout_columns(batch_of({1, 5}).schema()), (Names{"holdout", "ts"}));
  EXPECT_EQ(holdout_columns(batch_of({1, 5}, false).schema()), (Names{"holdout"}));
}

TEST(HoldoutSeen, AddsRanksUp) {
  comm::run_on_threads(3, [](comm::Communicator& comm) {
    HoldoutSeen found = seen(batch_of(comm.rank() == 0 ? std::vector<int64_t>{1, 5} : comm.rank() == 1 ? std::vector<int64_t>{3, 8} : std::vector<int64_t>{}));
    found.add_ranks(comm);
    EXPECT_TRUE(found.by_time());
    EXPECT_EQ(found.rows, 2);
    if (comm.rank() == 2) found.see(true, 6'000'000);
    found.add_ranks(comm);
    EXPECT_FALSE(found.by_time());
  });
}

}  // namespace
}  // namespace throng::graph
