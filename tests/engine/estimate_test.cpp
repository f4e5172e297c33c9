// What a trial on samples foretells, and that it leaves nothing behind.
#include "framework/engine/estimate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/run.h"
#include "framework/engine/trial.h"
#include "jobs/spec/yaml_job.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

std::string events(int n, const std::string& last = "") {
  std::string text;
  for (int i = 0; i < n; ++i)
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"text\":\"word{} and common words\",\"n\":{}}}\n", i % 50, 1700000000 + i, i % 97, i);
  return text + last;
}

struct Setting {
  testing::TemporaryFolder folder;
  graph::Job job;
  engine::Estimates estimates;
  bool before_a_run = false;

  void run(const std::string& steps, bool estimated = true) {
    folder.write("job.yaml", "job: j\nsteps:\n" + steps);
    ::setenv("TMPDIR", (folder / "tmp").c_str(), 1);
    make_folder(folder / "tmp");
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      graph::Faults faults;
      job = spec::read_job(folder / "job.yaml", {}, faults);
      auto plan = engine::prepare(job, comm, std::move(faults));
      if (estimated) {
        estimates = engine::estimate(job, plan, before_a_run ? engine::Wanted::kBeforeARun : engine::Wanted::kForItself);
        text = estimates.text(plan, 4);
      }
    });
    ::unsetenv("TMPDIR");
    EXPECT_TRUE(std::filesystem::is_empty(folder / "tmp")) << "the trial left something behind";
  }
  std::string text;
};

