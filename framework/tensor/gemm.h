// Matrix products and linear systems: the door to BLAS and LAPACK. Row-major; one BLAS thread, since threads are ours.
#pragma once
#include <cstddef>

namespace throng::tensor {

enum class Side { kPlain, kTransposed };

/// C (m, n) = alpha * op(A) (m, k) * op(B) (k, n) + beta * C, all row-major and dense. Thread-safe.
void gemm(Side a_side, Side b_side, size_t m, size_t n, size_t k, float alpha, const float* a, const float* b, float beta, float* c);
void gemm(Side a_side, Side b_side, size_t m, size_t n, size_t k, double alpha, const double* a, const double* b, double beta, double* c);
/// The same where rows of A, B and C lie `lda`, `ldb` and `ldc` numbers apart, as columns of wider matrices do.
void gemm(Side a_side, Side b_side, size_t m, size_t n, size_t k, float alpha, const float* a, size_t lda, const float* b, size_t ldb, float beta, float* c, size_t ldc);
void gemm(Side a_side, Side b_side, size_t m, size_t n, size_t k, double alpha, const double* a, size_t lda, const double* b, size_t ldb, double beta, double* c, size_t ldc);

/// Solves A x = b for a symmetric, positive definite A (n, n), which is overwritten; b becomes x. False where A is not positive definite. Thread-safe.
bool solve_positive_definite(size_t n, double* a, double* b);

}  // namespace throng::tensor
