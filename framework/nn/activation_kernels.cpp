#include "framework/nn/activation_kernels.h"

#include "framework/tensor/activation_bodies.h"
#include "framework/tensor/instruction_sets.h"

namespace throng::nn {
namespace {

THRONG_BODY void forward_body(Activation activation, const T* __restrict x, T* __restrict y, size_t n) {
  switch (activation) {
    case Activation::kRelu:
      for (size_t i = 0; i < n; ++i) y[i] = x[i] > 0 ? x[i] : T(0);
      break;
    case Activation::kLeakyRelu:
      for (size_t i = 0; i < n; ++i) y[i] = (x[i] > 0 ? T(1) : T(0.01)) * x[i];
      break;
    case Activation::kTanh:
      for (size_t i = 0; i < n; ++i) y[i] = tensor::tanh_of(x[i]);
      break;
    case Activation::kSigmoid:
      for (size_t i = 0; i < n; ++i) y[i] = tensor::sigmoid_of(x[i]);
      break;
    case Activation::kGelu:
      for (size_t i = 0; i < n; ++i) y[i] = x[i] * T(0.5) * (T(1) + tensor::erf_of(x[i] * T(0.70710678118654752)));
      break;
  }
}

// `dx` may be `dy`. Two loops, since a long one with the choice in it does not become vectors.
template <class T, class What>
__attribute__((always_inline)) inline void give(const What& what, T* dx, bool empty, size_t n) {
  if (empty) {
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) dx[i] = what(i);
  } else {
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) dx[i] += what(i);
  }
}

THRONG_BODY void backward_body(Activation activation, const T* __restrict x, const T* __restrict y, const T* dy, T* dx, bool empty, size_t n) {
  switch (activation) {
    case Activation::kRelu: return give([&](size_t i) __attribute__((always_inline)) { return (y[i] > 0 ? T(1) : T(0)) * dy[i]; }, dx, empty, n);
    case Activation::kLeakyRelu: return give([&](size_t i) __attribute__((always_inline)) { return (x[i] > 0 ? T(1) : T(0.01)) * dy[i]; }, dx, empty, n);
    case Activation::kTanh: return give([&](size_t i) __attribute__((always_inline)) { return dy[i] * (1 - y[i] * y[i]); }, dx, empty, n);
    case Activation::kSigmoid: return give([&](size_t i) __attribute__((always_inline)) { return dy[i] * y[i] * (1 - y[i]); }, dx, empty, n);
    case Activation::kGelu:  // Phi(x) + x phi(x)
      return give([&](size_t i) __attribute__((always_inline)) {
        return dy[i] * (T(0.5) * (T(1) + tensor::erf_of(x[i] * T(0.70710678118654752))) + x[i] * T(0.39894228040143268) * tensor::exp_of(T(-0.5) * x[i] * x[i]));
      }, dx, empty, n);
  }
}

#define THRONG_SET(name, attribute)                                                                                                               \
  template <class T>                                                                                                                              \
  struct name {                                                                                                                                   \
    attribute static void forward(Activation a, const T* x, T* y, size_t n) { forward_body(a, x, y, n); }                                         \
    attribute static void backward(Activation a, const T* x, const T* y, const T* dy, T* dx, bool empty, size_t n) { backward_body(a, x, y, dy, dx, empty, n); } \
  };
THRONG_INSTRUCTION_SETS(THRONG_SET)

}  // namespace

template <class T>
void activation_forward(Activation activation, const T* x, T* y, size_t n) {
  THRONG_CALL(forward(activation, x, y, n));
}
template <class T>
void activation_backward(Activation activation, const T* x, const T* y, const T* dy, T* dx, bool empty, size_t n) {
  THRONG_CALL(backward(activation, x, y, dy, dx, empty, n));
}

#define THRONG_INSTANTIATE(T)                                                    \
  template void activation_forward<T>(Activation, const T*, T*, size_t);         \
  template void activation_backward<T>(Activation, const T*, const T*, const T*, T*, bool, size_t);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
