// Losses over rows, each summed over the rows, with the gradient written in place of the predictions.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace throng::nn {

/// Softmax cross-entropy: logits (N, K) become the gradient (softmax - onehot) * weight. Returns the sum of -log p.
template <class T>
double softmax_cross_entropy(T* logits, const int32_t* targets, size_t rows, size_t classes, T weight) {
  double loss = 0;
  for (size_t r = 0; r < rows; ++r) {
    T* row = logits + r * classes;
    T most = *std::max_element(row, row + classes);
    T sum = 0;
    for (size_t k = 0; k < classes; ++k) sum += row[k] = std::exp(row[k] - most);
    loss -= std::log(std::max(double(row[targets[r]]) / double(sum), 1e-30));
    for (size_t k = 0; k < classes; ++k) row[k] *= weight / sum;
    row[targets[r]] -= weight;
  }
  return loss;
}

/// Binary cross-entropy on one logit per row; becomes (sigmoid - target) * weight. Returns the sum of the losses.
template <class T>
double binary_cross_entropy(T* logits, const float* targets, size_t rows, T weight) {
  double loss = 0;
  for (size_t r = 0; r < rows; ++r) {
    double x = double(logits[r]), y = double(targets[r]);
    loss += std::max(x, 0.0) - x * y + std::log1p(std::exp(-std::fabs(x)));
    logits[r] = T((1.0 / (1.0 + std::exp(-x)) - y)) * weight;
  }
  return loss;
}

/// Half the squared error of one value per row; becomes (prediction - target) * weight. Returns the sum of squared errors.
template <class T>
double squared_error(T* predictions, const float* targets, size_t rows, T weight) {
  double loss = 0;
  for (size_t r = 0; r < rows; ++r) {
    T difference = predictions[r] - T(targets[r]);
    loss += double(difference) * double(difference);
    predictions[r] = difference * weight;
  }
  return loss;
}

}  // namespace throng::nn
