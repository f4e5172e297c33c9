#include "framework/graph/holdout_seen.h"

#include <algorithm>

namespace throng::graph {
namespace {

bool has_times(const data::Schema& schema) { return schema.has("ts") && schema.at("ts").type == data::Type::kTimestamp; }

}  // namespace

void HoldoutSeen::see(bool training, int64_t ts_us) {
  if (training) newest_training_us = std::max(newest_training_us, ts_us);
  else oldest_held_us = std::min(oldest_held_us, ts_us), ++rows;
}

void HoldoutSeen::see(const data::Batch& batch) {
  const auto train = training_rows(batch);
  if (!has_times(batch.schema())) {
    rows += std::count(train.begin(), train.end(), 0);
    return;
  }
  const auto& column = batch.column("ts");
  const auto ts = column.values<int64_t>();
  for (size_t r = 0; r < train.size(); ++r)
    if (column.is_valid(int64_t(r))) see(train[r] != 0, ts[r]);
}

void HoldoutSeen::add(const HoldoutSeen& other) {
  rows += other.rows;
  newest_training_us = std::max(newest_training_us, other.newest_training_us), oldest_held_us = std::min(oldest_held_us, other.oldest_held_us);
}

void HoldoutSeen::add_ranks(comm::Communicator& comm) {
  rows = comm.allreduce(rows);
  newest_training_us = comm.allreduce(newest_training_us, comm::Op::kMax), oldest_held_us = comm.allreduce(oldest_held_us, comm::Op::kMin);
}

Names holdout_columns(const data::Schema& schema) {
  Names names;
  if (schema.has(kHoldoutColumn)) names.emplace_back(kHoldoutColumn);
  if (has_times(schema)) names.emplace_back("ts");
  return names;
}

}  // namespace throng::graph
