#include "operators/matrix_factorization/new_users.h"

#include <algorithm>
#include <cmath>

#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::op {

NewUsers::NewUsers(std::vector<float> items, std::vector<float> item_bias, const LeastSquares& squares, bool pairs, int64_t epochs, double lr, uint64_t seed)
    : items_(std::move(items)), item_bias_(std::move(item_bias)), squares_(squares), pairs_(pairs), epochs_(epochs), lr_(lr), seed_(seed) {
  if (!pairs_) gram_ = squares_.gram(items_, width());
}

void NewUsers::find(const std::vector<Rating>& taken, float* into) const {
  if (!pairs_) return squares_.solve(taken, 0, items_, gram_, width(), into);
  std::fill_n(into, width(), 0.0f);
  by_pairs(taken, into);
}

// As Stochastic learns a user, with the other item drawn from the whole catalogue.
void NewUsers::by_pairs(const std::vector<Rating>& taken, float* p) const {
  const size_t H = width();
  const float lr = float(lr_), pull = float(squares_.regularization);
  uint64_t name = 0;
  for (const Rating& r : taken) name = mix64(name ^ uint64_t(r.item));
  Random random(mix64(seed_), name);
  for (int64_t epoch = 0; epoch < epochs_; ++epoch)
    for (const Rating& r : taken)
      for (int time = 0; time < int(r.value); ++time) {
        int32_t other = -1;
        for (int tries = 0; tries < 20 && other < 0; ++tries) {
          const int32_t item = int32_t(random.below(uint32_t(item_bias_.size())));
          const auto at = std::lower_bound(taken.begin(), taken.end(), item, [](const Rating& a, int32_t number) { return a.item < number; });
          if (at == taken.end() || at->item != item) other = item;
        }
        if (other < 0) continue;
        const float *q = &items_[size_t(r.item) * H], *n = &items_[size_t(other) * H];
        const float margin = item_bias_[size_t(r.item)] - item_bias_[size_t(other)] + tensor::dot(p, q, H) - tensor::dot(p, n, H), slope = 1 / (1 + std::exp(margin));
        for (size_t f = 0; f < H; ++f) p[f] += lr * (slope * (q[f] - n[f]) - pull * p[f]);
      }
}

}  // namespace throng::op
