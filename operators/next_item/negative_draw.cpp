#include "operators/next_item/negative_draw.h"

#include <algorithm>
#include <cmath>

namespace throng::op {

NegativeDraw::NegativeDraw(const data::Vocabulary& catalogue, double alpha) : items_(catalogue.size()) {
  if (alpha == 0) return;
  double sum = 0;
  for (size_t i = 0; i < items_; ++i) sums_.push_back(sum += std::pow(double(catalogue.count(i)), alpha));
  for (size_t i = 0; i < items_; ++i) log_q_.push_back(float(alpha * std::log(double(catalogue.count(i))) - std::log(sum)));
}

int32_t NegativeDraw::operator()(Random& random) const {
  if (sums_.empty()) return int32_t(random.below(uint32_t(items_)));
  const auto at = std::upper_bound(sums_.begin(), sums_.end() - 1, random.uniform() * sums_.back());
  return int32_t(at - sums_.begin());
}

}  // namespace throng::op
