#include "framework/tensor/softmax.h"

#include <algorithm>

#include "framework/tensor/activation_bodies.h"
#include "framework/tensor/instruction_sets.h"
#include "framework/tensor/lane_bodies.h"

namespace throng::tensor {
namespace {

THRONG_BODY Exponents<T> exponents_body(T* x, size_t n) {
  T most[kLanes], sum[kLanes] = {};
  std::fill_n(most, kLanes, x[0]);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) most[l] = most[l] < x[i + l] ? x[i + l] : most[l];
  for (; i < n; ++i) most[0] = most[0] < x[i] ? x[i] : most[0];
  const T top = *std::max_element(most, most + kLanes);
  for (i = 0; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) sum[l] += x[i + l] = exp_of(x[i + l] - top);
  // The last ones four at a time: narrower vectors than the others'.
  for (; i + 4 <= n; i += 4)
    for (size_t l = 0; l < 4; ++l) sum[i % kLanes + l] += x[i + l] = exp_of(x[i + l] - top);
  for (; i < n; ++i) sum[i % kLanes] += x[i] = exp_of(x[i] - top);
  return {top, lane_sum(sum)};
}
THRONG_BODY void softmax_backward_body(const T* __restrict p, T* __restrict d, size_t n, T factor) {
  const T along = dot_body(p, d, n);
  for (size_t i = 0; i < n; ++i) d[i] = p[i] * (d[i] - along) * factor;
}

#define THRONG_SET(name, attribute)                                                                                             \
  template <class T>                                                                                                            \
  struct name {                                                                                                                 \
    attribute static Exponents<T> exponents(T* x, size_t n) { return exponents_body(x, n); }                                    \
    attribute static void softmax_backward(const T* p, T* d, size_t n, T factor) { softmax_backward_body(p, d, n, factor); } \
  };
THRONG_INSTRUCTION_SETS(THRONG_SET)

}  // namespace

template <class T>
Exponents<T> exponents(T* x, size_t n) {
  THRONG_CALL(exponents(x, n));
}
template <class T>
void softmax_backward(const T* p, T* d, size_t n, T factor) {
  THRONG_CALL(softmax_backward(p, d, n, factor));
}
template Exponents<float> exponents<float>(float*, size_t);
template Exponents<double> exponents<double>(double*, size_t);
template void softmax_backward<float>(const float*, float*, size_t, float);
template void softmax_backward<double>(const double*, double*, size_t, double);

}  // namespace throng::tensor
