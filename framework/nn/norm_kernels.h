// Layer norm of one row, forward and back. Internal to normalisation.
#pragma once
#include <cstddef>

namespace throng::nn {

/// T is float or double. Sums in sixteen fixed lanes: the same bits with any vector instructions.
template <class T>
struct NormKernels {
  /// `scaled` is x at mean 0 and variance 1, y = scaled * gain + bias. Gives 1 / standard deviation.
  static T forward(const T* x, const T* gain, const T* bias, T epsilon, T* scaled, T* y, size_t n);
  /// Adds to the gradients of gain, bias and x, each of which may be null; that of x is written where it is `empty`.
  static void backward(const T* dy, const T* scaled, const T* gain, T deviation, T* dgain, T* dbias, T* dx, bool empty, size_t n);
};

}  // namespace throng::nn
