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

#define THRONG_FMA __attribute__((target("avx2,fma"), always_inline)) inline
THRONG_FMA __m256 load(const float* p) { return _mm256_loadu_ps(p); }
THRONG_FMA __m256d load(const double* p) { return _mm256_loadu_pd(p); }
THRONG_FMA __m256 spread(const float* p) { return _mm256_broadcast_ss(p); }
THRONG_FMA __m256d spread(const double* p) { return _mm256_broadcast_sd(p); }
THRONG_FMA __m256 fma(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
THRONG_FMA __m256d fma(__m256d a, __m256d b, __m256d c) { return _mm256_fmadd_pd(a, b, c); }
THRONG_FMA void store(float* p, __m256 v) { _mm256_storeu_ps(p, v); }
THRONG_FMA void store(double* p, __m256d v) { _mm256_storeu_pd(p, v); }

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  __m256 v;
};
template <>
struct VectorOf<double> {
  __m256d v;
};

template <size_t R, class T>
__attribute__((target("avx2,fma"))) void tile_fma(const T* a, size_t lda, const T* panel, size_t k, T* c, size_t ldc) {
  constexpr size_t L = kLanes<T>;
  VectorOf<T> sum[R][2];
  for (size_t r = 0; r < R; ++r) sum[r][0].v = load(c + r * ldc), sum[r][1].v = load(c + r * ldc + L);
  for (size_t l = 0; l < k; ++l) {
    const VectorOf<T> b0{load(panel + l * 2 * L)}, b1{load(panel + l * 2 * L + L)};
    for (size_t r = 0; r < R; ++r) {
      const VectorOf<T> x{spread(a + r * lda + l)};
      sum[r][0].v = fma(x.v, b0.v, sum[r][0].v), sum[r][1].v = fma(x.v, b1.v, sum[r][1].v);
    }
  }
  for (size_t r = 0; r < R; ++r) store(c + r * ldc, sum[r][0].v), store(c + r * ldc + L, sum[r][1].v);
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
