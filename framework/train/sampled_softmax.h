// A softmax over few rows of a matrix, the same for all states of a minibatch: each shard computes the part of its stretch of these rows, so that no row's gradient is summed over shards.
#pragma once
#include <functional>
#include <memory>

#include "framework/base/thread_pool.h"
#include "framework/nn/tape.h"
#include "framework/tensor/packed.h"
#include "framework/train/softmax_states.h"

namespace throng::train {

/// What a minibatch is compared with: the rows that were drawn, each once, in the order in which they first were.
struct SampledRows {
  std::vector<int32_t> rows;
  std::vector<float> log_times;  ///< the logarithm of how often each was drawn; empty: all once
  SampledRows() = default;
  explicit SampledRows(std::span<const int32_t> drawn);
};

/// Sampled softmax (Jean et al., 2015, "On using very large target vocabulary", equation 13): a state's loss is the cross-entropy of its own row against the rows sampled, of scores that are products less `log_q`.
/// A row that was drawn several times counts as often; a sampled row that is a state's own is left out for it. All ranks get all states, some at a time; shard s of S multiplies them by rows [s K / S, (s + 1) K / S) of the K that are sampled; what is summed over rows is
/// summed by these stretches in a fixed tree, so that no bit depends on ranks or threads.
class SampledSoftmax {
 public:
  /// Not collective. The classes are the rows of `table`, a matrix or a table. `log_q`: of each row, the logarithm of its probability to be drawn; empty: nothing is taken off.
  SampledSoftmax(comm::Communicator& comm, const nn::Parameter& table, int shards, std::span<const float> log_q);

  /// The rows of a sample that shard `shard` needs, and has the gradient of.
  std::span<const int32_t> stretch(const SampledRows& sample, int shard) const { return std::span(sample.rows).subspan(begin_of(sample, shard), begin_of(sample, shard + 1) - begin_of(sample, shard)); }
  /// Collective. `mine` are the states of this rank's shards, in order; `sample` is the same on all ranks. `start` starts a tape for one of these shards, by place among them, with the weights of its states' own rows and of its `stretch`;
  /// the gradients of the rows go where its do.
  std::vector<SoftmaxOutcome> run(ThreadPool& pool, const std::vector<SoftmaxStates>& mine, const SampledRows& sample, const std::function<void(size_t shard, nn::Tape<float>& tape)>& start);

 private:
  /// Of a shard of this rank; memory is kept from step to step.
  struct Part {
    nn::Tape<float> tape;
    std::span<const int32_t> rows;
    const float* weights = nullptr;  ///< of the rows, one after another
    float* gradient = nullptr;
    bool in_place = false;  ///< `gradient` is where that of the rows is to be
    std::vector<float> own_weights, own_gradient, more, scores, sums;  ///< more: what is added to a row's scores; scores: (rows, states at a time)
  };
  size_t begin_of(const SampledRows& sample, int shard) const { return sample.rows.size() * size_t(shard) / size_t(shards_); }
  void take_rows(Part& part, const SampledRows& sample, int shard) const;
  comm::Communicator& comm_;
  nn::Parameter table_;
  int shards_;
  std::span<const float> log_q_;
  std::vector<std::unique_ptr<Part>> parts_;
  tensor::PackedMatrix<float> forth_, back_;  // states, some at a time
};

}  // namespace throng::train
