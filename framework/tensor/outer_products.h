// Sums over many rows, as the gradients of weights are.
#pragma once
#include <cstddef>

namespace throng::tensor {

/// C (m, n) += A^T B for A (rows, m) and B (rows, n), whose rows lie `lda` and `ldb` numbers apart, as those of C lie `ldc`. An element is summed in the
/// order of rows, from 0 for each stretch of some hundred rows, with the same bits whichever vector instructions there are (with plain loops, where the
/// processor has fused multiply-add). T is float or double. Thread-safe.
template <class T>
void add_outer_products(size_t rows, size_t m, size_t n, const T* a, size_t lda, const T* b, size_t ldb, T* c, size_t ldc);
/// The same of dense matrices.
template <class T>
void add_outer_products(size_t rows, size_t m, size_t n, const T* a, const T* b, T* c) {
  add_outer_products(rows, m, n, a, m, b, n, c, n);
}

extern template void add_outer_products<float>(size_t, size_t, size_t, const float*, size_t, const float*, size_t, float*, size_t);
extern template void add_outer_products<double>(size_t, size_t, size_t, const double*, size_t, const double*, size_t, double*, size_t);

}  // namespace throng::tensor
