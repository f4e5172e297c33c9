// The state of a training run, global and logical: any number of ranks goes on from it.
#pragma once
#include <filesystem>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/nn/optimizer.h"
#include "framework/train/gradient_sums.h"
#include "framework/train/table_shards.h"

namespace throng::train {

/// The next step to do, and what the epoch has shown so far.
struct Cursor {
  int64_t epoch = 0, step = 0;
  double epoch_loss = 0;
  int64_t epoch_targets = 0;
  int64_t shards = 0;  ///< that minibatches were cut for
  std::vector<std::vector<float>> shard_states;  ///< what shards carry: to `save` those of this rank, from `load` all
};

/// Writes and reads them. Rank 0 writes what all ranks have, and each rank its part of the tables, beside the steps that follow; an error in that is thrown by
/// the next call.
class Checkpoints {
 public:
  Checkpoints(std::filesystem::path folder, int64_t keep) : folder_(std::move(folder)), keep_(keep) {}
  ~Checkpoints();

  /// Collective. Whether all ranks have written the last one: then `save` takes no longer than a copy.
  bool written(comm::Communicator& comm) const;
  /// Collective. Copies the state, of which each rank has its slices and its rows, and returns; first waits for the last one. `write_before`, unless it is empty, is called by the thread
  /// that writes, on rank 0, before the checkpoint is put in its place.
  void save(comm::Communicator& comm, const Cursor& cursor, const std::vector<float>& weights, const nn::Optimizer<float>& optimizer, const GradientSums& sums, const TableShards& tables, std::function<void()> write_before = {});
  /// Collective. Puts the last one in the place of the one before, if all ranks have written it. To be called now and then.
  void look(comm::Communicator& comm);
  /// Collective. Waits for the last one and puts it in place.
  void finish(comm::Communicator& comm);
  /// Collective. Reads the newest one where there is one; false where not. A data error where it is another model's.
  bool load(comm::Communicator& comm, Cursor& cursor, std::vector<float>& weights, nn::Optimizer<float>& optimizer, const GradientSums& sums, TableShards& tables);
  /// Where the trainer puts all weights of a model with tables after so many epochs, for judging. Other hosts may see for a while what a name stood for before, so each has its own.
  static std::filesystem::path weights_file(const std::filesystem::path& folder, int64_t epochs);
  /// Rank 0. Those of other epochs go.
  static void remove_weights_files(const std::filesystem::path& folder, int64_t but_epochs);
  /// Rank 0, when the step is recorded as done: the newest goes, and all weights_file. Those kept under their own names stay.
  static void remove_newest(const std::filesystem::path& folder);

 private:
  std::filesystem::path newest() const { return folder_ / "checkpoint.h5"; }
  std::filesystem::path folder_;
  int64_t keep_;
  std::future<void> writing_;
  std::string waiting_, waiting_rows_;  ///< the tags of what all ranks write, until it is put in place
};

}  // namespace throng::train
