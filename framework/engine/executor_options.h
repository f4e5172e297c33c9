// How a plan is run on a rank, and what is told of it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "framework/engine/exchange.h"
#include "framework/engine/plan.h"

namespace throng::engine {

/// Progress for people: what a step is doing. Called on rank 0, by one thread at a time.
struct Progress {
  std::string step, op, text;
  double fraction = 0;  ///< 0 to 1
  int64_t rows = 0;
  double seconds = 0;
  bool finished = false, skipped = false;
};
using ProgressSink = std::function<void(const Progress&)>;

/// Independent branches that go on at the same time, where nothing else is said.
inline constexpr int kDefaultBranches = 1;

struct ExecutorOptions {
  int threads = 1;
  uint64_t memory_bytes = uint64_t{1} << 30;
  uint64_t spill_quota_bytes = UINT64_MAX;
  /// Go on from the checkpoint of a task that did not finish.
  bool resume = false;
  /// Seconds between checkpoints inside a task; 0: only when the run is told to stop.
  double checkpoint_every = 0;
  /// Where learned state is read from when the plan replays a run.
  std::filesystem::path learned_from;
  ProgressSink progress;
  /// Independent branches of the plan that go on at the same time, each with a thread of its own; no more than `threads`, or comm::kMostLanes.
  int branches = 1;
  ExchangeKind exchange = ExchangeKind::kStream;
  /// False before a task: the run ends there, on all ranks, and the plan is made anew.
  std::function<bool(const Task&)> go_on = {};
  /// Steps that look for a wish to stop find one after so many seconds (a trial's; of ranks in one process); 0: never.
  double stop_after = 0;
};

}  // namespace throng::engine
