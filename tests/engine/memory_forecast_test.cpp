// What a run is foretold to hold: by stage, within a budget, and what is warned of.
#include "framework/engine/memory_forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/run.h"
#include "framework/engine/run_report.h"
#include "jobs/spec/yaml_job.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Two in three rows are of user 0.
std::string events(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"n\":{},\"text\":\"{}\"}}\n", i % 3 ? 0 : i, 1700000000 + i, i, std::string(100, 't'));
  return text;
}

struct Setting {
  testing::TemporaryFolder folder;
  graph::Job job;
  engine::Plan plan;
  engine::Estimates estimates;

  explicit Setting(const std::string& steps, int n = 30'000) {
    folder.write("e.jsonl", events(n));
    folder.write("job.yaml", "job: j\nsteps:\n  e: { op: read_events, path: e.jsonl, partitions: 8 }\n" + steps);
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      graph::Faults faults;
      job = spec::read_job(folder / "job.yaml", {}, faults);
      plan = engine::prepare(job, comm, std::move(faults));
      estimates = engine::estimate(job, plan);
    });
    EXPECT_EQ(estimates.trouble, "");
  }
  engine::MemoryForecast on(int ranks, int threads, uint64_t memory, int branches = 1) const { return engine::forecast_memory(plan, estimates, {ranks, threads, memory, branches}); }
};

TEST(MemoryForecast, BranchesThatGoOnAtTheSameTimeShareTheBudget) {
  const Setting s("  d: { op: distinct, from: e, on: [n] }\n  w: { op: sort, from: e, by: [n] }\n");
  const auto one = s.on(1, 2, 4 * kMiB, 1), two = s.on(1, 2, 4 * kMiB, 2), no_thread = s.on(1, 1, 4 * kMiB, 2);
  auto stage_of = [&](const engine::MemoryForecast& f, const std::string& step) {
    for (const auto& stage : f.stages)
      if (stage.stage == 0 && s.plan.graph.nodes[s.plan.tasks[stage.task].node].step.id == step) return stage;
    return engine::StageMemory{};
  };
  EXPECT_NEAR(stage_of(one, "d").waiting, 2.0 * kMiB, 1);
  EXPECT_NEAR(stage_of(two, "d").waiting, 1.0 * kMiB, 1);
  EXPECT_NEAR(stage_of(no_thread, "d").waiting, 2.0 * kMiB, 1);
  EXPECT_EQ(stage_of(one, "d").beside, 0);
  EXPECT_GE(stage_of(two, "d").beside, stage_of(two, "w").held());
  EXPECT_GE(stage_of(two, "w").beside, stage_of(two, "d").held());
}

TEST(MemoryForecast, WhatWaitsIsSharedByRanksAndGoesToDiskBeyondHalfOfTheBudget) {
  const Setting s("  d: { op: distinct, from: e, on: [n] }\n");
  const double sent = s.estimates.steps.at("d").sent.at(0);
  EXPECT_NEAR(sent, 30'000 * 150.0, 30'000 * 40);
  const auto plenty = s.on(1, 1, 1024 * kMiB);
  ASSERT_EQ(plenty.stages.size(), 2u);
  EXPECT_NEAR(plenty.stages[0].waiting, sent, 1);
  EXPECT_NEAR(plenty.stages[1].waiting, sent, 1);
  EXPECT_EQ(plenty.spilled(), 0);
  EXPECT_TRUE(plenty.warnings.empty());
  EXPECT_NEAR(s.on(4, 1, 1024 * kMiB).stages[0].waiting, sent / 4, 1);
  EXPECT_GT(s.on(1, 4, 1024 * kMiB).stages[1].working, 1.5 * plenty.stages[1].working) << "more threads, more partitions at once";
  const auto tight = s.on(1, 1, 1 * kMiB);
  EXPECT_NEAR(tight.stages[0].waiting, kMiB / 2.0, 1);
  EXPECT_NEAR(tight.spilled(), 0.5 * (sent - double(kMiB) / 2) + 0.5 * sent, 1) << "what does not wait in memory, and sorted runs; half as large in LZ4";
  EXPECT_TRUE(tight.stages[1].streamed);
  ASSERT_EQ(tight.warnings.size(), 1u);
  EXPECT_THAT(tight.warnings[0], HasSubstr("step 'd' (distinct): a partition of "));
  EXPECT_LE(tight.stages[1].held(), kMiB);
  EXPECT_GT(tight.peak(), 0);
  EXPECT_THAT(tight.text(s.plan), HasSubstr("sorted: "));
  EXPECT_EQ(tight.to_json(s.plan)["steps"].size(), 1u);
}

