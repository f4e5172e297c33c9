// The softmax of a row, or of a column.
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

/// The same down the columns of x (rows, cols), of which row r is moved by `add[r]` first: x becomes exp(x + add - most). `most` and `sum` are of each column; sums are in the order of rows.
template <class T>
void column_exponents(size_t rows, size_t cols, T* x, const T* add, T* most, T* sum);
/// Each column times its factor, in place.
template <class T>
void scale_columns(size_t rows, size_t cols, const T* factors, T* x);

/// From the gradient d of a softmax's result p that of its scores, times `factor`, in place: d[i] becomes p[i] (d[i] - sum of p d) factor. In the same lanes.
template <class T>
void softmax_backward(const T* p, T* d, size_t n, T factor);

}  // namespace throng::tensor
