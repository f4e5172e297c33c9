// The right rows of a join, found by their key.
#pragma once
#include <string>
#include <vector>

#include "framework/data/batch.h"

namespace throng::op {

/// A hash table over rows; one key of whole numbers that lie close together has a slot for each value instead. Thread-safe once made.
class JoinTable {
 public:
  /// A data error for 2^31 rows and more.
  JoinTable(data::Batch rows, std::vector<std::string> key);
  const data::Batch& rows() const { return rows_; }
  /// Appends the pairs of row numbers whose keys `on` and `key` are equal and not null: ascending by left, then right row; with `once`, the
  /// first of each left row.
  void matches(const data::Batch& left, const std::vector<std::string>& on, bool once, std::vector<int64_t>& left_rows, std::vector<int64_t>& right_rows) const;

 private:
  bool make_slots_by_value();

  data::Batch rows_;
  std::vector<std::string> key_;
  int64_t least_ = 0;                  // the value of the first slot, where slots are by value
  std::vector<int32_t> slots_, next_;  // first row of a chain, the row after
  std::vector<uint64_t> hashes_;       // of the rows; empty where slots are by value
  bool unique_ = true;                 // each chain has one row
};

}  // namespace throng::op
