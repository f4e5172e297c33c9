// Groups whose values are dealt out over all ranks: the same rows as with each group on one rank, with less memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/base/random.h"
#include "framework/engine/spread_choice.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng {
namespace {
using ::testing::HasSubstr;
using ::testing::Not;

std::string events(int n) {
  std::string text = "user,ts,action,item,value\n";
  for (int i = 0; i < n; ++i) {
    Random random(5, uint64_t(i));
    auto maybe = [&](const std::string& v) { return random.below(17) == 0 ? std::string() : v; };
    const char* actions[] = {"view", "view", "view", "view", "like", "buy"};
    text += fmt::format("u{},{},{},{},{}\n", random.below(700), 1'700'000'000 + int64_t(random.below(4000)) * 1800, actions[random.below(6)], maybe(fmt::format("{}", random.below(900))),
                        maybe(fmt::format("{}", double(random.below(2000)) / 7 - 100)));
  }
  return text;
}

const std::string kEvents = "job: j\nsteps:\n  events: { op: read_events, path: e.csv, partitions: 11, types: { item: int64, value: float64 } }\n";

std::string aggregate(const std::string& name, const std::string& by, const std::string& strategy) {
  return fmt::format(R"yaml(  {}: {{ op: aggregate, from: events, by: [{}], strategy: {}, aggregates: {{ n: count(), m: count(value), s: sum(value), a: mean(value), sd: stddev(value), lo: min(value), hi: max(item), d: count_distinct(item), du: count_distinct(user), dv: count_distinct(value), ad: approx_distinct(user), q: "quantile(value, 0.9)", t: "top_k(item, 3)", tu: "top_k(user, 700)", f: first(item), l: "last(value, ts)" }} }}
)yaml",
                     name, by, strategy);
}

TEST(SpreadChoice, GivesTheRowsOfGroupsThatAreTogether) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", events(6000));
  std::string yaml = kEvents, spread = kEvents;
  const std::vector<std::string> by{"", "action", "item", "\"date_trunc('day', ts) as day\", action"};
  for (size_t k = 0; k < by.size(); ++k) {
    yaml += aggregate(fmt::format("t{}", k), by[k], "together") + aggregate(fmt::format("s{}", k), by[k], "spread");
    spread += aggregate(fmt::format("s{}", k), by[k], "spread");
  }
  yaml += "  none: { op: filter, from: events, where: \"value > 1e9\" }\n  of_none: { op: aggregate, from: none, strategy: spread, aggregates: { n: count(), d: count_distinct(user), t: \"top_k(user, 2)\" } }\n";
  const auto run = testing::run_on_all_rank_counts(yaml, folder);
  for (size_t k = 0; k < by.size(); ++k) {
    EXPECT_EQ(run.steps.at(fmt::format("t{}", k)).content_hash, run.steps.at(fmt::format("s{}", k)).content_hash) << by[k];
    EXPECT_EQ(run.steps.count(fmt::format("s{}.spread", k)), 0u) << "what lies between is not stored";
  }
  EXPECT_EQ(run.rows("s0").column("du").as_int64(0), 700);
  ASSERT_EQ(run.steps.at("of_none").rows, 1);
  EXPECT_EQ(run.rows("of_none").column("d").as_int64(0), 0);
  for (auto [kib, ranks] : {std::pair(300u, 3), {700u, 1}}) {
    const auto tight = testing::run_job(spread, folder, "tight", {ranks, 2, uint64_t{kib} << 10});
    for (const auto& [id, step] : tight.steps) EXPECT_EQ(step.content_hash, run.steps.at(id).content_hash) << id;
  }
}

// 60,000 values of a key take a megabyte; half of that is there.
TEST(SpreadChoice, MoreValuesOfOneKeyThanMemoryHolds) {
  testing::TemporaryFolder folder;
  std::string text = "user,ts,item\n";
  for (int i = 0; i < 60'000; ++i) text += fmt::format("{},{},i{}\n", i < 50 ? "few" : "many", 1'700'000'000 + i, i);
  folder.write("e.csv", text);
  auto job = [](const std::string& strategy) {
    return fmt::format("job: j\nsteps:\n  events: {{ op: read_events, path: e.csv, partitions: 20 }}\n  items: {{ op: aggregate, from: events, by: [user], strategy: {}, aggregates: {{ d: count_distinct(item) }} }}\n",
                       strategy);
  };
  const testing::JobSettings tight{2, 1, uint64_t{512} << 10};
  EXPECT_THAT(testing::error_of([&] { testing::run_job(job("together"), folder, "together", tight); }).text(), HasSubstr("many"));
  const auto run = testing::run_job(job("spread"), folder, "spread", tight);
  const auto rows = run.rows("items");
  for (int64_t r = 0; r < 2; ++r) EXPECT_EQ(rows.column("d").as_int64(r), rows.column("user").string(r) == "few" ? 50 : 59'950);
}

TEST(SpreadChoice, FollowsFromASampleWhereThereAreRowsEnough) {
  testing::TemporaryFolder folder;
  std::string text = "user,ts,item\n";
  constexpr int kRows = 1'300'000;  // a sample says a few more
  for (int i = 0; i < kRows; ++i) text += fmt::format("{},{},{}\n", i % 10 ? "hot" : fmt::format("u{}", i % 1000), i / 8, i % 5000);
  folder.write("e.csv", text);
  const std::string yaml = "job: j\nsteps:\n  events: { op: read_events, path: e.csv, types: { item: int64 } }\n";
  auto step = [](const std::string& by, const std::string& what, const std::string& strategy) {
    return fmt::format("  {}: {{ op: aggregate, from: events, by: [{}], strategy: {}, aggregates: {{ n: count(), x: {} }} }}\n", strategy == "auto" ? "chosen" : "named", by, strategy, what);
  };
  const auto run = testing::run_job(yaml + step("user", "count_distinct(item)", "auto") + step("user", "count_distinct(item)", "together"), folder, "out", {2, 1});
  const std::string plan = read_file(folder / "out/plan.txt");
  EXPECT_THAT(plan, HasSubstr("chosen deals the values of 1 hot key out over 32 parts: by a sample, it has about 1,"));
  EXPECT_THAT(plan, HasSubstr("group chosen.spread ((spread)) -> shuffle by [user]"));
  EXPECT_THAT(plan, Not(HasSubstr("named deals")));
  EXPECT_EQ(run.steps.at("chosen").content_hash, run.steps.at("named").content_hash);
  // Small groups, or small states.
  for (const auto& [by, what] : {std::pair("item", "count_distinct(user)"), {"user", "approx_distinct(item)"}})
    EXPECT_THAT(testing::plan_of(yaml + step(by, what, "auto"), folder).text(), Not(HasSubstr("deals"))) << by;
}

}  // namespace
}  // namespace throng
