// Out of core: the same results within any memory budget, and clear errors where a budget or a disk cannot do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/random.h"
#include "framework/engine/run.h"
#include "framework/graph/registry.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;
using testing::JobSettings;

// Users are skewed: one in two rows is of user 0, which fills partitions of its own; one row in forty has no user.
std::string events(int n, uint64_t seed) {
  Random random(seed, 0, 0);
  std::string text;
  for (int i = 0; i < n; ++i) {
    const uint64_t user = random.below(2) ? 0 : random.below(500);
    text += fmt::format("{{\"user\":{},\"ts\":{},\"item\":{},\"value\":{},\"text\":\"{}\"}}\n", random.below(40) == 0 ? "null" : fmt::format("\"u{}\"", user), 1700000000 + random.below(400000),
                        random.below(1000), double(random.below(1000000)) / 7, std::string(random.below(250), char('a' + random.below(26))));
  }
  return text;
}

const std::string kSources = R"(job: j
steps:
  e: { op: read_events, path: e.jsonl, types: { item: int64, value: float64 } }
  q: { op: read_events, path: q.jsonl, types: { item: int64, value: float64 } }
)";

uint64_t spilled(const testing::JobRun& run) {
  uint64_t bytes = 0;
  for (const auto& [id, step] : run.steps) bytes += step.bytes_spilled;
  return bytes;
}

// The least budget holds a twentieth of the rows of the larger input.
TEST(Memory, ResultsAreTheSameWithinAnyBudget) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(60000, 1));
  folder.write("q.jsonl", events(3000, 2));
  const std::string yaml = kSources + R"yaml(  sums: { op: aggregate, from: e, by: [user], aggregates: { n: count(), s: sum(value), m: mean(value), d: count_distinct(item), f: "first(item)", sd: stddev(value) } }
  all: { op: aggregate, from: e, by: [], aggregates: { n: count(), s: sum(value), top: "top_k(item, 3)" } }
  sorted: { op: sort, from: e, by: [user, -ts] }
  ones: { op: distinct, from: e, on: [item, user], keep: last }
  sessions: { op: sessionize, from: e, gap: 10m }
  lengths: { op: sessionize, from: e, gap: 1h, max_length: 2h, summary: true }
  best: { op: top_k, from: e, by: [user], order: [-value, text], k: 5 }
  short: { op: filter, from: q, where: "item < 30" }
  narrow: { op: select, from: e, columns: [user, ts, item] }
  both: { op: join, from: [narrow, short], on: [user, item], how: full }
  near: { op: join, from: [e, q], on: [user], how: asof }
  only: { op: join, from: [e, short], on: [item], how: anti }
  right: { op: join, from: [short, narrow], on: [item], how: right }
  moves: { op: transitions, from: e, by: user, value: item }
)yaml";
  const auto plenty = testing::run_job(yaml, folder, "plenty");
  EXPECT_EQ(spilled(plenty), 0u);
  EXPECT_GT(plenty.steps.at("sessions").bytes, uint64_t{10} << 20);
  for (uint64_t kib : {512u, 1024u, 3000u, 20000u})
    for (auto [ranks, threads] : {std::pair(1, 1), {1, 3}, {3, 2}}) {
      const auto tight = testing::run_job(yaml, folder, "tight", {ranks, threads, kib << 10});
      for (const auto& [id, step] : plenty.steps)
        EXPECT_EQ(step.content_hash, tight.steps.at(id).content_hash) << id << " with " << kib << " KiB on " << ranks << " ranks, " << threads << " threads";
      if (kib <= 3000) {
        EXPECT_GT(spilled(tight), 0u);
      }
      if (kib == 512) {
        EXPECT_EQ(tight.steps.at("lengths").metrics["hot_keys"][0]["key"], R"({"user":"u0"})") << "found while it was sent";
        ASSERT_TRUE(tight.steps.at("near").metrics.contains("hot_keys"));
        EXPECT_EQ(tight.steps.at("near").metrics["hot_keys"][0]["key"], R"({"user":"u0"})");
        EXPECT_GT(tight.steps.at("near").metrics["hot_keys"][0]["rows"], 25000);
      }
    }
}

