// Runs the tasks of a plan on one rank.
#pragma once
#include <functional>
#include <memory>
#include <set>

#include "framework/base/clock.h"
#include "framework/base/memory.h"
#include "framework/base/thread_pool.h"
#include "framework/base/files.h"
#include "framework/engine/checkpoint.h"
#include "framework/engine/exchange.h"
#include "framework/engine/grouping.h"
#include "framework/engine/plan.h"
#include "framework/engine/rounds.h"
#include "framework/engine/routing.h"
#include "framework/engine/run_directory.h"
#include "framework/engine/side_inputs.h"
#include "framework/engine/step_counts.h"

namespace throng::engine {

/// Progress for people: what a step is doing. Called on rank 0 by the thread that runs it.
struct Progress {
  std::string step, op, text;
  double fraction = 0;  ///< 0 to 1
  int64_t rows = 0;
  double seconds = 0;
  bool finished = false, skipped = false;
};
using ProgressSink = std::function<void(const Progress&)>;

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
  ExchangeKind exchange = ExchangeKind::kStream;
  /// False before a task: the run ends there, on all ranks, and the plan is made anew.
  std::function<bool(const Task&)> go_on = {};
};

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
  data::Manifest run_stages(const Task& task, StepRecord& record);
  void run_collective(const Task& task, StepRecord& record);
  void send_stage(const Task& task, StepRecord& record, size_t stage, const std::vector<int64_t>& finished);
  /// Collective.
  void collect_counts(const Task& task, StepRecord& record);
  /// The rest of what this rank has to do in a stage, in rounds: `run` works on partitions, and gives how many it was through with when
  /// the round ended; `meet` is what all ranks do together then; `written` what the stage has made durable by itself.
  void run_rounds(const Task& task, StepRecord& record, size_t stage, const std::vector<int64_t>& finished, const std::function<size_t(std::span<const int64_t>)>& run,
                  const std::function<void()>& meet, const std::function<std::string()>& written);
  SampledInput sampled_input(const Stage& stage);
  void drop_buckets(const Stage& stage);
  data::Batch apply_maps(const Stage& stage, data::Batch batch);
  data::Schema input_schema(size_t node, size_t input);
  std::shared_ptr<const data::Schema> stored_schema(size_t node, size_t input);
  Grouping grouping(size_t node);
  Resources resources() { return {budget_, quota_, temporary_folder()}; }
  struct Place {
    int64_t partition = 0, row = 0;  ///< `row` is the work's own count
    double fraction = 0;             ///< of this rank's partitions, this one included
  };
  struct Weight {
    uint64_t bytes = 0;
    bool large = false;
  };
  using Blocks = std::vector<std::vector<StoredBlock>>;
  Weight weight(const Stage& stage, int64_t partition);
  const data::DatasetReader* stored_head(const Stage& stage);
  bool dropped(const Stage& stage, const data::Schema& schema, const data::PiecePlace& piece);
  void produce(const Stage& stage, const Grouping* groups, int64_t partition, Blocks blocks, bool stream, const std::function<void(data::Batch)>& emit);
  /// Calls `work` on the pool with the rows of each of these partitions after the maps, piece by piece, then `body` in the calling thread
  /// with what it gave, in order. Partitions that the budget cannot take as a whole are streamed. Returns how many it was through with when
  /// the round was due to end.
  template <class Result>
  size_t for_each_piece(const Stage& stage, std::span<const int64_t> partitions, const std::function<Result(Place&, data::Batch)>& work, const std::function<void(Place, Result)>& body);
  int64_t num_partitions(const Stage& stage);
  /// Of a node's output; of an input when `stored`.
  int64_t partitions_of(size_t node, const std::string& output, bool stored);
  void tell(const std::string& text, double fraction, int64_t rows = 0);
  void stop_if_wished();
  /// Rank 0. Copies what `save:` names of a finished step, unless the same is there already.
  void save_outputs(const graph::Node& node) const;
  const data::DatasetReader& reader(size_t node, const std::string& output);

  Plan& plan_;
  comm::Communicator& comm_;
  RunDirectory directory_;
  ExecutorOptions options_;
  ThreadPool pool_;
  MemoryBudget budget_;
  SpillQuota quota_;
  std::map<std::pair<size_t, std::string>, std::unique_ptr<data::DatasetReader>> readers_;
  WaitingRows buckets_;  // between a send stage and the one that groups
  Rounds rounds_;
  std::optional<CheckpointFolder> checkpoints_;  // of the task under way
  SideInputs sides_;
  StepCounts counts_;
  uint64_t num_exchanges_ = 0;
  std::vector<StepRecord> records_;
  std::set<std::string> skipped_;
  const Task* current_ = nullptr;
  Stopwatch task_watch_;
};

}  // namespace throng::engine
