#include "framework/tensor/vector_kernels.h"

namespace throng::tensor {
namespace {

constexpr size_t kLanes = 16;

// The body, compiled once per instruction set below.
__attribute__((always_inline)) inline float dot_body(const float* a, const float* b, size_t n) {
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  for (; i < n; ++i) lanes[i % kLanes] += a[i] * b[i];
  for (size_t half = kLanes / 2; half > 0; half /= 2)
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return lanes[0];
}
__attribute__((always_inline)) inline void axpy_body(float alpha, const float* __restrict x, float* __restrict y, size_t n) {
  for (size_t i = 0; i < n; ++i) y[i] += alpha * x[i];
}

#if defined(__x86_64__)
__attribute__((target("avx2"), optimize("O3"))) float dot_avx2(const float* a, const float* b, size_t n) { return dot_body(a, b, n); }
__attribute__((target("avx2"), optimize("O3"))) void axpy_avx2(float alpha, const float* x, float* y, size_t n) { axpy_body(alpha, x, y, n); }
const bool has_avx2 = __builtin_cpu_supports("avx2");
#else
const bool has_avx2 = false;
#endif
__attribute__((optimize("O3"))) float dot_plain(const float* a, const float* b, size_t n) { return dot_body(a, b, n); }
__attribute__((optimize("O3"))) void axpy_plain(float alpha, const float* x, float* y, size_t n) { axpy_body(alpha, x, y, n); }

}  // namespace

float dot(const float* a, const float* b, size_t n) {
#if defined(__x86_64__)
  if (has_avx2) return dot_avx2(a, b, n);
#endif
  return dot_plain(a, b, n);
}
void axpy(float alpha, const float* x, float* y, size_t n) {
#if defined(__x86_64__)
  if (has_avx2) return axpy_avx2(alpha, x, y, n);
#endif
  axpy_plain(alpha, x, y, n);
}

}  // namespace throng::tensor
