// Vectors of users that were not learned from, by the items they took. Internal to matrix_factorization.
#pragma once
#include "operators/matrix_factorization/factors.h"

namespace throng::op {

/// Items' vectors stay as they were learned. Thread-safe.
class NewUsers {
 public:
  /// `item_bias` has a number for each item. By pairs: `epochs` passes of gradient descent from 0, with `lr` and the regularization of `squares`; otherwise by `squares`.
  NewUsers(std::vector<float> items, std::vector<float> item_bias, const LeastSquares& squares, bool pairs, int64_t epochs, double lr, uint64_t seed);
  const std::vector<float>& items() const { return items_; }
  const std::vector<float>& item_bias() const { return item_bias_; }
  size_t width() const { return items_.size() / item_bias_.size(); }
  /// Of a user who took these items, by number and each once, so many times as its value says; 0 for none. The same for the same items.
  void find(const std::vector<Rating>& taken, float* into) const;

 private:
  void by_pairs(const std::vector<Rating>& taken, float* into) const;
  std::vector<float> items_, item_bias_;
  LeastSquares squares_;
  std::vector<double> gram_;
  bool pairs_;
  int64_t epochs_;
  double lr_;
  uint64_t seed_;
};

}  // namespace throng::op