TEST(Estimate, RowsFollowFromTheSample) {
  Setting s;
  s.folder.write("e.jsonl", events(20'000));
  s.run("  e: { op: read_events, path: e.jsonl, partitions: 7 }\n  half: { op: filter, from: e, where: \"n % 2 == 0\" }\n"
        "  t: { op: tokenize, from: half }\n  v: { op: word2vec, from: t, dim: 2, epochs: 1, min_count: 1 }\n  q: { op: sequences, from: half }\n");
  ASSERT_EQ(s.estimates.trouble, "");
  EXPECT_NEAR(double(s.estimates.total_rows), 20'000, 600);
  auto rows = [&](const char* step) { return s.estimates.steps.at(step).rows; };
  EXPECT_NEAR(rows("e"), 20'000, 700);
  EXPECT_NEAR(rows("half"), 10'000, 400);
  EXPECT_NEAR(rows("t"), 10'000, 400);
  EXPECT_LT(rows("v"), 200) << "a vocabulary does not grow with the text for ever";
  EXPECT_GE(rows("v"), 97);
  EXPECT_NEAR(rows("q"), 10'000, 400);
  EXPECT_GT(s.estimates.steps.at("q").shuffled, 0);
  EXPECT_TRUE(s.estimates.steps.at("e").fused);
  EXPECT_FALSE(s.estimates.steps.at("t").fused);
  EXPECT_GE(s.estimates.seconds(), 0);
  EXPECT_THAT(s.text, ::testing::HasSubstr("4 workers"));
  auto again = engine::Estimates::from_json(s.estimates.to_json());
  EXPECT_EQ(again.to_json(), s.estimates.to_json());
}

// A grid of hours is as large of 248 rows as of all.
TEST(Estimate, AGridIsNotTriedForLongBeforeARun) {
  Setting s;
  s.folder.write("e.jsonl", events(20'000));
  s.before_a_run = true;
  const std::string counts = "  e: { op: read_events, path: e.jsonl }\n  c: { op: aggregate, from: e, by: [\"n % 7 as k\", \"date_trunc('hour', ts) as hour\"], aggregates: { n: count() } }\n";
  s.run(counts + "  g: { op: fill_gaps, from: c, by: [k], ts: hour, every: 1h, start: 2020-01-01, end: 2025-01-01 }\n");
  EXPECT_TRUE(s.estimates.steps.empty());
  EXPECT_THAT(s.estimates.trouble, ::testing::HasSubstr("rows of 248"));
  s.before_a_run = false;
  s.run(counts + "  g: { op: fill_gaps, from: c, by: [k], ts: hour, every: 1h, start: 2020-01-01, end: 2025-01-01 }\n");
  EXPECT_EQ(s.estimates.trouble, "");
  EXPECT_NEAR(s.estimates.steps.at("g").rows, 7 * 24 * 1827, 7 * 24);
  s.before_a_run = true;
  s.run(counts);
  EXPECT_EQ(s.estimates.trouble, "");
  EXPECT_GE(s.estimates.large_rows, 992);
}

TEST(Estimate, ABadSampleEndsTheTrialOnly) {
  Setting s;
  s.folder.write("e.jsonl", events(600));
  s.run("  e: { op: read_events, path: e.jsonl }\n  f: { op: derive, from: e, columns: { big: \"n * 9223372036854775807\" } }\n  t: { op: tokenize, from: f }\n");
  EXPECT_THAT(s.estimates.trouble, ::testing::HasSubstr("does not fit"));
  EXPECT_EQ(s.estimates.seconds(), -1);
  EXPECT_THAT(s.text, ::testing::HasSubstr("does not fit"));
}

TEST(Estimate, ATrialThatWouldTrainForEverIsGivenUp) {
  Setting s;
  s.folder.write("e.jsonl", events(600));
  s.run("  e: { op: read_events, path: e.jsonl }\n  t: { op: tokenize, from: e }\n  v: { op: vocabulary, from: t }\n  m: { op: word2vec, from: t, epochs: 1000000000 }\n", false);
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    graph::Faults faults;
    const auto plan = engine::prepare(s.job, comm, faults);
    const auto trial = engine::run_trial(s.job, plan.discovered, plan.choices, 0.5, s.folder / "trial", {}, 2);
    EXPECT_EQ(trial.fault, Fault::kStopped);
    EXPECT_THAT(trial.trouble, ::testing::HasSubstr("took longer than 2.00 s"));
    EXPECT_TRUE(trial.records.contains("t"));
    EXPECT_FALSE(trial.records.contains("m"));
  });
}

TEST(Estimate, SmallJobsAreNotTried) {
  Setting s;
  s.folder.write("e.jsonl", events(100));
  s.run("  e: { op: read_events, path: e.jsonl }\n");
  EXPECT_TRUE(s.estimates.steps.empty());
  EXPECT_EQ(s.text, "");
}

TEST(Estimate, TheRunIsTheSameWithAndWithout) {
  Setting s;
  s.folder.write("e.jsonl", events(3000, "rotten\n"));
  const std::string steps = "  e: { op: read_events, path: e.jsonl, on_bad_row: quarantine }\n  t: { op: tokenize, from: e }\n";
  s.run(steps, false);
  std::vector<std::string> hashes;
  for (bool estimate : {false, true})
    comm::run_on_threads(2, [&](comm::Communicator& comm) {
      engine::RunOptions options;
      options.out = s.folder / (estimate ? "with" : "without");
      options.memory_bytes = uint64_t{256} << 20;
      options.estimate = estimate;
      auto result = engine::run(s.job, engine::prepare(s.job, comm, {}), comm, options);
      if (comm.rank() != 0) return;
      hashes.push_back(result.steps.at(0).content_hash);
      auto state = engine::RunDirectory(options.out).state();
      EXPECT_EQ(state["predicted"].is_object(), estimate);
      EXPECT_EQ(result.steps.at(0).nodes["e"]["counters"].value("rows_bad", 0), 1) << result.steps.at(0).nodes.dump();
      std::string kept;
      for (const auto& file : expand_glob(options.out / "steps/*/state/quarantine-*")) kept += read_file(file);
      EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), 1);
    });
  EXPECT_EQ(hashes.at(0), hashes.at(1));
}

}  // namespace
}  // namespace throng
