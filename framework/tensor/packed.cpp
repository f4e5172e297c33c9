#include "framework/tensor/packed.h"

#include <algorithm>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace throng::tensor {
namespace {

constexpr size_t kVectorBytes = 32;
constexpr size_t kTileRows = 6;  // rows of C in registers at a time
template <class T>
constexpr size_t kLanes = kVectorBytes / sizeof(T);
template <class T>
constexpr size_t kWidth = 2 * kLanes<T>;  // columns of a panel

#if defined(__x86_64__)
const bool has_fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");

#define THRONG_FMA __attribute__((target("avx2,fma")))
template <size_t R>
THRONG_FMA void tile_fma(const float* a, size_t lda, const float* panel, size_t k, float* c, size_t ldc) {
  __m256 sum[R][2];
  for (size_t r = 0; r < R; ++r) sum[r][0] = _mm256_loadu_ps(c + r * ldc), sum[r][1] = _mm256_loadu_ps(c + r * ldc + 8);
  for (size_t l = 0; l < k; ++l) {
    const __m256 b0 = _mm256_loadu_ps(panel + l * 16), b1 = _mm256_loadu_ps(panel + l * 16 + 8);
    for (size_t r = 0; r < R; ++r) {
      const __m256 x = _mm256_broadcast_ss(a + r * lda + l);
      sum[r][0] = _mm256_fmadd_ps(x, b0, sum[r][0]), sum[r][1] = _mm256_fmadd_ps(x, b1, sum[r][1]);
    }
  }
  for (size_t r = 0; r < R; ++r) _mm256_storeu_ps(c + r * ldc, sum[r][0]), _mm256_storeu_ps(c + r * ldc + 8, sum[r][1]);
}
template <size_t R>
THRONG_FMA void tile_fma(const double* a, size_t lda, const double* panel, size_t k, double* c, size_t ldc) {
  __m256d sum[R][2];
  for (size_t r = 0; r < R; ++r) sum[r][0] = _mm256_loadu_pd(c + r * ldc), sum[r][1] = _mm256_loadu_pd(c + r * ldc + 4);
  for (size_t l = 0; l < k; ++l) {
    const __m256d b0 = _mm256_loadu_pd(panel + l * 8), b1 = _mm256_loadu_pd(panel + l * 8 + 4);
    for (size_t r = 0; r < R; ++r) {
      const __m256d x = _mm256_broadcast_sd(a + r * lda + l);
      sum[r][0] = _mm256_fmadd_pd(x, b0, sum[r][0]), sum[r][1] = _mm256_fmadd_pd(x, b1, sum[r][1]);
    }
  }
  for (size_t r = 0; r < R; ++r) _mm256_storeu_pd(c + r * ldc, sum[r][0]), _mm256_storeu_pd(c + r * ldc + 4, sum[r][1]);
}
#endif

template <size_t R, class T>
void tile_plain(const T* a, size_t lda, const T* panel, size_t k, T* c, size_t ldc) {
  constexpr size_t W = kWidth<T>;
  for (size_t r = 0; r < R; ++r) {
    T sum[W];
    std::copy_n(c + r * ldc, W, sum);
    for (size_t l = 0; l < k; ++l)
      for (size_t j = 0; j < W; ++j) sum[j] += a[r * lda + l] * panel[l * W + j];
    std::copy_n(sum, W, c + r * ldc);
  }
}

template <size_t R, class T>
void tile(const T* a, size_t lda, const T* panel, size_t k, T* c, size_t ldc) {
#if defined(__x86_64__)
  if (has_fma) return tile_fma<R>(a, lda, panel, k, c, ldc);
#endif
  tile_plain<R>(a, lda, panel, k, c, ldc);
}

template <class T>
void tile(size_t rows, const T* a, size_t lda, const T* panel, size_t k, T* c, size_t ldc) {
  static_assert(kTileRows == 6);
  switch (rows) {
    case 6: return tile<6>(a, lda, panel, k, c, ldc);
    case 5: return tile<5>(a, lda, panel, k, c, ldc);
    case 4: return tile<4>(a, lda, panel, k, c, ldc);
    case 3: return tile<3>(a, lda, panel, k, c, ldc);
    case 2: return tile<2>(a, lda, panel, k, c, ldc);
    default: return tile<1>(a, lda, panel, k, c, ldc);
  }
}

}  // namespace

template <class T>
PackedMatrix<T>::PackedMatrix(Side side, size_t k, size_t n, const T* b) : k_(k), n_(n), panels_((n + kWidth<T> - 1) / kWidth<T> * kWidth<T> * k, T(0)) {
  constexpr size_t W = kWidth<T>;
  for (size_t j = 0; j < n; ++j) {
    T* into = panels_.data() + j / W * W * k + j % W;
    if (side == Side::kTransposed)
      for (size_t l = 0; l < k; ++l) into[l * W] = b[j * k + l];
    else
      for (size_t l = 0; l < k; ++l) into[l * W] = b[l * n + j];
  }
}

template <class T>
void PackedMatrix<T>::multiply_add(size_t m, const T* a, T* c) const {
  constexpr size_t W = kWidth<T>;
  for (size_t j = 0; j < n_; j += W) {
    const T* panel = panels_.data() + j * k_;
    const size_t columns = std::min(W, n_ - j);
    for (size_t r = 0; r < m; r += kTileRows) {
      const size_t rows = std::min(kTileRows, m - r);
      if (columns == W) {
        tile(rows, a + r * k_, k_, panel, k_, c + r * n_ + j, n_);
        continue;
      }
      T edge[kTileRows * W] = {};
      for (size_t i = 0; i < rows; ++i) std::copy_n(c + (r + i) * n_ + j, columns, edge + i * W);
      tile(rows, a + r * k_, k_, panel, k_, edge, W);
      for (size_t i = 0; i < rows; ++i) std::copy_n(edge + i * W, columns, c + (r + i) * n_ + j);
    }
  }
}

template class PackedMatrix<float>;
template class PackedMatrix<double>;

}  // namespace throng::tensor
