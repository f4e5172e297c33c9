// What the tasks of a plan share on one rank.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "framework/base/clock.h"
#include "framework/base/memory.h"
#include "framework/base/spill_file.h"
#include "framework/base/thread_pool.h"
#include "framework/data/dataset.h"
#include "framework/engine/executor_options.h"
#include "framework/engine/rounds.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {

/// The plan, the datasets that steps have stored, and the rank's threads. Thread-safe but for what the plan's operators hold.
class RankState {
 public:
  RankState(Plan& plan, RunDirectory directory, ExecutorOptions options);

  Plan& plan() const { return plan_; }
  const RunDirectory& directory() const { return directory_; }
  const ExecutorOptions& options() const { return options_; }
  ThreadPool& pool() { return pool_; }
  SpillQuota& quota() { return quota_; }
  /// This process was asked to stop, or has had its time.
  bool stop_wished() const;
  graph::Node& node(size_t n) const { return plan_.graph.nodes[n]; }

  /// What a finished step has stored; opened once.
  const data::DatasetReader& reader(size_t node, const std::string& output);
  data::Schema input_schema(size_t node, size_t input);
  /// Of a stage's head.
  int64_t num_partitions(const Stage& stage);
  /// Of a node's output; of an input when `stored`.
  int64_t partitions_of(size_t node, const std::string& output, bool stored);

 private:
  Plan& plan_;
  RunDirectory directory_;
  ExecutorOptions options_;
  ThreadPool pool_;
  SpillQuota quota_;
  Stopwatch since_start_;
  std::mutex mutex_;
  std::map<std::pair<size_t, std::string>, std::unique_ptr<data::DatasetReader>> readers_;
};

/// What one task at a time works with: an equal share of the rank's memory where several go on. One thread.
struct Lane {
  Lane(RankState& state, comm::Communicator& comm, uint64_t memory_bytes) : comm(comm), budget(memory_bytes), quota(state.quota()), rounds(comm, state.options().checkpoint_every) {}
  comm::Communicator& comm;
  MemoryBudget budget;
  SpillQuota quota;
  Rounds rounds;
  uint64_t num_exchanges = 0;
};

/// The error of a step, with its name, its place in the plan and the partition it was at.
Error in_step(Error error, const graph::Node& node, int64_t step, int64_t partition);

}  // namespace throng::engine
