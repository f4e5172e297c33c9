#include "framework/tensor/softmax.h"

#include <algorithm>
#include <limits>

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
THRONG_BODY void column_exponents_body(size_t rows, size_t cols, T* __restrict x, const T* __restrict add, T* __restrict most, T* __restrict sum) {
  std::fill_n(most, cols, -std::numeric_limits<T>::infinity());
  std::fill_n(sum, cols, T(0));
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < cols; ++c) {
      const T moved = x[r * cols + c] += add[r];
      most[c] = most[c] < moved ? moved : most[c];
    }
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < cols; ++c) sum[c] += x[r * cols + c] = exp_of(x[r * cols + c] - most[c]);
}
THRONG_BODY void scale_columns_body(size_t rows, size_t cols, const T* __restrict factors, T* __restrict x) {
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < cols; ++c) x[r * cols + c] *= factors[c];
}
THRONG_BODY void softmax_backward_body(const T* __restrict p, T* __restrict d, size_t n, T factor) {
  const T along = dot_body(p, d, n);
  for (size_t i = 0; i < n; ++i) d[i] = p[i] * (d[i] - along) * factor;
}

#define THRONG_SET(name, attribute)                                                                                             \
  template <class T>                                                                                                            \
  struct name {                                                                                                                 \
    attribute static Exponents<T> exponents(T* x, size_t n) { return exponents_body(x, n); }                                    \
    attribute static void column_exponents(size_t rows, size_t cols, T* x, const T* add, T* most, T* sum) { column_exponents_body(rows, cols, x, add, most, sum); } \
    attribute static void scale_columns(size_t rows, size_t cols, const T* factors, T* x) { scale_columns_body(rows, cols, factors, x); } \
    attribute static void softmax_backward(const T* p, T* d, size_t n, T factor) { softmax_backward_body(p, d, n, factor); } \
  };
THRONG_INSTRUCTION_SETS(THRONG_SET)

}  // namespace

template <class T>
Exponents<T> exponents(T* x, size_t n) {
  THRONG_CALL(exponents(x, n));
}
template <class T>
void column_exponents(size_t rows, size_t cols, T* x, const T* add, T* most, T* sum) {
  THRONG_CALL(column_exponents(rows, cols, x, add, most, sum));
}
template <class T>
void scale_columns(size_t rows, size_t cols, const T* factors, T* x) {
  THRONG_CALL(scale_columns(rows, cols, factors, x));
}
template <class T>
void softmax_backward(const T* p, T* d, size_t n, T factor) {
  THRONG_CALL(softmax_backward(p, d, n, factor));
}
template Exponents<float> exponents<float>(float*, size_t);
template Exponents<double> exponents<double>(double*, size_t);
template void column_exponents<float>(size_t, size_t, float*, const float*, float*, float*);
template void column_exponents<double>(size_t, size_t, double*, const double*, double*, double*);
template void scale_columns<float>(size_t, size_t, const float*, float*);
template void scale_columns<double>(size_t, size_t, const double*, double*);
template void softmax_backward<float>(const float*, float*, size_t, float);
template void softmax_backward<double>(const double*, double*, size_t, double);

}  // namespace throng::tensor
