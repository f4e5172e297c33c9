#include "framework/tensor/activations.h"

#include "framework/tensor/activation_bodies.h"
#include "framework/tensor/cpu.h"

namespace throng::tensor {
namespace {

#define THRONG_BODY(name)                                                            \
  template <class T>                                                                 \
  __attribute__((always_inline)) inline void name##_body(T* x, size_t n) {           \
    for (size_t i = 0; i < n; ++i) x[i] = name##_of(x[i]);                           \
  }                                                                                  \
  void name##_plain(float* x, size_t n) { name##_body(x, n); }
THRONG_BODY(exp)
THRONG_BODY(sigmoid)
THRONG_BODY(tanh)
#if defined(__x86_64__)
#define THRONG_VECTORS(name)                                                         \
  THRONG_KERNEL(THRONG_AVX2) void name##_avx2(float* x, size_t n) { name##_body(x, n); } \
  THRONG_KERNEL(THRONG_AVX512) void name##_avx512(float* x, size_t n) { name##_body(x, n); }
THRONG_VECTORS(exp)
THRONG_VECTORS(sigmoid)
THRONG_VECTORS(tanh)
#endif

}  // namespace

#if defined(__x86_64__)
#define THRONG_DISPATCH(name)                                                                          \
  void name(float* x, size_t n) {                                                                      \
    const Instructions i = instructions();                                                             \
    (i == Instructions::kAvx512 ? name##_avx512 : i == Instructions::kAvx2 ? name##_avx2 : name##_plain)(x, n); \
  }                                                                                                    \
  void name(double* x, size_t n) { name##_body(x, n); }
#else
#define THRONG_DISPATCH(name)                            \
  void name(float* x, size_t n) { name##_plain(x, n); }  \
  void name(double* x, size_t n) { name##_body(x, n); }
#endif
THRONG_DISPATCH(exp)
THRONG_DISPATCH(sigmoid)
THRONG_DISPATCH(tanh)

}  // namespace throng::tensor
