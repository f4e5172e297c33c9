// Data-parallel training with the same bits on any number of ranks: gradients by logical shard, summed in a fixed tree.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "framework/base/thread_pool.h"
#include "framework/comm/communicator.h"
#include "framework/nn/optimizer.h"
#include "framework/tensor/packed.h"
#include "framework/train/softmax_states.h"
#include "framework/train/weights.h"

namespace throng::train {

/// Loss and number of targets behind a gradient.
struct ShardLoss {
  double loss = 0;
  int64_t targets = 0;
  size_t bytes = 0;  ///< of the tape at its peak; 0: not known
};

/// Where the gradient of a shard goes, and what helps to find it.
struct ShardGradient {
  std::span<float> dense;                              ///< has no room for tables
  nn::TableRows<float>& tables;
  tensor::PackedCache<float>& packed;                  ///< layouts of the step's weights, for all its shards
  const nn::TableRows<float>* rows;                    ///< weights of the rows that the model said it uses; null where it has no tables
  const std::function<void(size_t entry)>& complete;   ///< what Tape::backward takes; a model that never calls it is summed later
};

/// An epoch that is done, as the model is told of it.
struct EpochEnd {
  int64_t epoch = 0;  ///< counted from 0
  double training_loss = 0;
  /// Collective. All weights of a model, on every rank, brought together at the first call. Where there are tables they lie in a file in the folder of the checkpoints
  /// (Checkpoints::weights_file), and are read from there as memory.
  std::function<Weights()> weights;
  /// Rank-local, used on rank 0 only. `write` puts something on disk that a run which goes on from after this epoch needs: it is called beside the steps that follow, before the next checkpoint is put in
  /// its place. Where an earlier epoch's has not been called by then it never is.
  std::function<void(std::function<void()> write)> before_checkpoint;
};

/// The rows of a matrix that a softmax is over; none: the model's loss is no such softmax.
struct SoftmaxClasses {
  const nn::Parameter* table = nullptr;
  bool sampled = false;                 ///< few rows at a time, of any matrix (SampledSoftmax); otherwise all, of a table (TableSoftmax)
  const nn::Parameter* bias = nullptr;  ///< all rows: a table of as many rows and one column that is added to the scores; null: none
  std::span<const float> log_q{};       ///< sampled: what SampledSoftmax takes off
};

/// What is trained. The trainer calls it for the shards this rank owns; calls for different shards run at once.
class Model {
 public:
  virtual ~Model() = default;
  virtual const nn::Parameters& parameters() const = 0;
  /// Minibatches of an epoch; the same on every rank.
  virtual int64_t steps_per_epoch() const = 0;
  /// Takes the rows of tables that shard `shard` of minibatch `step` uses into `wanted` (Rows::want). To be written where there are tables; each rank has a part of
  /// their rows only. Called by one thread, before `gradient`.
  virtual void want_rows(int64_t epoch, int64_t step, int shard, nn::TableRows<float>& wanted) { (void)epoch, (void)step, (void)shard, (void)wanted; }
  /// Asks the disk for what minibatch `step` of a shard reads, where that is not in memory: called before the one before it is computed, by its thread.
  virtual void prefetch(int64_t epoch, int64_t step, int shard) { (void)epoch, (void)step, (void)shard; }
  /// Adds the gradient of the summed loss of shard `shard` of minibatch `step`. `weights` are without tables.
  virtual ShardLoss gradient(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into) = 0;
  /// Where the model's loss is a softmax that all ranks compute together: its classes. With it the trainer does not call `gradient`, but for each minibatch `forward` for all shards, and then
  /// `go_back` for all.
  virtual SoftmaxClasses softmax() const { return {}; }
  /// Of a sampled softmax: the rows that minibatch `step` is compared with, the same on every rank.
  virtual std::vector<int32_t> sample(int64_t epoch, int64_t step) const { return (void)epoch, (void)step, std::vector<int32_t>(); }
  /// The states that the softmax is taken of; they stay until `go_back`. Adds nothing to the dense gradient. All shards of a rank are held at a time: memory grows with the
  /// minibatch, not with threads.
  virtual SoftmaxStates forward(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into);
  /// Adds the rest of the gradient, from that of the states, to where `forward` was told; returns the bytes of the tape at its peak. Calls for different shards run at once.
  virtual size_t go_back(int shard, std::span<const float> gradient, const std::function<void(size_t entry)>& complete);
  /// Training is over: what only it needs may go.
  virtual void trained() {}
  /// What a shard of this rank carries from step to step of an epoch, beside the weights; checkpoints keep it.
  virtual std::vector<float> shard_state(int shard) const { return (void)shard, std::vector<float>(); }
  /// Takes it back; called before training goes on within an epoch.
  virtual void restore_shard(int shard, std::span<const float> state) { (void)shard, (void)state; }
  /// Collective. Called after each epoch; false on every rank ends the training early. May be called again for the last one after a crash.
  virtual bool epoch_done(const EpochEnd& end) = 0;
};

/// Where the time of this rank's steps went, in seconds.
struct StepProfile {
  int64_t steps = 0;
  double rows = 0;        ///< getting rows of tables
  double gradients = 0;   ///< forward and back, of all shards of this rank
  double sums = 0;        ///< waiting for sums over ranks that were not hidden behind the way back, and clipping
  double update = 0;      ///< the optimiser
  double share = 0;       ///< weights to all ranks
  double checkpoint = 0;  ///< copying the state; it is written beside the steps
  size_t tape_bytes = 0;  ///< values and gradients that a shard's tape held at the most
  nlohmann::json to_json() const;
};

struct TrainerOptions {
  int64_t epochs = 1;
  int shards = 8;  ///< a power of two, at least the number of ranks that shall work
  uint64_t seed = 1;                    ///< of the first weights
  std::function<void(std::span<float>)> begin;  ///< changes the first weights, on each rank alike; not called where a checkpoint is there
  nn::OptimizerOptions optimizer;
  nn::Schedule schedule;                ///< cosine without an end falls to its least at the last step
  double clip = 5;                      ///< longest gradient; 0: any
  int64_t accumulate = 1;               ///< minibatches whose gradients make one step: as one of them all, in the memory of one
  int64_t checkpoint_every = 200;       ///< steps; 0: after each epoch only
  double checkpoint_seconds = 0;        ///< and when so long has gone by; 0: not by time
  bool checkpoint_beside = true;        ///< they are written beside the steps that follow, and one that comes due meanwhile is put off; off: steps wait for the disk, with the same bits
  int64_t keep_checkpoints = 1;         ///< the newest is checkpoint.h5; more than one: so many under their own names, too
  std::filesystem::path folder;         ///< checkpoint.h5 lives here
  bool overlap = true;                  ///< sums over ranks go on during the way back; off: after it, with the same bits
  bool host_memory = true;              ///< GradientSums::Options
  bool bfloat16_wire = false;           ///< gradients travel as GradientSums::Wire::kBfloat16
  bool bfloat16_stored = false;         ///< EpochEnd::weights, and what `train` returns, are rounded to bfloat16; training goes on with what they were
  StepProfile* profile = nullptr;       ///< of this rank's steps
  std::function<void(double fraction, const std::string& text)> progress;
  std::function<bool()> stop_agreed;    ///< collective; true: write a checkpoint and throw
};

/// Logical shards of a run: `wanted`; or, where results may depend on ranks and threads, as many as there are of these, up to a power of two.
int shards_of_run(int wanted, bool reproducible, const comm::Communicator& comm, const ThreadPool& pool);
/// A job error where so many ranks would leave some without a shard.
void check_shards(int shards, bool reproducible, int num_ranks);
/// A job error where a minibatch of so many examples, or rows where `rows` is not 0, has less than one for each shard.
void check_batch(int64_t batch, int64_t rows, int shards);

/// Collective. Trains from the checkpoint in `folder`, or from the start, and returns the final weights, the same on every
/// rank. A data error names the step where the loss is no longer finite.
Weights train(Model& model, comm::Communicator& comm, ThreadPool& pool, const TrainerOptions& options);

}  // namespace throng::train
