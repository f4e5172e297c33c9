// The softmax of a row.
#pragma once
#include <cstddef>

namespace throng::tensor {

/// x[i] becomes exp(x[i] - max x); returns max x and their sum, in 16 fixed lanes, so that the bits are the same with any vectors. n > 0. T is float or
/// double.
template <class T>
struct Exponents {
  T most, sum;
};
template <class T>
Exponents<T> exponents(T* x, size_t n);

/// From the gradient d of a softmax's result p that of its scores, times `factor`, in place: d[i] becomes p[i] (d[i] - sum of p d) factor. In the same lanes.
template <class T>
void softmax_backward(const T* p, T* d, size_t n, T factor);

}  // namespace throng::tensor
