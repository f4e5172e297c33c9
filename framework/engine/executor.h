// Runs the tasks of a plan on one rank.
#pragma once
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/engine/branches.h"
#include "framework/engine/rank_state.h"

namespace throng::engine {

class Executor {
 public:
  Executor(Plan& plan, comm::Communicator& comm, RunDirectory directory, ExecutorOptions options);
  /// Collective. Runs or skips every task, independent branches at the same time; false where `go_on` ended it.
  bool run();
  /// Records of this run's tasks, in the plan's order (rank 0).
  std::vector<StepRecord> records() const;

 private:
  /// Up to `num_lanes` of the tasks at the same time: whenever a lane is free, rank 0 chooses the next one that need not wait.
  void run_beside(const std::vector<size_t>& tasks, const std::vector<std::set<size_t>>& after, size_t num_lanes);
  void run_task(Lane& lane, size_t index);
  /// Rank 0. Whether the task is done already; if not, its folder is ready for it.
  bool done_before(const Task& task);
  /// Rank 0. Copies what `save:` names of a finished step, unless the same is there already.
  void save_outputs(const graph::Node& node) const;
  void finish(size_t index, const StepRecord& record, bool skipped);
  void tell(const Progress& progress);

  RankState state_;
  comm::Communicator& comm_;
  std::mutex mutex_;  // of what follows, and of the sink
  std::vector<std::optional<StepRecord>> records_;  // by task
};

}  // namespace throng::engine
