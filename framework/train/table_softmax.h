// A softmax whose classes are the rows of a table that lies over the ranks: each rank computes the part of its rows (vocabulary-parallel; Shoeybi et al., 2019, Megatron-LM).
#pragma once
#include <span>
#include <vector>

#include "framework/base/thread_pool.h"
#include "framework/comm/communicator.h"
#include "framework/train/table_shards.h"

namespace throng::train {

/// What the softmax of a shard is taken of: (count, cols of the table), and the row that is right for each.
struct SoftmaxStates {
  size_t count = 0;
  const float* values = nullptr;
  std::vector<int32_t> targets;
};

/// The scores of a state are its products with all rows, the loss is the cross-entropy of the target. All ranks get the states of all shards, some at a time; each multiplies them by its rows; and what is
/// summed over classes is summed by TableShards::kLeaves stretches of rows in a fixed tree, so that no bit depends on ranks or threads. No rank has more than its part of the table, of its gradient
/// and of the scores.
class TableSoftmax {
 public:
  /// Not collective. `table` is one of those that `tables` has; where it does not learn, its gradient is not computed.
  TableSoftmax(comm::Communicator& comm, TableShards& tables, const nn::Parameter& table, bool learns = true);

  /// Of one shard.
  struct Outcome {
    double loss = 0;               ///< summed over its states
    std::vector<float> gradient;   ///< of the states
  };
  /// Collective. `mine` are those of this rank's shards, in order. A bug where a target is no row.
  std::vector<Outcome> run(ThreadPool& pool, const std::vector<SoftmaxStates>& mine);
  /// Not collective. Adds the gradient of this rank's rows, of the last `run`, to what TableShards::sum has summed.
  void add_gradient() { if (learns_) tables_.add(table_, gradient_); }

 private:
  /// Rows of this rank that are one of the parts of a sum over classes.
  struct Leaf {
    size_t begin, rows;  ///< among this rank's rows
  };
  comm::Communicator& comm_;
  TableShards& tables_;
  size_t table_, cols_, num_rows_;
  bool learns_;
  std::vector<Leaf> leaves_;
  std::vector<float> gradient_;
};

}  // namespace throng::train
