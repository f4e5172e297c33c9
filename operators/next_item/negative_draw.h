// How items are drawn to compare with. Internal to next_item.
#pragma once
#include <cstdint>
#include <vector>

#include "framework/base/random.h"
#include "framework/data/vocabulary.h"

namespace throng::op {

/// Draws items evenly, or by their count to a power (Hidasi and Karatzoglou, 2018). Thread-safe.
class NegativeDraw {
 public:
  explicit NegativeDraw(size_t items = 0) : items_(items) {}
  /// `alpha` above 0: 1 draws items as often as they occur.
  NegativeDraw(const data::Vocabulary& catalogue, double alpha);

  int32_t operator()(Random& random) const;
  /// The logarithm of each item's probability; empty where all have the same.
  const std::vector<float>& log_q() const { return log_q_; }

 private:
  size_t items_ = 0;
  std::vector<double> sums_;  // of the weights up to each item, with it
  std::vector<float> log_q_;
};

}  // namespace throng::op
