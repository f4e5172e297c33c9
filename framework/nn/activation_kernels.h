// Activation functions over arrays, forward and back. Internal to the element-wise operations.
#pragma once
#include "framework/nn/elementwise.h"

namespace throng::nn {

/// T is float or double. Except for gelu, the same bits with any vector instructions.
template <class T>
void activation_forward(Activation activation, const T* x, T* y, size_t n);
/// dx += the gradient, from that of y; = where dx is `empty`.
template <class T>
void activation_backward(Activation activation, const T* x, const T* y, const T* dy, T* dx, bool empty, size_t n);

}  // namespace throng::nn
