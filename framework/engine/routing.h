// Where the rows of a shuffle go: to a partition chosen by hash of their key, or by the range it lies in.
#pragma once
#include <functional>
#include <utility>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/data/row_order.h"
#include "framework/engine/heavy_hitters.h"
#include "framework/graph/operator.h"

namespace throng::engine {

/// The column that carries a row's place in its input through a shuffle: partition, then position within it.
extern const std::string kOriginColumn;
int64_t origin_of(int64_t partition, int64_t row);

/// The order in which a keyed operator sees the rows of an input: by key, then by its own order.
std::vector<data::OrderBy> sort_columns(const graph::KeyedOperator& op, size_t input);

/// Sends the prepared rows of one input of a keyed operator to its partitions. Thread-safe.
class Routing {
 public:
  using Block = std::pair<int64_t, Buffer>;  ///< target partition, rows as `Batch::serialize` writes them
  /// `splitters`: of `range_splitters`, where the operator places by range.
  Routing(const graph::KeyedOperator& op, size_t input, int64_t num_targets, data::Batch splitters);
  /// The rows of `batch` with their place, a block for each target that gets some; the first of them is row `first_row` of `partition`.
  /// `hitters` gets a summary of their keys, where these have hashes.
  std::vector<Block> blocks(const data::Batch& batch, int64_t partition, int64_t first_row, HeavyHitters* hitters = nullptr) const;

 private:
  bool ranged_;
  graph::Names key_;
  std::vector<data::OrderBy> order_;
  int64_t num_targets_;
  data::Batch splitters_;
};

/// An input whose order is to be cut in ranges; it can be read twice.
struct SampledInput {
  int64_t num_partitions = 0, num_rows = 0;           ///< rows: about
  data::Schema schema;                                ///< the columns of the order
  std::function<data::Batch(int64_t)> read;           ///< a partition, these columns
};

/// Collective. Rows, with their places, that cut the input into `num_targets` ranges of about equal length: quantiles of a sample, chosen
/// by place so that it does not depend on ranks. A row's place is part of the cut: a key that fills many ranges is cut too.
data::Batch range_splitters(comm::Communicator& comm, const SampledInput& input, const std::vector<data::OrderBy>& order, int64_t num_targets);

}  // namespace throng::engine