TEST(Memory, AGroupThatMustBeInMemoryAndIsNotIsNamed) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(60000, 1));
  folder.write("q.jsonl", events(10, 2));
  try {
    testing::run_job(kSources + "  after: { op: over, from: e, by: [user], order: [ts], columns: { prev: lag(item) } }\n", folder, "out", {1, 1, uint64_t{512} << 10});
    ADD_FAILURE() << "the rows of u0 take more than the budget";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kSystem);
    EXPECT_THAT(error.text(), HasSubstr("step 'after' (over)"));
    EXPECT_THAT(error.text(), HasSubstr(R"({"user":"u0"})"));
    EXPECT_THAT(error.hint(), HasSubstr("--memory"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "out/steps/after/step.json"));
}

// The right rows of u0 take nine times the least budget; left rows of it are some, or as many.
TEST(Memory, AKeyMayBeHotOnTheRightAndOnBothSides) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(60000, 1));
  folder.write("q.jsonl", events(20, 2));
  std::string yaml = kSources + "  again: { op: filter, from: e, where: \"item % 3 != 0\" }\n";
  for (const char* how : {"inner", "full", "semi", "anti", "asof"}) yaml += fmt::format("  some_{0}: {{ op: join, from: [q, e], on: [user], how: {0}, strategy: shuffle }}\n", how);
  for (const char* how : {"semi", "anti", "asof"}) yaml += fmt::format("  many_{0}: {{ op: join, from: [again, e], on: [user], how: {0}, strategy: shuffle }}\n", how);
  yaml += "  fresh: { op: join, from: [again, q], on: [user], how: asof, tolerance: 1h }\n";
  yaml += "  stale: { op: join, from: [q, again], on: [user], how: asof, tolerance: 1h }\n";
  const auto plenty = testing::run_job(yaml, folder, "plenty", {1, 2, uint64_t{2} << 30});
  EXPECT_EQ(spilled(plenty), 0u);
  EXPECT_GT(plenty.steps.at("some_inner").rows, 100'000);
  for (auto [kib, ranks, threads] : {std::tuple(512u, 1, 1), {512u, 3, 2}, {3000u, 1, 1}}) {
    const auto tight = testing::run_job(yaml, folder, "tight", {ranks, threads, uint64_t{kib} << 10});
    for (const auto& [id, step] : plenty.steps)
      EXPECT_EQ(step.content_hash, tight.steps.at(id).content_hash) << id << " with " << kib << " KiB on " << ranks << " ranks, " << threads << " threads";
    EXPECT_EQ(tight.steps.at("some_inner").metrics["hot_keys"][0]["key"], R"({"user":"u0"})") << kib;
  }
}

// A side that every rank is to hold, and cannot: the rows meet it portion by portion, and come out the same.
TEST(Memory, ABroadcastSideNeedNotFit) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(1500, 1));
  folder.write("q.jsonl", events(60000, 2));
  std::string yaml = kSources;
  for (const char* how : {"inner", "left", "semi", "anti"}) yaml += fmt::format("  j_{0}: {{ op: join, from: [e, q], on: [item, user], how: {0}, strategy: broadcast }}\n", how);
  yaml += "  counts: { op: aggregate, from: q, by: [item], aggregates: { n: count() } }\n  behind: { op: join, from: [counts, e], on: [item], how: left, strategy: broadcast }\n";
  const auto plenty = testing::run_job(yaml, folder, "plenty");
  EXPECT_GT(plenty.steps.at("q").bytes, uint64_t{8} << 20);
  for (uint64_t kib : {1024u, 20000u}) {
    const auto tight = testing::run_job(yaml, folder, "tight", {2, 2, kib << 10});
    for (const auto& [id, step] : plenty.steps) EXPECT_EQ(step.content_hash, tight.steps.at(id).content_hash) << id << " with " << kib << " KiB";
  }
}

}  // namespace
}  // namespace throng
