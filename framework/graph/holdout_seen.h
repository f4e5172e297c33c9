// How rows are held out, found from the rows: what a protocol says of it.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "framework/graph/operator.h"

namespace throng::graph {

struct HoldoutSeen {
  int64_t rows = 0;     ///< held-out ones
  int64_t untimed = 0;  ///< rows without a time: nobody knows which are newer
  int64_t newest_training_us = INT64_MIN, oldest_held_us = INT64_MAX;

  void see(bool training, std::optional<int64_t> ts_us);
  /// All rows of a batch; their times where it has a timestamp 'ts'.
  void see(const data::Batch& batch);
  void add(const HoldoutSeen& other);
  /// Collective.
  void add_ranks(comm::Communicator& comm);
  /// Every held-out row is newer than every training row.
  bool by_time() const { return rows > 0 && untimed == 0 && newest_training_us != INT64_MIN && newest_training_us < oldest_held_us; }
  /// ", all newer than any training row (a split by time)" where they are, or nothing.
  std::string_view when() const { return by_time() ? ", all newer than any training row (a split by time)" : ""; }
};

/// What `see` reads of such rows.
Names holdout_columns(const data::Schema& schema);

}  // namespace throng::graph
