// Independent branches of a plan that go on at the same time: which may, that they do, and that nothing depends on it.
#include "framework/engine/branches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "framework/base/clock.h"
#include "framework/base/random.h"
#include "framework/base/stop_signal.h"
#include "framework/comm/lanes.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/run.h"
#include "framework/graph/registry.h"
#include "jobs/spec/yaml_job.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using engine::Branches;
using testing::JobRun;
using testing::JobSettings;
using ::testing::HasSubstr;

std::string events(int n) {
  Random random(3, 0, 0);
  std::string text;
  for (int i = 0; i < n; ++i)
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"item\":{},\"value\":{}}}\n", random.below(200), 1700000000 + random.below(400000), random.below(90), double(random.below(1000)) / 7);
  return text;
}

// `left`, `right` and `runs` wait for `e` alone, `most` for two of them.
const std::string kJob = R"yaml(job: j
steps:
  e: { op: read_events, path: e.jsonl, types: { item: int64, value: float64 }, partitions: 7 }
  left: { op: sort, from: e, by: [user, ts] }
  right: { op: aggregate, from: e, by: [item], aggregates: { n: count(), s: sum(value) } }
  runs: { op: sessionize, from: e, gap: 10m }
  next: { op: transitions, from: runs, value: item }
  both: { op: join, from: [left, right], on: [item], strategy: shuffle }
  most: { op: top_k, from: both, k: 20, order: [-s, user, ts] }
save: { left: left, right: right }
)yaml";

std::string with_steps(const std::string& more) { return std::string(kJob).insert(kJob.find("save:"), more); }

class BranchesOfAJob : public ::testing::Test {
 protected:
  void SetUp() override { folder_.write("e.jsonl", events(3000)); }
  testing::TemporaryFolder folder_;
};

TEST_F(BranchesOfAJob, EachTaskComesAfterWhatItReads) {
  const engine::Plan plan = testing::plan_of(kJob, folder_);
  auto id = [&](size_t t) { return plan.graph.nodes[plan.tasks[t].node].step.id; };
  const Branches branches = engine::branches_of(plan);
  ASSERT_EQ(branches.segments.size(), 1u);
  EXPECT_EQ(branches.segments[0].tasks.size(), plan.tasks.size());
  EXPECT_EQ(branches.segments[0].width, 3u) << "what waits for e alone";
  std::map<std::string, std::set<std::string>> after;
  for (size_t t = 0; t < plan.tasks.size(); ++t)
    for (size_t earlier : branches.after[t]) {
      EXPECT_LT(earlier, t);
      after[id(t)].insert(id(earlier));
    }
  EXPECT_EQ(after["right"], std::set<std::string>{"e"});
  EXPECT_THAT(after["most"], ::testing::IsSupersetOf({"left", "right"})) << "the join is a part of it";
}

TEST_F(BranchesOfAJob, StepsThatCallALibraryOverMpiAreAlone) {
  const engine::Plan plan = testing::plan_of(with_steps("  file: { op: write, from: left, path: out.h5 }\n  text: { op: write, from: right, path: out.csv }\n"), folder_);
  const Branches branches = engine::branches_of(plan);
  ASSERT_EQ(branches.segments.size(), 3u);
  ASSERT_EQ(branches.segments[1].tasks.size(), 1u);
  EXPECT_EQ(plan.graph.nodes[plan.tasks[branches.segments[1].tasks[0]].node].step.id, "file");
}

TEST_F(BranchesOfAJob, GiveTheSameResultsInAnyNumber) {
  const JobRun one = testing::run_job(kJob, folder_, "one", {.ranks = 1, .threads = 2, .branches = 1});
  for (auto [ranks, threads, branches] : {std::tuple(1, 2, 2), {1, 4, 4}, {2, 2, 2}, {3, 3, 3}, {5, 2, 2}, {2, 8, 8}}) {
    const std::string out = fmt::format("r{}b{}", ranks, branches);
    const JobRun run = testing::run_job(kJob, folder_, out, {.ranks = ranks, .threads = threads, .branches = branches});
    ASSERT_EQ(run.steps.size(), one.steps.size());
    for (const auto& [id, step] : one.steps) {
      EXPECT_EQ(step.content_hash, run.steps.at(id).content_hash) << id << ", " << out;
      for (const auto& [node, counts] : step.nodes.items()) EXPECT_EQ(counts["rows"], run.steps.at(id).nodes[node]["rows"]) << id << " " << node << ", " << out;
    }
  }
}

