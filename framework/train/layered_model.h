// A model of layers, trained on examples that lie in logical shards.
#pragma once
#include <memory>

#include "framework/nn/tape.h"
#include "framework/train/trainer.h"

namespace throng::train {

/// A shard of a model with a softmax over ranks, between its way forward and its way back. One thread.
struct Halfway {
  nn::Tape<float> tape;
  nn::Var states;
  bool empty = true;  ///< the shard has nothing in this minibatch
  /// What `Model::forward` returns; `targets`: the class of each row of `states`.
  SoftmaxStates softmax_states(std::vector<int32_t> targets) { return {states.rows, tape.value(states), std::move(targets)}; }
  /// What `Model::go_back` does.
  size_t go_back(std::span<const float> gradient, const std::function<void(size_t entry)>& complete);
};

/// Shuffles the examples of each shard anew in each epoch, cuts minibatches, and goes through a tape; a model of one's own adds its layers to `parameters_` when it
/// is made, says how many examples its shards have, and puts the loss of some of them on a tape. Order and random numbers follow from the seed, the epoch
/// and the shard, so that ranks have no part in them.
class LayeredModel : public Model {
 public:
  /// `batch`: examples of a minibatch over all shards, at least one of each. `batch_rows`, unless it is 0: rows of a minibatch instead, however many examples that are.
  LayeredModel(int64_t batch, int shards, uint64_t seed, int64_t batch_rows = 0)
      : per_shard_(std::max<int64_t>(1, batch / shards)), rows_per_shard_(batch_rows == 0 ? 0 : std::max<int64_t>(1, batch_rows / shards)), shards_(shards), seed_(seed) {}

  const nn::Parameters& parameters() const override { return parameters_; }
  int64_t steps_per_epoch() const override { return steps_; }
  ShardLoss gradient(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into) override;
  void want_rows(int64_t epoch, int64_t step, int shard, nn::TableRows<float>& wanted) override;
  void prefetch(int64_t epoch, int64_t step, int shard) override { prefetch_examples(shard, examples_of(epoch, step, shard)); }
  SoftmaxStates forward(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into) override;
  size_t go_back(int shard, std::span<const float> gradient, const std::function<void(size_t entry)>& complete) override;
  void trained() override { std::fill(halfway_.begin(), halfway_.end(), nullptr); }
  bool epoch_done(const EpochEnd& end) override { return (void)end, true; }

  /// To freeze some of them, or change how they begin or learn, before training.
  nn::Parameters& change_parameters() { return parameters_; }
  int first_shard() const { return first_; }

  /// What `use` puts on a tape, as its loss, without a gradient: how a model is judged. Thread-safe.
  double loss_of(std::span<const float> weights, const std::function<void(nn::Tape<float>&)>& use) const;

 protected:
  /// Collective. `lengths`: of the examples of each shard of this rank, in order (comm.first_shard), in rows. To be called before training.
  void set_example_lengths(comm::Communicator& comm, std::vector<std::vector<uint32_t>> lengths);
  /// The same of examples of one length.
  void set_examples(comm::Communicator& comm, const std::vector<size_t>& examples);
  /// Puts the summed loss of some examples of a shard that this rank holds on the tape, and returns the number of targets behind it. Called by several threads
  /// at once for different shards.
  virtual int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const = 0;
  /// Instead of `put_loss`, where there is a `softmax`: puts what the softmax is taken of, and says the class of each row; where no row has one, any Var will do.
  virtual nn::Var put_states(nn::Tape<float>& t, int shard, std::span<const size_t> examples, std::vector<int32_t>& classes) const;
  /// Takes in the rows of tables that `put_loss` will use of these examples; to be written where there are tables. `random` is what Tape::random_before gives there.
  virtual void want_rows_of(int shard, std::span<const size_t> examples, Random random, nn::TableRows<float>& wanted) const { (void)shard, (void)examples, (void)random, (void)wanted; }
  /// The disk may be asked for these, which the next minibatch has; to be written where examples are not in memory (SpillArena::will_need).
  virtual void prefetch_examples(int shard, std::span<const size_t> examples) const { (void)shard, (void)examples; }

  /// Random numbers that all shards of a minibatch have alike.
  Random random_of_minibatch(int64_t epoch, int64_t step) const { return Random(seed_, name_of(epoch, step), 1); }

  nn::Parameters parameters_;

 private:
  struct Order {
    int64_t epoch = -1;
    std::vector<size_t> examples;
    std::vector<size_t> ends;  ///< by minibatch: of its examples
  };
  std::span<const size_t> examples_of(int64_t epoch, int64_t step, int shard);
  uint64_t name_of(int64_t epoch, int64_t step) const;
  uint64_t stream_of(int64_t epoch, int64_t step, int shard) const;
  int64_t per_shard_, rows_per_shard_;
  int shards_, first_ = 0;
  uint64_t seed_;
  int64_t steps_ = 0;
  std::vector<std::vector<uint32_t>> lengths_;
  std::vector<Order> orders_;
  std::vector<std::unique_ptr<Halfway>> halfway_;
};

/// The tape of this thread: its memory is kept from step to step.
nn::Tape<float>& thread_tape();

}  // namespace throng::train
