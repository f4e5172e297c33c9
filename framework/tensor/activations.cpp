#include "framework/tensor/activations.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace throng::tensor {
namespace {

// Without branches, so that the compiler turns the loops below into vectors; without fused multiply-add, so that the bits are
// the same everywhere.
__attribute__((always_inline)) inline float exp_one(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  const float shifted = x * 1.44269504088896341f + kMagic;
  const float n = shifted - kMagic;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const int32_t power = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kMagic);
  return p * std::bit_cast<float>((power + 127) << 23);
}
__attribute__((always_inline)) inline float tanh_one(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z + -5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z + -3.33332819422e-1f;
  const float near_zero = p * z * x + x;
  const float magnitude = x < 0 ? -x : x;
  const float far = 1.0f - 2.0f / (exp_one(2.0f * (magnitude > 20.0f ? 20.0f : magnitude)) + 1.0f);
  const float signed_far = x < 0 ? -far : far;
  return magnitude < 0.625f ? near_zero : signed_far;
}
__attribute__((always_inline)) inline void exp_body(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = exp_one(x[i]);
}
__attribute__((always_inline)) inline void sigmoid_body(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = 1.0f / (1.0f + exp_one(-x[i]));
}
__attribute__((always_inline)) inline void tanh_body(float* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = tanh_one(x[i]);
}

#if defined(__x86_64__)
#define THRONG_AVX2 __attribute__((target("avx2"), optimize("O3", "no-trapping-math")))
THRONG_AVX2 void exp_avx2(float* x, size_t n) { exp_body(x, n); }
THRONG_AVX2 void sigmoid_avx2(float* x, size_t n) { sigmoid_body(x, n); }
THRONG_AVX2 void tanh_avx2(float* x, size_t n) { tanh_body(x, n); }
const bool has_avx2 = __builtin_cpu_supports("avx2");
#endif

}  // namespace

#if defined(__x86_64__)
#define THRONG_DISPATCH(name) has_avx2 ? name##_avx2(x, n) : name##_body(x, n)
#else
#define THRONG_DISPATCH(name) name##_body(x, n)
#endif
void exp(float* x, size_t n) { THRONG_DISPATCH(exp); }
void sigmoid(float* x, size_t n) { THRONG_DISPATCH(sigmoid); }
void tanh(float* x, size_t n) { THRONG_DISPATCH(tanh); }

void exp(double* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = std::exp(x[i]);
}
void sigmoid(double* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = 1 / (1 + std::exp(-x[i]));
}
void tanh(double* x, size_t n) {
  for (size_t i = 0; i < n; ++i) x[i] = std::tanh(x[i]);
}

}  // namespace throng::tensor
