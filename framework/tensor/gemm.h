// Matrix products: the door to BLAS. Row-major; one BLAS thread, since threads are ours.
#pragma once
#include <cstddef>

namespace throng::tensor {

enum class Side { kPlain, kTransposed };

/// C (m, n) = alpha * op(A) (m, k) * op(B) (k, n) + beta * C, all row-major and dense. Thread-safe.
void gemm(Side a_side, Side b_side, size_t m, size_t n, size_t k, float alpha, const float* a, const float* b, float beta, float* c);
void gemm(Side a_side, Side b_side, size_t m, size_t n, size_t k, double alpha, const double* a, const double* b, double beta, double* c);

}  // namespace throng::tensor
