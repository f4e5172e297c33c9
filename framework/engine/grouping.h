// The groups of a partition: rows that came together, put in order and given to the keyed operator.
#pragma once
#include <functional>
#include <optional>

#include "framework/engine/sorted_rows.h"
#include "framework/graph/operator.h"

namespace throng::engine {

struct Portions;

/// A group that did not fit a portion: a hot key.
struct LargeGroup {
  std::string key;
  int64_t rows = 0;
};

/// Works on the partitions of one keyed operator. Thread-safe.
class Grouping {
 public:
  /// The rows of an input as they are stored; the last column is their place in the input.
  struct Input {
    std::shared_ptr<const data::Schema> schema;
    std::vector<data::OrderBy> order;
  };
  Grouping(const graph::KeyedOperator& op, std::vector<Input> inputs) : op_(op), inputs_(std::move(inputs)) {}

  /// All rows at once.
  data::Batch whole(int64_t partition, std::vector<std::vector<StoredBlock>> blocks) const;
  /// The same rows in portions, with about `memory` bytes in hand. A system error where a group must be worked on as one and is larger
  /// than the budget.
  void stream(int64_t partition, std::vector<std::vector<StoredBlock>> blocks, uint64_t memory, const Resources& resources, const std::function<void(data::Batch)>& emit,
              const std::function<void(const LargeGroup&)>& large) const;

 private:
  void stream_groups(Portions& rows, int64_t partition, uint64_t budget, const std::function<void(data::Batch)>& emit, const std::function<void(const LargeGroup&)>& large) const;
  void stream_portions(Portions& rows, int64_t partition, const std::function<void(data::Batch)>& emit) const;
  void stream_join(Portions& left, Portions& right, int64_t partition, const Resources& resources, const std::function<void(data::Batch)>& emit,
                   const std::function<void(const LargeGroup&)>& large) const;
  int64_t join_large_right(Portions& left, Portions& right, const Resources& resources, const std::function<void(data::Batch, const data::Batch&)>& join) const;
  int64_t join_newest(Portions& left, Portions& right, const data::Batch& key_row, const std::function<void(data::Batch, const data::Batch&)>& join) const;
  std::optional<data::Batch> combined(const data::Batch& rows) const;
  std::vector<int64_t> starts_of(const data::Batch& rows) const;
  [[noreturn]] void too_large(const data::Batch& rows, size_t input, uint64_t bytes, uint64_t budget) const;

  const graph::KeyedOperator& op_;
  std::vector<Input> inputs_;
};

}  // namespace throng::engine
