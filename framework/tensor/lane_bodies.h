// Sums in sixteen fixed lanes, whose bits are the same with any vectors. Internal to kernels.
#pragma once
#include <cstddef>

#include "framework/tensor/instruction_sets.h"

namespace throng::tensor {

constexpr size_t kLanes = 16;

/// The lanes added up, halves onto halves.
THRONG_BODY T lane_sum(T* lanes) {
  for (size_t half = kLanes / 2; half > 0; half /= 2)
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return lanes[0];
}

THRONG_BODY T dot_body(const T* a, const T* b, size_t n) {
  T lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  for (; i < n; ++i) lanes[i % kLanes] += a[i] * b[i];
  return lane_sum(lanes);
}

}  // namespace throng::tensor
