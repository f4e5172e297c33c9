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

}  // namespace throng::tensor
