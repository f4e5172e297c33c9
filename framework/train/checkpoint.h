// The state of a training run, global and logical: any number of ranks goes on from it.
#pragma once
#include <filesystem>
#include <future>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/nn/optimizer.h"
#include "framework/train/gradient_sums.h"

namespace throng::train {

/// The next step to do, and what the epoch has shown so far.
struct Cursor {
  int64_t epoch = 0, step = 0;
  double epoch_loss = 0;
  int64_t epoch_targets = 0;
  int64_t shards = 0;  ///< that minibatches were cut for
  std::vector<std::vector<float>> shard_states;  ///< what shards carry: to `save` those of this rank, from `load` all
};

/// Writes and reads them. Rank 0 writes, beside the steps that follow; an error in that is thrown by the next call.
class Checkpoints {
 public:
  Checkpoints(std::filesystem::path folder, int64_t keep) : folder_(std::move(folder)), keep_(keep) {}
  ~Checkpoints();

  /// Collective. Copies the state, of which each rank has its slices, and returns; the file is there after the next call of `save` or `finish`.
  void save(comm::Communicator& comm, const Cursor& cursor, const std::vector<float>& weights, const nn::Optimizer<float>& optimizer, const GradientSums& sums);
  /// Collective. Waits until the last one is written.
  void finish(comm::Communicator& comm);
  /// Collective. Reads the newest one where there is one; false where not. A data error where it is another model's.
  bool load(comm::Communicator& comm, Cursor& cursor, std::vector<float>& weights, nn::Optimizer<float>& optimizer, const GradientSums& sums, size_t num_weights);

 private:
  void wait();
  std::filesystem::path newest() const { return folder_ / "checkpoint.h5"; }
  std::filesystem::path folder_;
  int64_t keep_;
  std::future<void> writing_;
};

}  // namespace throng::train