// Ends when another such step has begun too, or with an error after a while.
struct Meet {
  static constexpr auto kOp = "test_meet";
  static constexpr auto kSummary = "waits for another";
  static auto fields() { return graph::fields(); }
};
class MeetOperator : public graph::CollectiveOperator {
 public:
  explicit MeetOperator(Meet) {}
  data::Schema bind(const std::vector<data::Schema>& inputs) override { return inputs[0]; }
  void run(graph::CollectiveContext& context) override {
    const int wanted = 2 * context.comm().size();
    ++begun;
    for (Stopwatch watch; begun < wanted; std::this_thread::sleep_for(std::chrono::milliseconds(1)))
      if (watch.seconds() > waits_for) throw data_error("nobody came");
    context.output("", context.input_schema(0), 1);
  }
  static inline std::atomic<int> begun{0};
  static inline double waits_for = 10;
};

TEST_F(BranchesOfAJob, GoOnAtTheSameTimeWhereThereAreThreads) {
  [[maybe_unused]] static const bool once = [] { return graph::registry().add<Meet, MeetOperator>(), true; }();
  const std::string job = with_steps("  one: { op: test_meet, from: e }\n  two: { op: test_meet, from: e }\n");
  auto meets = [&](int ranks, int threads, int branches, double waits_for) {
    MeetOperator::begun = 0, MeetOperator::waits_for = waits_for;
    try {
      testing::run_job(job, folder_, fmt::format("m{}{}{}", ranks, threads, branches), {.ranks = ranks, .threads = threads, .branches = branches});
      return true;
    } catch (const Error& error) {
      EXPECT_THAT(error.text(), HasSubstr("nobody came"));
      return false;
    }
  };
  EXPECT_TRUE(meets(1, 2, 2, 60));
  EXPECT_TRUE(meets(2, 2, 2, 60));
  EXPECT_TRUE(meets(1, 8, 3, 60));
  EXPECT_FALSE(meets(1, 2, 1, 0.05));
  EXPECT_FALSE(meets(1, 1, 2, 0.05)) << "each has a thread of its own";
}

TEST_F(BranchesOfAJob, AnErrorInOneEndsTheOthers) {
  const std::string wrong = with_steps("  bad: { op: derive, from: left, columns: { x: \"cast(user as int)\" } }\n  worse: { op: sort, from: bad, by: [x] }\n");
  for (int ranks : {1, 2, 3}) {
    try {
      testing::run_job(wrong, folder_, fmt::format("wrong{}", ranks), {.ranks = ranks, .threads = 2, .branches = 2});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kData) << error.text();
      EXPECT_THAT(error.text(), HasSubstr("step 'bad' (derive)"));
    }
  }
}

TEST_F(BranchesOfAJob, StoppedTheyAllKeepWhatTheyHave) {
  const JobRun whole = testing::run_job(kJob, folder_, "whole");
  int stops = 0;
  for (;; ++stops) {
    ASSERT_LT(stops, 60) << "it does not advance";
    int calls = 0;
    JobSettings settings{.ranks = 1 + stops % 3, .threads = 2, .resume = stops > 0, .branches = 2};
    settings.progress = [&](const engine::Progress& p) {
      if (!p.finished && ++calls == 9) set_stop_wished(true);
    };
    try {
      const JobRun run = testing::run_job(kJob, folder_, "stopped", settings);
      set_stop_wished(false);
      for (const auto& [id, step] : whole.steps) EXPECT_EQ(step.content_hash, run.steps.at(id).content_hash) << id;
      break;
    } catch (const Error& error) {
      set_stop_wished(false);
      ASSERT_EQ(error.fault(), Fault::kStopped) << error.text();
    }
  }
  EXPECT_GE(stops, 3);
}

TEST(Lanes, KeepMessagesApartAndFailTogether) {
  for (int ranks : {1, 2, 3}) {
    std::atomic<int> heard{0};
    try {
      comm::run_on_threads(ranks, [&](comm::Communicator& base) {
        comm::Lanes lanes(base, 3);
        std::vector<std::thread> threads;
        for (int k = 0; k < 3; ++k)
          threads.emplace_back([&, k] {
            try {
              for (int i = 0; i < 200 + 100 * k; ++i) ASSERT_EQ(lanes[k].allreduce(int64_t{k} * 1000 + i, comm::Op::kSum), ranks * (int64_t{k} * 1000 + i));
              if (k == 0 && base.rank() == 0) lanes.fail(data_error("lane 0 of rank 0"));
              for (;;) lanes[k].allreduce(1), lanes[k].transport().idle();
            } catch (const comm::PeerFailure& failure) {
              EXPECT_THAT(failure.cause().message(), HasSubstr("lane 0 of rank 0"));
              ++heard;
            }
          });
        for (auto& thread : threads) thread.join();
      });
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr("lane 0 of rank 0"));
    }
    EXPECT_EQ(heard, 3 * ranks);
  }
}

}  // namespace
}  // namespace throng
