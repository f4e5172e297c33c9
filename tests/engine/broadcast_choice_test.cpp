// Which joins are broadcast where the user leaves it open: by the data alone, and the rows are those of the strategy by name.
#include "framework/engine/broadcast_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/run.h"
#include "jobs/spec/yaml_job.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;

// Of the first 5,000 rows one in a hundred is late, of those behind all.
std::string events(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"n\":{},\"late\":{},\"pad\":\"{}\"}}\n", i * 7 % 997, 1700000000 + i, i, i >= 5000 || i % 100 == 0, std::string(60, 'p'));
  return text;
}

const std::string kJob = R"yaml(job: j
steps:
  e: { op: read_events, path: e.jsonl, types: { n: int64, late: bool } }
  left: { op: filter, from: e, where: "n % 50 == 0" }
  few: { op: filter, from: e, where: "n % 100 == 0" }
  late: { op: filter, from: e, where: late }
)yaml";

std::string join(const std::string& id, const std::string& right, const std::string& how, const std::string& strategy) {
  return fmt::format("  {}: {{ op: join, from: [left, {}], on: [n], how: {}, strategy: {} }}\n", id, right, how, strategy);
}

TEST(BroadcastChoice, RowsAreThoseOfTheStrategyByNameWithinAnyMemory) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(20'000));
  std::string yaml = kJob + "  wide: { op: derive, from: e, columns: { text: \"concat(repeat('x', 400), user)\" } }\n";
  for (const char* how : {"inner", "left", "semi", "anti"})
    for (const char* strategy : {"auto", "broadcast"}) yaml += join(fmt::format("small_{}_{}", how, strategy), "few", how, strategy);
  for (const char* strategy : {"auto", "shuffle"}) yaml += join(fmt::format("large_{}", strategy), "wide", "left", strategy);
  for (const char* strategy : {"auto", "shuffle"}) yaml += join(fmt::format("full_{}", strategy), "few", "full", strategy);
  for (const auto& settings : {testing::JobSettings{1, 1}, {3, 2}, {2, 1, uint64_t{16} << 20}}) {
    const auto run = testing::run_job(yaml, folder, fmt::format("out{}", settings.ranks), settings);
    for (const char* how : {"inner", "left", "semi", "anti"})
      EXPECT_EQ(run.steps.at(fmt::format("small_{}_auto", how)).content_hash, run.steps.at(fmt::format("small_{}_broadcast", how)).content_hash) << how;
    EXPECT_EQ(run.steps.at("large_auto").content_hash, run.steps.at("large_shuffle").content_hash);
    EXPECT_EQ(run.steps.at("full_auto").content_hash, run.steps.at("full_shuffle").content_hash) << "a full join cannot be broadcast";
    EXPECT_GT(run.steps.at("small_inner_auto").rows, 100);
  }
}

