// One run of a job on the ranks of a communicator.
#pragma once
#include "framework/engine/executor.h"

namespace throng::engine {

struct RunOptions {
  std::filesystem::path out;  ///< the run directory itself
  int threads = 1;
  uint64_t memory_bytes = 0;  ///< per rank; 0, or more than that: 0.8 of the host's limit, shared by the ranks on this host
  uint64_t spill_quota_bytes = UINT64_MAX;  ///< per rank, on $TMPDIR
  ExchangeKind exchange = ExchangeKind::kStream;  ///< how shuffles travel; results are the same
  int branches = kDefaultBranches;  ///< of the plan that go on at the same time, where there are as many threads
  bool resume = false;        ///< the directory must hold a run of this job
  double checkpoint_every = 0;  ///< seconds between checkpoints inside a step's stages; 0: only when told to stop
  bool estimate = false;      ///< foretell rows and times by a trial on samples, unless nothing is to be done
  std::filesystem::path learned_from;  ///< replay a finished run's frozen chain on new rows
  ProgressSink progress;
  std::function<void(const std::string&)> warn = {};  ///< rank 0: what the estimate makes doubtful, before the first row
};

struct RunResult {
  std::vector<StepRecord> steps;  ///< rank 0 only
  std::string plan_text;
  nlohmann::json predicted;       ///< rank 0: the estimates, and the memory foretold; null where there are none
  int workers = 1;                ///< ranks times threads
  double seconds = 0;
};

/// Collective. Builds, checks and plans the job: rank 0 looks at the inputs, all ranks make the same plan. One job error
/// lists all faults (those already found in `faults` too). `choices`: made before; otherwise samples are taken where steps leave one open.
Plan prepare(const graph::Job& job, comm::Communicator& comm, graph::Faults faults, bool replay = false, const Choices* choices = nullptr);

/// Collective. Runs the plan in the run directory; finished steps with unchanged keys are skipped.
RunResult run(const graph::Job& job, Plan plan, comm::Communicator& comm, RunOptions options);

/// A new job for `throng apply`: the same steps with the source's path replaced, without steps that neither map rows nor
/// learn (reports). A job error where the job has several sources.
graph::Job job_for_new_events(const graph::Job& job, const std::string& new_events);

}  // namespace throng::engine
