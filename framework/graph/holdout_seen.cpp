#include "framework/graph/holdout_seen.h"

#include <algorithm>

namespace throng::graph {
namespace {

bool has_times(const data::Schema& schema) { return schema.has("ts") && schema.at("ts").type == data::Type::kTimestamp; }

}  // namespace

void HoldoutSeen::see(bool training, std::optional<int64_t> ts_us) {
  rows += !training, untimed += !ts_us;
  if (!ts_us) return;
  if (training) newest_training_us = std::max(newest_training_us, *ts_us);
  else oldest_held_us = std::min(oldest_held_us, *ts_us);
}

void HoldoutSeen::see(const data::Batch& batch) {
  const auto train = training_rows(batch);
  const data::Column* ts = has_times(batch.schema()) ? &batch.column("ts") : nullptr;
  for (size_t r = 0; r < train.size(); ++r) see(train[r] != 0, ts && ts->is_valid(int64_t(r)) ? std::optional(ts->as_int64(int64_t(r))) : std::nullopt);
}

void HoldoutSeen::add(const HoldoutSeen& other) {
  rows += other.rows, untimed += other.untimed;
  newest_training_us = std::max(newest_training_us, other.newest_training_us), oldest_held_us = std::min(oldest_held_us, other.oldest_held_us);
}

void HoldoutSeen::add_ranks(comm::Communicator& comm) {
  rows = comm.allreduce(rows), untimed = comm.allreduce(untimed);
  newest_training_us = comm.allreduce(newest_training_us, comm::Op::kMax), oldest_held_us = comm.allreduce(oldest_held_us, comm::Op::kMin);
}

Names holdout_columns(const data::Schema& schema) {
  Names names;
  if (schema.has(kHoldoutColumn)) names.emplace_back(kHoldoutColumn);
  if (has_times(schema)) names.emplace_back("ts");
  return names;
}

}  // namespace throng::graph
