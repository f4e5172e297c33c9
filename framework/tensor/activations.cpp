#include "framework/tensor/activations.h"

#include "framework/tensor/activation_bodies.h"
#include "framework/tensor/instruction_sets.h"

namespace throng::tensor {
namespace {

#define THRONG_SET(name, attribute)                                         \
  template <class T>                                                        \
  struct name {                                                             \
    attribute static void exp(T* x, size_t n) {                             \
      for (size_t i = 0; i < n; ++i) x[i] = exp_of(x[i]);                   \
    }                                                                       \
    attribute static void sigmoid(T* x, size_t n) {                         \
      for (size_t i = 0; i < n; ++i) x[i] = sigmoid_of(x[i]);               \
    }                                                                       \
    attribute static void tanh(T* x, size_t n) {                            \
      for (size_t i = 0; i < n; ++i) x[i] = tanh_of(x[i]);                  \
    }                                                                       \
  };
THRONG_INSTRUCTION_SETS(THRONG_SET)

template <class T>
void exp_all(T* x, size_t n) {
  THRONG_CALL(exp(x, n));
}
template <class T>
void sigmoid_all(T* x, size_t n) {
  THRONG_CALL(sigmoid(x, n));
}
template <class T>
void tanh_all(T* x, size_t n) {
  THRONG_CALL(tanh(x, n));
}

}  // namespace

void exp(float* x, size_t n) { exp_all(x, n); }
void exp(double* x, size_t n) { exp_all(x, n); }
void sigmoid(float* x, size_t n) { sigmoid_all(x, n); }
void sigmoid(double* x, size_t n) { sigmoid_all(x, n); }
void tanh(float* x, size_t n) { tanh_all(x, n); }
void tanh(double* x, size_t n) { tanh_all(x, n); }

}  // namespace throng::tensor
