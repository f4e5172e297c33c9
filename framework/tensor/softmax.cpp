#include "framework/tensor/softmax.h"

#include <algorithm>

#include "framework/tensor/activation_bodies.h"
#include "framework/tensor/cpu.h"

namespace throng::tensor {
namespace {

constexpr size_t kLanes = 16;

#define THRONG_BODY template <class T> __attribute__((always_inline)) inline

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
  for (; i < n; ++i) sum[i % kLanes] += x[i] = exp_of(x[i] - top);
  for (size_t half = kLanes / 2; half > 0; half /= 2)
    for (size_t l = 0; l < half; ++l) sum[l] += sum[l + half];
  return {top, sum[0]};
}
THRONG_BODY void scale_body(T factor, T* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] *= factor;
}
THRONG_BODY void add_body(const T* __restrict x, T* __restrict y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}

#define THRONG_SET(name, attribute)                                                          \
  template <class T>                                                                         \
  struct name {                                                                              \
    attribute static Exponents<T> exponents(T* x, size_t n) { return exponents_body(x, n); } \
    attribute static void scale(T factor, T* x, size_t n) { scale_body(factor, x, n); }      \
    attribute static void add(const T* x, T* y, size_t n) { add_body(x, y, n); }             \
  };
THRONG_SET(Plain, )
#if defined(__x86_64__)
THRONG_SET(Avx2, THRONG_KERNEL(THRONG_AVX2))
THRONG_SET(Avx512, THRONG_KERNEL(THRONG_AVX512))
#define THRONG_CALL(call)                                                     \
  switch (instructions()) {                                                   \
    case Instructions::kAvx512: return Avx512<T>::call;                       \
    case Instructions::kAvx2: return Avx2<T>::call;                           \
    default: return Plain<T>::call;                                           \
  }
#else
#define THRONG_CALL(call) return Plain<T>::call
#endif

}  // namespace

template <class T>
Exponents<T> exponents(T* x, size_t n) {
  THRONG_CALL(exponents(x, n));
}
template <class T>
void scale(T factor, T* x, size_t n) {
  THRONG_CALL(scale(factor, x, n));
}
template <class T>
void add(const T* x, T* y, size_t n) {
  THRONG_CALL(add(x, y, n));
}

#define THRONG_INSTANTIATE(T)                        \
  template Exponents<T> exponents<T>(T*, size_t);    \
  template void scale<T>(T, T*, size_t);             \
  template void add<T>(const T*, T*, size_t);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::tensor
