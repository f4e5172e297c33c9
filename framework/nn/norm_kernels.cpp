#include "framework/nn/norm_kernels.h"

#include <cmath>

#include "framework/tensor/instruction_sets.h"
#include "framework/tensor/lane_bodies.h"

namespace throng::nn {
namespace {

using tensor::kLanes;
using tensor::lane_sum;

THRONG_BODY T forward_body(const T* __restrict x, const T* __restrict gain, const T* __restrict bias, T epsilon, T* __restrict scaled, T* __restrict y, size_t n) {
  T sums[kLanes] = {}, squares[kLanes] = {};
  size_t c = 0;
  for (; c + kLanes <= n; c += kLanes)
    for (size_t l = 0; l < kLanes; ++l) sums[l] += x[c + l];
  for (; c < n; ++c) sums[c % kLanes] += x[c];
  const T mean = lane_sum(sums) / T(n);
  for (c = 0; c + kLanes <= n; c += kLanes)
    for (size_t l = 0; l < kLanes; ++l) squares[l] += (x[c + l] - mean) * (x[c + l] - mean);
  for (; c < n; ++c) squares[c % kLanes] += (x[c] - mean) * (x[c] - mean);
  const T deviation = 1 / std::sqrt(lane_sum(squares) / T(n) + epsilon);
  for (c = 0; c < n; ++c) {
    scaled[c] = (x[c] - mean) * deviation;
    y[c] = scaled[c] * gain[c] + bias[c];
  }
  return deviation;
}

THRONG_BODY void backward_body(const T* __restrict dy, const T* __restrict scaled, const T* __restrict gain, T deviation, T* __restrict dgain, T* __restrict dbias, T* __restrict dx, bool empty, size_t n) {
  if (dgain)
    for (size_t c = 0; c < n; ++c) dgain[c] += dy[c] * scaled[c];
  if (dbias)
    for (size_t c = 0; c < n; ++c) dbias[c] += dy[c];
  if (!dx) return;
  T sums[kLanes] = {}, along[kLanes] = {};
  size_t c = 0;
  for (; c + kLanes <= n; c += kLanes)
    for (size_t l = 0; l < kLanes; ++l) {
      const T d = dy[c + l] * gain[c + l];
      sums[l] += d, along[l] += d * scaled[c + l];
    }
  for (; c < n; ++c) {
    const T d = dy[c] * gain[c];
    sums[c % kLanes] += d, along[c % kLanes] += d * scaled[c];
  }
  const T sum = lane_sum(sums) / T(n), direction = lane_sum(along) / T(n);
  for (c = 0; c < n; ++c) {
    const T d = deviation * (dy[c] * gain[c] - (sum + scaled[c] * direction));
    dx[c] = empty ? d : dx[c] + d;
  }
}

#define THRONG_SET(name, attribute)                                                                                                                \
  template <class T>                                                                                                                               \
  struct name {                                                                                                                                    \
    attribute static T forward(const T* x, const T* gain, const T* bias, T epsilon, T* scaled, T* y, size_t n) { return forward_body(x, gain, bias, epsilon, scaled, y, n); } \
    attribute static void backward(const T* dy, const T* scaled, const T* gain, T deviation, T* dgain, T* dbias, T* dx, bool empty, size_t n) {                 \
      backward_body(dy, scaled, gain, deviation, dgain, dbias, dx, empty, n);                                                                             \
    }                                                                                                                                              \
  };
THRONG_INSTRUCTION_SETS(THRONG_SET)

}  // namespace

template <class T>
T NormKernels<T>::forward(const T* x, const T* gain, const T* bias, T epsilon, T* scaled, T* y, size_t n) {
  THRONG_CALL(forward(x, gain, bias, epsilon, scaled, y, n));
}
template <class T>
void NormKernels<T>::backward(const T* dy, const T* scaled, const T* gain, T deviation, T* dgain, T* dbias, T* dx, bool empty, size_t n) {
  THRONG_CALL(backward(dy, scaled, gain, deviation, dgain, dbias, dx, empty, n));
}

template struct NormKernels<float>;
template struct NormKernels<double>;

}  // namespace throng::nn
