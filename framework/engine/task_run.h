// One task of the plan under way on one rank: its stages, the rows that wait between them, its checkpoints and counts.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/clock.h"
#include "framework/engine/checkpoint.h"
#include "framework/engine/stage_pass.h"

namespace throng::engine {

/// Collective, as a whole: every rank makes it, runs it, and finishes it. One thread.
class TaskRun {
 public:
  /// Told of what it does: a text, the fraction of this rank's work, its rows so far.
  using Tell = std::function<void(const std::string& text, double fraction, int64_t rows)>;
  /// `record` takes what the task measured and wrote.
  TaskRun(RankState& state, Lane& lane, const Task& task, StepRecord& record, Tell tell);

  void run();
  /// Seconds since it was made, on this rank.
  double seconds() const { return watch_.seconds(); }
  /// Rank 0, when the record is written: a checkpoint is of no use any more.
  void remove_checkpoint();

 private:
  void run_collective();
  data::Manifest run_stages();
  void send(size_t stage, const std::vector<int64_t>& finished);
  data::Manifest write(size_t stage, const std::vector<int64_t>& finished, const std::string& written);
  /// The rest of what this rank has to do in a stage, in rounds: `run` works on partitions, and gives how many it was through with when
  /// the round ended; `meet` is what all ranks do together then; `written` what the stage has made durable by itself.
  void run_rounds(size_t stage, const std::vector<int64_t>& finished, const std::function<size_t(std::span<const int64_t>)>& run, const std::function<void()>& meet,
                  const std::function<std::string()>& written);
  StagePass pass(const Stage& stage) { return {state_, lane_, stage, sides_, counts_, buckets_}; }
  void drop_buckets(const Stage& stage);
  void collect_counts();

  RankState& state_;
  Lane& lane_;
  const Task& task_;
  const graph::Node& node_;
  StepRecord& record_;
  Tell tell_;
  Stopwatch watch_;
  WaitingRows buckets_;  // between a send stage and the one that groups
  SideInputs sides_;
  StepCounts counts_;
  std::optional<CheckpointFolder> checkpoints_;
};

}  // namespace throng::engine