TEST(MemoryForecast, AGroupThatWillNotFitIsNamedBeforehand) {
  const Setting s("  o: { op: over, from: e, by: [user], order: [ts], columns: { before: lag(n) } }\n");
  EXPECT_TRUE(s.on(1, 1, 16 * kMiB).warnings.empty());
  const auto tight = s.on(1, 1, 1 * kMiB);
  const std::string all = fmt::format("{}", fmt::join(tight.warnings, "\n"));
  EXPECT_THAT(all, HasSubstr(R"(step 'o' (over): the rows of {"user":"u0"} take about )"));
  EXPECT_THAT(all, HasSubstr("this step will fail"));
  // And it does; an operator that takes portions does not, and is not warned of.
  EXPECT_THROW(testing::run_job(read_file(s.folder / "job.yaml"), s.folder, "out", {1, 1, 1 * kMiB}), Error);
  const Setting portions("  o: { op: sessionize, from: e, by: user }\n");
  EXPECT_THAT(fmt::format("{}", fmt::join(portions.on(1, 1, 1 * kMiB).warnings, "\n")), ::testing::Not(HasSubstr("will fail")));
}

TEST(MemoryForecast, SidesCountWhole) {
  const Setting s("  a: { op: filter, from: e, where: \"n % 2 == 0\" }\n  j: { op: join, from: [e, a], on: [n], how: left, strategy: broadcast }\n");
  const double side = 2 * s.estimates.steps.at("a").bytes;
  double found = 0;
  for (const auto& stage : s.on(3, 1, 1024 * kMiB).stages) found += stage.sides;
  EXPECT_NEAR(found, side, 1);
  const auto tight = s.on(3, 1, 2 * kMiB);
  EXPECT_THAT(fmt::format("{}", fmt::join(tight.warnings, "\n")), HasSubstr("each rank is to hold all of 'a'"));
}

TEST(MemoryForecast, ARunWarnsAndShowsItBesideWhatWasHeld) {
  Setting s("  d: { op: distinct, from: e, on: [n] }\n");
  std::vector<std::string> warnings;
  int64_t memory = 0;
  comm::run_on_threads(2, [&](comm::Communicator& comm) {
    engine::RunOptions options;
    options.out = s.folder / "out", options.memory_bytes = 1 * kMiB, options.estimate = true;
    options.warn = [&](const std::string& text) { warnings.push_back(text); };
    const auto result = engine::run(s.job, engine::prepare(s.job, comm, {}), comm, options);
    if (comm.rank() != 0) return;
    EXPECT_EQ(result.workers, 2);
    const auto predicted = engine::predicted_of(result.predicted, "d", result.workers);
    EXPECT_NEAR(predicted["rows"].get<double>(), 30'000, 1500);
    memory = predicted["memory"];
    EXPECT_GT(memory, int64_t(kMiB));
    EXPECT_GT(predicted["shuffled"].get<double>(), 0);
    EXPECT_TRUE(engine::predicted_of(result.predicted, "none", 2).is_null());
    EXPECT_TRUE(engine::predicted_of(nullptr, "d", 2).is_null());
  });
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(read_file(s.folder / "out/run.log"), HasSubstr("warning: " + warnings[0]));
  engine::write_report(s.folder / "out");
  EXPECT_NE(read_file(s.folder / "out/report.html").find(fmt::format("\"predicted_memory\":{}", memory)), std::string::npos);
}

}  // namespace
}  // namespace throng
