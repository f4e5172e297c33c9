// Runs the tasks of a plan on one rank.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "framework/engine/rank_state.h"

namespace throng::engine {

class TaskRun;

class Executor {
 public:
  Executor(Plan& plan, comm::Communicator& comm, RunDirectory directory, ExecutorOptions options);
  /// Collective. Runs or skips every task in order; false where `go_on` ended it.
  bool run();
  /// Records of this run's tasks, in order (rank 0).
  const std::vector<StepRecord>& records() const { return records_; }
  const std::set<std::string>& skipped() const { return skipped_; }

 private:
  void run_task(const Task& task);
  /// Rank 0. Whether the task is done already; if not, its folder is ready for it.
  bool done_before(const Task& task);
  /// Rank 0. Copies what `save:` names of a finished step, unless the same is there already.
  void save_outputs(const graph::Node& node) const;
  void tell(Progress progress) const;

  RankState state_;
  Lane lane_;
  std::vector<StepRecord> records_;
  std::set<std::string> skipped_;
};

}  // namespace throng::engine
