// Checkpoints inside a stage: a run that is stopped or dies in the middle of a shuffle, a sort or a write goes on from there, on any number
// of ranks, with the same results and without doing anything twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/base/random.h"
#include "framework/base/stop_signal.h"
#include "framework/engine/run.h"
#include "framework/graph/registry.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using testing::JobRun;
using testing::JobSettings;

std::string events(int n, uint64_t seed) {
  Random random(seed, 0, 0);
  std::string text;
  for (int i = 0; i < n; ++i)
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"item\":{},\"value\":{}}}\n", random.below(3) ? random.below(300) : 0, 1700000000 + random.below(400000), random.below(500),
                        double(random.below(1000000)) / 7);
  return text;
}

// A shuffle, a sort, a write without an exchange, a join of two shuffles, and two shuffles in one task: `moves` counts what `runs` gives.
const std::string kJob = R"yaml(job: j
steps:
  e: { op: read_events, path: e.jsonl, types: { item: int64, value: float64 }, partitions: 16 }
  q: { op: read_events, path: q.jsonl, types: { item: int64, value: float64 }, partitions: 5 }
  plain: { op: filter, from: e, where: "item < 400" }
  sums: { op: aggregate, from: e, by: [item], aggregates: { n: count(), s: sum(value), d: count_distinct(user) } }
  sorted: { op: sort, from: e, by: [user, -ts] }
  both: { op: join, from: [e, q], on: [user, item], how: full, strategy: shuffle }
  runs: { op: sessionize, from: e, gap: 10m }
  moves: { op: aggregate, from: runs, by: [session], aggregates: { n: count(), last: last(item) } }
save: { plain: saved }
)yaml";

void expect_equal(const JobRun& whole, const JobRun& other, const std::string& what) {
  ASSERT_EQ(whole.steps.size(), other.steps.size());
  for (const auto& [id, step] : whole.steps) EXPECT_EQ(step.content_hash, other.steps.at(id).content_hash) << id << ": " << what;
}

std::map<std::string, int64_t> rows_of(const JobRun& run) {
  std::map<std::string, int64_t> rows;
  for (const auto& [id, step] : run.steps)
    for (const auto& [node, counts] : step.nodes.items()) rows[id + "/" + node] = counts["rows"];
  return rows;
}

class Checkpoints : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.write("e.jsonl", events(20000, 1));
    folder_.write("q.jsonl", events(4000, 2));
    whole_ = testing::run_job(kJob, folder_, "whole");
    ASSERT_TRUE(whole_.steps.count("plain") && whole_.steps.count("sorted") && whole_.steps.count("moves"));
  }
  testing::TemporaryFolder folder_;
  JobRun whole_;
};

TEST_F(Checkpoints, KeepingEachPartitionChangesNothing) {
  for (auto [ranks, threads, kib] : {std::tuple(1, 2, 1 << 16), {2, 1, 1 << 16}, {3, 2, 512}, {5, 1, 1 << 16}}) {
    const JobRun run = testing::run_job(kJob, folder_, "each", {ranks, threads, uint64_t(kib) << 10, false, 1e-9});
    expect_equal(whole_, run, fmt::format("{} ranks", ranks));
    EXPECT_EQ(rows_of(whole_), rows_of(run)) << ranks << " ranks";
    for (const char* id : {"plain", "sums", "sorted", "both", "moves"}) {
      EXPECT_GE(run.steps.at(id).metrics.value("checkpoints", 0), 2) << id;
      EXPECT_FALSE(std::filesystem::exists(folder_ / "each/steps" / id / "checkpoint")) << "it is done";
    }
    std::filesystem::remove_all(folder_ / "each");
  }
  EXPECT_FALSE(whole_.steps.at("sorted").metrics.contains("checkpoints"));
}

// Stops, as SIGTERM would, after a few partitions; goes on with other ranks and threads, until it is through.
TEST_F(Checkpoints, StoppedAgainAndAgainItEndsWithNothingDoneTwice) {
  const std::vector<std::pair<int, int>> worlds{{2, 1}, {1, 2}, {3, 1}, {5, 2}, {2, 2}};
  int stops = 0;
  for (;; ++stops) {
    ASSERT_LT(stops, 100) << "it does not advance";
    auto [ranks, threads] = worlds[size_t(stops) % worlds.size()];
    int calls = 0;
    JobSettings settings{ranks, threads, uint64_t{1} << 20, stops > 0};
    settings.progress = [&](const engine::Progress& p) {
      if (!p.finished && ++calls % 6 == 5) set_stop_wished(true);
    };
    try {
      const JobRun run = testing::run_job(kJob, folder_, "stopped", settings);
      set_stop_wished(false);
      expect_equal(whole_, run, fmt::format("after {} stops", stops));
      EXPECT_EQ(rows_of(whole_), rows_of(run));
      break;
    } catch (const Error& error) {
      set_stop_wished(false);
      ASSERT_EQ(error.fault(), Fault::kStopped) << error.text();
    }
  }
  EXPECT_GE(stops, 10);
}

// Dies between two checkpoints, with rows under way: what was not kept is done again, once.
TEST_F(Checkpoints, ARunThatDiesGoesOnFromTheLastOne) {
  const std::vector<std::pair<int, int>> worlds{{3, 1}, {2, 2}, {1, 1}};
  int deaths = 0, from_checkpoint = 0;
  for (;; ++deaths) {
    ASSERT_LT(deaths, 100) << "it does not advance";
    auto [ranks, threads] = worlds[size_t(deaths) % worlds.size()];
    int calls = 0;
    JobSettings settings{ranks, threads, uint64_t{1} << 20, deaths > 0, 1e-9};
    settings.progress = [&](const engine::Progress& p) {
      if (!p.finished && ++calls == 6) throw std::runtime_error("struck");
    };
    for (const auto& step : {"plain", "sums", "sorted", "both", "moves"}) from_checkpoint += std::filesystem::exists(folder_ / "died/steps" / step / "checkpoint/checkpoint.json");
    try {
      const JobRun run = testing::run_job(kJob, folder_, "died", settings);
      expect_equal(whole_, run, fmt::format("after {} deaths", deaths));
      EXPECT_EQ(rows_of(whole_), rows_of(run)) << "counts of what was lost are lost too";
      break;
    } catch (const Error& error) {
      ASSERT_THAT(error.text(), ::testing::HasSubstr("struck"));
    }
  }
  EXPECT_GT(deaths, 8);
  EXPECT_GT(from_checkpoint, 5);
}

TEST_F(Checkpoints, ADamagedOneIsNamed) {
  testing::run_until(kJob, folder_, "hurt", "shuffling", {2, 1});
  std::filesystem::path found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / "hurt/steps"))
    if (entry.path().filename() == "checkpoint.json") found = entry.path();
  ASSERT_FALSE(found.empty());
  const std::string text = read_file(found);
  auto fails = [&](const std::string& says) {
    try {
      testing::run_job(kJob, folder_, "hurt", {2, 1, uint64_t{256} << 20, true});
      ADD_FAILURE() << "went on";
    } catch (const Error& error) {
      EXPECT_THAT(error.text(), ::testing::HasSubstr(says));
    }
  };
  write_file_atomically(found, text.substr(0, text.size() / 2));
  fails("checkpoint.json: damaged");
  write_file_atomically(found, text);
  for (const auto& entry : std::filesystem::directory_iterator(found.parent_path()))
    if (entry.path() != found) std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) / 2);
  fails("blocks-");
}

}  // namespace
}  // namespace throng
