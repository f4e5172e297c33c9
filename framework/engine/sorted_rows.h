// Stored rows in order: sorted in memory where they fit, else as sorted runs on disk that are merged.
#pragma once
#include <optional>

#include "framework/data/row_order.h"
#include "framework/engine/buckets.h"

namespace throng::engine {

/// The rows of stored blocks; blocks in order of their origin.
data::Batch load_blocks(std::vector<StoredBlock> blocks, const std::shared_ptr<const data::Schema>& schema);

/// The rows of stored blocks in order of some columns, ties by their place in the input. What comes out does not depend on `memory`,
/// only in what portions. One thread.
class SortedRows {
 public:
  /// `schema` is that of the blocks; its int64 column `place` tells rows apart. `memory`: about what the rows in hand may take.
  SortedRows(std::shared_ptr<const data::Schema> schema, std::vector<data::OrderBy> order, std::string place, std::vector<StoredBlock> blocks, uint64_t memory,
             const Resources& resources);
  /// The next rows; nullopt after the last.
  std::optional<data::Batch> next();
  /// Bytes of sorted runs on disk.
  uint64_t spilled_bytes() const;

 private:
  struct Run {
    std::vector<BlockPlace> slices;  // what is still on disk
    size_t next = 0;
    data::Batch rows;                      // in hand, from row `at`
    int64_t at = 0;
    bool more() const { return next < slices.size(); }
  };
  data::Batch sorted(const data::Batch& rows) const;
  Run make_run(const data::Batch& rows, uint64_t slice_bytes);
  std::optional<data::Batch> merge(std::vector<Run>& runs) const;
  int64_t rows_up_to(const Run& run, const data::Batch& bound, int64_t bound_row) const;

  std::shared_ptr<const data::Schema> schema_;
  std::vector<data::OrderBy> order_;
  std::string place_;
  std::shared_ptr<SpillFile> file_, older_;  // the runs that are merged, and those they were made of
  std::optional<data::Batch> whole_;  // where it all fits
  std::vector<Run> runs_;
};

}  // namespace throng::engine
