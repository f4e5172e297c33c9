// Which past events a prediction looked at most. Internal to train_sequence.
#pragma once
#include <span>
#include <vector>

#include "framework/data/batch.h"

namespace throng::op {

/// For each row of a partition the `most` rows of its sequence with the greatest weights, falling; of equal ones the newer comes first.
class Attended {
 public:
  Attended(size_t rows, size_t most) : most_(most), found_(rows) {}

  /// `weights`: of the rows up to `row`, which is the last.
  void see(size_t row, std::span<const float> weights);

  static void add_fields(data::Schema& schema);
  /// Columns `attended`, events back from each row, 0 the row itself, and `attention`, their weights; of the rows `chosen`.
  data::Batch with_columns(const data::Batch& batch, std::span<const int64_t> chosen) const;

 private:
  struct Found {
    std::vector<int32_t> back;
    std::vector<float> weights;
  };
  size_t most_;
  std::vector<Found> found_;
};

}  // namespace throng::op
