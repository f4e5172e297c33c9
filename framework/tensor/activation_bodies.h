// The activation functions of one number, for loops that the compiler turns into vectors. Internal to kernels.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace throng::tensor {

// Without branches, so that the compiler turns the loops below into vectors; without fused multiply-add, so that the bits are
// the same everywhere.
__attribute__((always_inline)) inline float exp_of(float x) {
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
__attribute__((always_inline)) inline float tanh_of(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z + -5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z + -3.33332819422e-1f;
  const float near_zero = p * z * x + x;
  const float magnitude = x < 0 ? -x : x;
  const float far = 1.0f - 2.0f / (exp_of(2.0f * (magnitude > 20.0f ? 20.0f : magnitude)) + 1.0f);
  const float signed_far = x < 0 ? -far : far;
  return magnitude < 0.625f ? near_zero : signed_far;
}
// A quotient of polynomials of x^2 within 4 to either side, fitted to erf(x) / x by least squares whose weights follow the error: 7e-8 of the value, 4e-7 with the roundings of its sums.
__attribute__((always_inline)) inline float erf_of(float x) {
  x = x < -4.0f ? -4.0f : x;
  x = x > 4.0f ? 4.0f : x;
  const float z = x * x;
  float p = 1.91107319e-8f;
  p = p * z + -1.94231256e-6f;
  p = p * z + 1.47288323e-4f;
  p = p * z + 3.99066652e-3f;
  p = p * z + 5.15251996e-2f;
  p = p * z + 2.07127612e-1f;
  p = p * z + 1.12837909f;
  float q = 1.02113395e-3f;
  q = q * z + 1.49582692e-2f;
  q = q * z + 1.17971726e-1f;
  q = q * z + 5.16893315e-1f;
  q = q * z + 1.0f;
  const float y = x * p / q;
  return y > 1.0f ? 1.0f : y < -1.0f ? -1.0f : y;
}
__attribute__((always_inline)) inline float sigmoid_of(float x) { return 1.0f / (1.0f + exp_of(-x)); }
__attribute__((always_inline)) inline double exp_of(double x) { return std::exp(x); }
__attribute__((always_inline)) inline double erf_of(double x) { return std::erf(x); }
__attribute__((always_inline)) inline double tanh_of(double x) { return std::tanh(x); }
__attribute__((always_inline)) inline double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace throng::tensor
