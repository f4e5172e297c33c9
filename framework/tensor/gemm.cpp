#include "framework/tensor/gemm.h"

#include <cblas.h>

#include <mutex>

// LAPACK's own name; OpenBLAS has no header for it.
extern "C" void dposv_(const char* uplo, const int* n, const int* nrhs, double* a, const int* lda, double* b, const int* ldb, int* info);

namespace throng::tensor {
namespace {

// A bit pattern must not depend on how many threads BLAS would like to use.
const int one_thread = [] {
  openblas_set_num_threads(1);
  return 1;
}();

// The serial build of OpenBLAS (libopenblas0-serial) shares its work space between calls without a lock: products computed at
// the same time come out wrong, so there they take turns. The others (libopenblas0-pthread, -openmp) need no lock.
std::unique_lock<std::mutex> turn() {
  static std::mutex mutex;
  static const bool serial = openblas_get_parallel() == OPENBLAS_SEQUENTIAL;
  return serial ? std::unique_lock(mutex) : std::unique_lock<std::mutex>();
}

CBLAS_TRANSPOSE side(Side s) { return s == Side::kPlain ? CblasNoTrans : CblasTrans; }

}  // namespace

void gemm(Side as, Side bs, size_t m, size_t n, size_t k, float alpha, const float* a, size_t lda, const float* b, size_t ldb, float beta, float* c, size_t ldc) {
  if (m == 0 || n == 0) return;
  auto lock = turn();
  cblas_sgemm(CblasRowMajor, side(as), side(bs), int(m), int(n), int(k), alpha, a, int(lda), b, int(ldb), beta, c, int(ldc));
}
void gemm(Side as, Side bs, size_t m, size_t n, size_t k, double alpha, const double* a, size_t lda, const double* b, size_t ldb, double beta, double* c, size_t ldc) {
  if (m == 0 || n == 0) return;
  auto lock = turn();
  cblas_dgemm(CblasRowMajor, side(as), side(bs), int(m), int(n), int(k), alpha, a, int(lda), b, int(ldb), beta, c, int(ldc));
}
void gemm(Side as, Side bs, size_t m, size_t n, size_t k, float alpha, const float* a, const float* b, float beta, float* c) {
  gemm(as, bs, m, n, k, alpha, a, as == Side::kPlain ? k : m, b, bs == Side::kPlain ? n : k, beta, c, n);
}
void gemm(Side as, Side bs, size_t m, size_t n, size_t k, double alpha, const double* a, const double* b, double beta, double* c) {
  gemm(as, bs, m, n, k, alpha, a, as == Side::kPlain ? k : m, b, bs == Side::kPlain ? n : k, beta, c, n);
}

bool solve_positive_definite(size_t n, double* a, double* b) {
  auto lock = turn();
  const int size = int(n), one = 1;
  int info = 0;
  dposv_("U", &size, &one, a, &size, b, &size, &info);  // symmetric: rows or columns first is the same
  return info == 0;
}

}  // namespace throng::tensor
