// The Adam optimiser.
#pragma once
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace throng::nn {

/// Adam (Kingma and Ba, 2015) with bias correction; decoupled weight decay (AdamW, Loshchilov and Hutter, 2019) if not 0.
struct Adam {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  int64_t step = 0;
  std::vector<float> mean, square;

  /// Moves the weights along the gradient. Element-wise, so that the bits do not depend on ranks or threads.
  void update(std::span<float> weights, std::span<const float> gradient) {
    mean.resize(weights.size()), square.resize(weights.size());
    ++step;
    const float rate = float(lr * std::sqrt(1 - std::pow(beta2, double(step))) / (1 - std::pow(beta1, double(step))));
    const float scaled_epsilon = float(epsilon * std::sqrt(1 - std::pow(beta2, double(step))));
    const float b1 = float(beta1), b2 = float(beta2), decay = float(lr * weight_decay);
    for (size_t i = 0; i < weights.size(); ++i) {
      mean[i] = b1 * mean[i] + (1 - b1) * gradient[i];
      square[i] = b2 * square[i] + (1 - b2) * gradient[i] * gradient[i];
      weights[i] -= rate * mean[i] / (std::sqrt(square[i]) + scaled_epsilon) + decay * weights[i];
    }
  }
};

/// Scales the gradient to at most `limit` in Euclidean norm, summed in fixed blocks; returns the norm before.
inline double clip_norm(std::span<float> gradient, double limit) {
  double sum = 0;
  for (size_t block = 0; block < gradient.size(); block += 4096) {
    double part = 0;
    for (size_t i = block; i < std::min(gradient.size(), block + 4096); ++i) part += double(gradient[i]) * double(gradient[i]);
    sum += part;
  }
  double norm = std::sqrt(sum);
  if (limit > 0 && norm > limit)
    for (float& g : gradient) g *= float(limit / norm);
  return norm;
}

}  // namespace throng::nn
