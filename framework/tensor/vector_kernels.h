// Loops over short vectors. Sixteen fixed lanes and no fused multiply-add, so that the bits are the same on every processor. T is float or double.
#pragma once
#include <cstddef>

namespace throng::tensor {

/// Sum of a[i] * b[i].
template <class T>
T dot(const T* a, const T* b, size_t n);
/// y[i] += alpha * x[i].
template <class T>
void axpy(T alpha, const T* x, T* y, size_t n);
/// x[i] *= factor.
template <class T>
void scale(T factor, T* x, size_t n);
/// y[i] += x[i].
template <class T>
void add(const T* x, T* y, size_t n);
/// y[i] = a[i] + b[i].
template <class T>
void sum(const T* a, const T* b, T* y, size_t n);
/// y[i] += a[i] * b[i].
template <class T>
void multiply_add(const T* a, const T* b, T* y, size_t n);
/// How many numbers are at least `least`; n is below 2^32.
template <class T>
size_t count_at_least(T least, const T* x, size_t n);
/// Whether all are at most `most`; false where one is not a number.
template <class T>
bool all_at_most(T most, const T* x, size_t n);
/// Whether none is infinite or not a number.
template <class T>
bool all_finite(const T* x, size_t n);

}  // namespace throng::tensor