TEST(BroadcastChoice, ThePlanSaysWhatWasChosenAndWhy) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(20'000));
  const auto plan = testing::plan_of(kJob + "  wide: { op: derive, from: e, columns: { text: \"concat(repeat('x', 2000), user)\" } }\n" + join("a", "few", "inner", "auto") + join("b", "wide", "inner", "auto") +
                                        join("c", "few", "inner", "shuffle") + "  middle: { op: derive, from: e, columns: { text: \"concat(repeat('x', 600), user)\" } }\n" + join("d", "middle", "semi", "auto"), folder);
  EXPECT_THAT(plan.text(), HasSubstr("with all of few"));
  EXPECT_THAT(plan.text(), HasSubstr("a is a broadcast: 'few' has about "));
  EXPECT_THAT(plan.text(), HasSubstr("b is a shuffle: 'wide' has about "));
  EXPECT_THAT(plan.text(), HasSubstr("d is a broadcast if 'middle' turns out to take at most 8.0 MiB, else a shuffle: by a sample, 'middle' has about 20,"));
  EXPECT_EQ(plan.choices.broadcasts.size(), 3u) << "the user's choice is none of ours";
  EXPECT_NEAR(plan.choices.broadcasts.at("a").rows, 200, 20);
  EXPECT_NEAR(plan.choices.broadcasts.at("b").rows, 20'000, 1000);
}

// What is read of a join, and which columns, must not change the order of its rows.
TEST(BroadcastChoice, DoesNotDependOnTheColumnsThatAreRead) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(20'000));
  const std::string wide = "  wide: { op: derive, from: e, columns: { text: \"concat(repeat('x', 2000), user)\" } }\n";
  const auto all = testing::plan_of(kJob + wide + join("a", "wide", "left", "auto"), folder);
  const auto one = testing::plan_of(kJob + wide + join("a", "wide", "left", "auto") + "  s: { op: select, from: a, columns: [user] }\n", folder);
  EXPECT_EQ(all.choices.broadcasts.at("a").to_json(), one.choices.broadcasts.at("a").to_json());
  EXPECT_FALSE(one.choices.broadcasts.at("a").broadcast);
}

TEST(BroadcastChoice, IsRevisedWhereTheSampleMisled) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(100'000));
  const std::string yaml = kJob + join("a", "late", "left", "auto");
  EXPECT_TRUE(testing::plan_of(yaml, folder).choices.broadcasts.at("a").broadcast);
  const auto expected = testing::run_job(kJob + join("a", "late", "left", "shuffle"), folder, "named");
  testing::JobSettings first{2, 1};
  std::map<std::string, int> told;
  first.progress = [&](const engine::Progress& p) { told[p.step] += p.finished; };
  const auto run = testing::run_job(yaml, folder, "out", first);
  for (const auto& [step, times] : told) EXPECT_EQ(times, 1) << step;
  EXPECT_EQ(run.steps.at("a").content_hash, expected.steps.at("a").content_hash);
  EXPECT_GT(run.steps.at("a").bytes_shuffled, 0u);
  EXPECT_THAT(read_file(folder / "out/plan.txt"), HasSubstr("a is a shuffle: 'late' has 95,050 rows"));
  EXPECT_THAT(read_file(folder / "out/run.log"), HasSubstr("counted when they were stored"));
  // Again, with other memory on other ranks: the same choice, and nothing to do.
  testing::JobSettings again{3, 1, uint64_t{64} << 20, true};
  int run_again = 0;
  again.progress = [&](const engine::Progress& p) { run_again += p.finished && !p.skipped; };
  EXPECT_EQ(testing::run_job(yaml, folder, "out", again).steps.at("a").key, run.steps.at("a").key);
  EXPECT_EQ(run_again, 0);
}

// What a sample cannot read is told when all rows are read.
TEST(BroadcastChoice, ABadSampleMeansAShuffle) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(6000));
  const auto plan = testing::plan_of(kJob + "  bad: { op: derive, from: e, columns: { m: \"(n + 1) * 9223372036854775807\" } }\n" + join("a", "bad", "left", "auto"), folder);
  EXPECT_FALSE(plan.choices.broadcasts.at("a").broadcast);
  EXPECT_THAT(plan.text(), HasSubstr("a is a shuffle: a sample does not tell how large 'bad' is"));
}

// The choice must not follow from the state of a disk.
TEST(BroadcastChoice, NoRoomForASampleIsAnError) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(6000));
  ::setenv("TMPDIR", (folder / "none").c_str(), 1);
  try {
    testing::plan_of(kJob + join("a", "few", "left", "auto"), folder);
    ADD_FAILURE() << "there is no such folder";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kSystem);
    EXPECT_THAT(e.text(), HasSubstr("step 'a' (join)"));
    EXPECT_THAT(e.hint(), HasSubstr("strategy"));
  }
  ::unsetenv("TMPDIR");
}

}  // namespace
}  // namespace throng
