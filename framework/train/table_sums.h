// Gradients of tables, summed over shards.
#pragma once
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/nn/table_gradients.h"

namespace throng::train {

/// Collective. Adds up what the shards of all ranks have of each row, in the order of shards, into `sum`, which comes cleared; the rows are the same on every rank, in
/// the same order. `mine` has the shards of this rank in order (Communicator::first_shard). Rows travel to the rank that their number names, and from there to all.
void sum_tables(comm::Communicator& comm, const std::vector<nn::TableGradients<float>>& mine, nn::TableGradients<float>& sum);

}  // namespace throng::train
