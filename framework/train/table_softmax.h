// A softmax whose classes are the rows of a table that lies over the ranks: each rank computes the part of its rows (vocabulary-parallel; Shoeybi et al., 2019, Megatron-LM).
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "framework/base/thread_pool.h"
#include "framework/train/softmax_states.h"
#include "framework/train/table_shards.h"

namespace throng::train {

/// The scores of a state are its products with all rows, plus a bias of each where there is one; the loss is the cross-entropy of the target. All ranks get the states of all shards, some at a time; each multiplies them by its rows; and what is
/// summed over classes is summed by TableShards::kLeaves stretches of rows in a fixed tree, so that no bit depends on ranks or threads. No rank has more than its part of the table, of its gradient
/// and of the scores.
class TableSoftmax {
 public:
  /// Not collective. `table` is one of those that `tables` has, and so is `bias`, of as many rows and one column; null: none. Of what does not learn no gradient is computed.
  TableSoftmax(comm::Communicator& comm, TableShards& tables, const nn::Parameters& parameters, const nn::Parameter& table, const nn::Parameter* bias = nullptr);

  /// Collective. `mine` are those of this rank's shards, in order. A bug where a target is no row.
  std::vector<SoftmaxOutcome> run(ThreadPool& pool, const std::vector<SoftmaxStates>& mine);
  /// Not collective. Adds the gradient of this rank's rows, of all `run`s since the last time, to what TableShards::sum has summed; to be followed by TableShards::update before the next `run`.
  void add_gradient();

 private:
  /// Rows of this rank that are one of the parts of a sum over classes.
  struct Leaf {
    size_t begin, rows;  ///< among this rank's rows
  };
  comm::Communicator& comm_;
  TableShards& tables_;
  size_t table_, cols_, num_rows_;
  std::optional<size_t> bias_;  // which table
  bool learns_, bias_learns_;
  std::vector<Leaf> leaves_;
  std::vector<float> gradient_, bias_gradient_;
  bool added_ = false;  ///< they are sums of TableShards
};

}  // namespace throng::train
