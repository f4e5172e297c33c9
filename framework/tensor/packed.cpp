#include "framework/tensor/packed.h"

#include <algorithm>
#include <cstring>

#include "framework/tensor/cpu.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace throng::tensor {
namespace {

template <class T>
constexpr size_t kWidth = 128 / sizeof(T);  // columns of a panel: two cache lines
constexpr size_t kMostRows = 12;            // rows of C in registers at a time
constexpr size_t kPanelBytes = 16 << 10;    // of a panel at a time
constexpr size_t kBlockBytes = 256 << 10;   // of A, which is gone through once for each panel

#if defined(__x86_64__)
#define THRONG_INLINE(isa) __attribute__((target(isa), always_inline)) inline

struct Avx512 {
  template <class T>
  static constexpr size_t kLanes = 64 / sizeof(T);
  struct Floats { __m512 v; };
  struct Doubles { __m512d v; };
  THRONG_INLINE("avx512f") static Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
  THRONG_INLINE("avx512f") static Doubles load(const double* p) { return {_mm512_loadu_pd(p)}; }
  // The numbers whose bit is 1; of the others 0 is read, and nothing written.
  THRONG_INLINE("avx512f") static Floats load(const float* p, uint32_t which) { return {_mm512_maskz_loadu_ps(__mmask16(which), p)}; }
  THRONG_INLINE("avx512f") static Doubles load(const double* p, uint32_t which) { return {_mm512_maskz_loadu_pd(__mmask8(which), p)}; }
  THRONG_INLINE("avx512f") static void store(float* p, const Floats& v, uint32_t which) { _mm512_mask_storeu_ps(p, __mmask16(which), v.v); }
  THRONG_INLINE("avx512f") static void store(double* p, const Doubles& v, uint32_t which) { _mm512_mask_storeu_pd(p, __mmask8(which), v.v); }
  THRONG_INLINE("avx512f") static Floats spread(float x) { return {_mm512_set1_ps(x)}; }
  THRONG_INLINE("avx512f") static Doubles spread(double x) { return {_mm512_set1_pd(x)}; }
  THRONG_INLINE("avx512f") static void fma(const Floats& a, const Floats& b, Floats& c) { c.v = _mm512_fmadd_ps(a.v, b.v, c.v); }
  THRONG_INLINE("avx512f") static void fma(const Doubles& a, const Doubles& b, Doubles& c) { c.v = _mm512_fmadd_pd(a.v, b.v, c.v); }
  THRONG_INLINE("avx512f") static void store(float* p, const Floats& v) { _mm512_storeu_ps(p, v.v); }
  THRONG_INLINE("avx512f") static void store(double* p, const Doubles& v) { _mm512_storeu_pd(p, v.v); }
};

struct Avx2 {
  template <class T>
  static constexpr size_t kLanes = 32 / sizeof(T);
  struct Floats { __m256 v; };
  struct Doubles { __m256d v; };
  THRONG_INLINE("avx2,fma") static Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
  THRONG_INLINE("avx2,fma") static Doubles load(const double* p) { return {_mm256_loadu_pd(p)}; }
  THRONG_INLINE("avx2,fma") static Floats spread(float x) { return {_mm256_set1_ps(x)}; }
  THRONG_INLINE("avx2,fma") static Doubles spread(double x) { return {_mm256_set1_pd(x)}; }
  THRONG_INLINE("avx2,fma") static void fma(const Floats& a, const Floats& b, Floats& c) { c.v = _mm256_fmadd_ps(a.v, b.v, c.v); }
  THRONG_INLINE("avx2,fma") static void fma(const Doubles& a, const Doubles& b, Doubles& c) { c.v = _mm256_fmadd_pd(a.v, b.v, c.v); }
  THRONG_INLINE("avx2,fma") static void store(float* p, const Floats& v) { _mm256_storeu_ps(p, v.v); }
  THRONG_INLINE("avx2,fma") static void store(double* p, const Doubles& v) { _mm256_storeu_pd(p, v.v); }
};

// R rows of C, two vectors wide, stay in registers while k goes by.
#define THRONG_TILE(name, isa, Isa)                                                                         \
  template <size_t R, class T>                                                                              \
  __attribute__((target(isa), optimize("O3"))) void name(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc) { \
    constexpr size_t L = Isa::kLanes<T>, W = kWidth<T>;                                                     \
    using Vector = decltype(Isa::load(a));                                                                  \
    Vector low[R], high[R];                                                                                 \
    _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) low[r] = Isa::load(start + r * lds), high[r] = Isa::load(start + r * lds + L); \
    for (size_t l = 0; l < k; ++l) {                                                                        \
      const Vector b0 = Isa::load(panel + l * W), b1 = Isa::load(panel + l * W + L);                        \
      _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {                                             \
        const Vector x = Isa::spread(a[r * lda + l]);                                                       \
        Isa::fma(x, b0, low[r]), Isa::fma(x, b1, high[r]);                                                  \
      }                                                                                                     \
    }                                                                                                       \
    _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) Isa::store(c + r * ldc, low[r]), Isa::store(c + r * ldc + L, high[r]); \
  }
THRONG_TILE(tile_avx512, "avx512f,avx512bw,avx512dq,avx512vl", Avx512)
THRONG_TILE(tile_avx2, "avx2,fma", Avx2)
#endif

#if defined(__x86_64__)
// The first `columns` of a panel.
template <size_t R, class T>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"), optimize("O3"))) void edge_avx512(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc, size_t columns) {
  constexpr size_t L = Avx512::kLanes<T>, W = kWidth<T>;
  using Vector = decltype(Avx512::load(a));
  const uint32_t present = uint32_t((uint64_t{1} << columns) - 1), first = present & ((1u << L) - 1), second = present >> L;
  Vector low[R], high[R];
  _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) low[r] = Avx512::load(start + r * lds, first), high[r] = Avx512::load(start + r * lds + L, second);
  for (size_t l = 0; l < k; ++l) {
    const Vector b0 = Avx512::load(panel + l * W), b1 = Avx512::load(panel + l * W + L);
    _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {
      const Vector x = Avx512::spread(a[r * lda + l]);
      Avx512::fma(x, b0, low[r]), Avx512::fma(x, b1, high[r]);
    }
  }
  _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) Avx512::store(c + r * ldc, low[r], first), Avx512::store(c + r * ldc + L, high[r], second);
}
#endif

template <size_t R, class T>
void tile_plain(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc) {
  constexpr size_t W = kWidth<T>;
  for (size_t r = 0; r < R; ++r) {
    T sum[W];
    std::copy_n(start + r * lds, W, sum);
    for (size_t l = 0; l < k; ++l)
      for (size_t j = 0; j < W; ++j) sum[j] += a[r * lda + l] * panel[l * W + j];
    std::copy_n(sum, W, c + r * ldc);
  }
}

template <class T>
using Tile = void (*)(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc);

template <class T>
using Edge = void (*)(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc, size_t columns);

// `start` is what the sums begin with: C itself, or one row for all (lds 0).
/// How many rows at a time, and what to call for 1 to so many rows with a whole panel.
template <class T>
struct Tiles {
  size_t rows;
  Tile<T> of[kMostRows + 1];
  Edge<T> edge[kMostRows + 1] = {};  // with part of a panel; where there is none, a whole one is copied
};

#if defined(__x86_64__)
// A panel is two vectors of AVX-512, four of AVX2: there its halves take turns.
template <size_t R, class T>
void halves_avx2(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc) {
  tile_avx2<R>(a, lda, panel, k, start, lds, c, ldc);
  tile_avx2<R>(a, lda, panel + kWidth<T> / 2, k, start + kWidth<T> / 2, lds, c + kWidth<T> / 2, ldc);
}
#endif

template <class T>
const Tiles<T>& tiles() {
  static constexpr Tiles<T> plain{6, {nullptr, tile_plain<1, T>, tile_plain<2, T>, tile_plain<3, T>, tile_plain<4, T>, tile_plain<5, T>, tile_plain<6, T>}};
#if defined(__x86_64__)
  static constexpr Tiles<T> avx2{6, {nullptr, halves_avx2<1, T>, halves_avx2<2, T>, halves_avx2<3, T>, halves_avx2<4, T>, halves_avx2<5, T>, halves_avx2<6, T>}};
  static constexpr Tiles<T> avx512{12, {nullptr, tile_avx512<1, T>, tile_avx512<2, T>, tile_avx512<3, T>, tile_avx512<4, T>, tile_avx512<5, T>, tile_avx512<6, T>, tile_avx512<7, T>,
                                        tile_avx512<8, T>, tile_avx512<9, T>, tile_avx512<10, T>, tile_avx512<11, T>, tile_avx512<12, T>},
                                   {nullptr, edge_avx512<1, T>, edge_avx512<2, T>, edge_avx512<3, T>, edge_avx512<4, T>, edge_avx512<5, T>, edge_avx512<6, T>, edge_avx512<7, T>,
                                    edge_avx512<8, T>, edge_avx512<9, T>, edge_avx512<10, T>, edge_avx512<11, T>, edge_avx512<12, T>}};
  if (instructions() == Instructions::kAvx512) return avx512;
  if (instructions() == Instructions::kAvx2) return avx2;
#endif
  return plain;
}

}  // namespace

template <class T>
PackedMatrix<T>::PackedMatrix(Side side, size_t k, size_t n, const T* b) : k_(k), n_(n), panels_((n + kWidth<T> - 1) / kWidth<T> * kWidth<T> * k) {
  constexpr size_t W = kWidth<T>;
  for (size_t first = 0; first < n; first += W) {
    T* panel = panels_.data() + first * k;
    const size_t columns = std::min(W, n - first);
    if (side == Side::kTransposed) {
      // Rows of b are columns: a square of them at a time, so that both sides stay in the cache.
      constexpr size_t kSquare = 16;
      for (size_t begin = 0; begin < k; begin += kSquare)
        for (size_t j = 0; j < columns; ++j)
          for (size_t l = begin; l < std::min(k, begin + kSquare); ++l) panel[l * W + j] = b[(first + j) * k + l];
    } else {
      for (size_t l = 0; l < k; ++l) std::memcpy(panel + l * W, b + l * n + first, columns * sizeof(T));
    }
    for (size_t l = 0; l < k && columns < W; ++l) std::fill(panel + l * W + columns, panel + (l + 1) * W, T(0));
  }
}

template <class T>
void PackedMatrix<T>::multiply_add(size_t m, const T* a, T* c) const {
  multiply(m, a, c, n_, c);
}

template <class T>
void PackedMatrix<T>::multiply(size_t m, const T* a, const T* row, T* c) const {
  multiply(m, a, row, 0, c);
}

template <class T>
void PackedMatrix<T>::multiply(size_t m, const T* a, const T* start, size_t lds, T* c) const {
  constexpr size_t W = kWidth<T>, kDepth = kPanelBytes / sizeof(T) / W;
  const Tiles<T>& tile = tiles<T>();
  // A stretch of a panel in the first cache meets a block of rows in the second; sums go on in the order of k.
  const size_t block = std::max(tile.rows, kBlockBytes / sizeof(T) / std::clamp<size_t>(k_, 1, kDepth) / tile.rows * tile.rows);
  T edge[kMostRows * W], edge_start[kMostRows * W];
  for (size_t begin = 0; begin < m; begin += block)
    for (size_t from = 0; from == 0 || from < k_; from += kDepth) {
      const size_t end = std::min(m, begin + block), depth = std::min(kDepth, k_ - from);
      const T* first = from == 0 ? start : c;
      const size_t ld_first = from == 0 ? lds : n_;
      for (size_t j = 0; j < n_; j += W) {
        const T* panel = panels_.data() + j * k_ + from * W;
        const size_t columns = std::min(W, n_ - j);
        for (size_t r = begin; r < end; r += tile.rows) {
          const size_t rows = std::min(tile.rows, end - r);
          if (columns == W) {
            tile.of[rows](a + r * k_ + from, k_, panel, depth, first + r * ld_first + j, ld_first, c + r * n_ + j, n_);
            continue;
          }
          if (tile.edge[rows]) {
            tile.edge[rows](a + r * k_ + from, k_, panel, depth, first + r * ld_first + j, ld_first, c + r * n_ + j, n_, columns);
            continue;
          }
          for (size_t i = 0; i < rows; ++i) {
            std::copy_n(first + (r + i) * ld_first + j, columns, edge_start + i * W);
            std::fill(edge_start + i * W + columns, edge_start + (i + 1) * W, T(0));
          }
          tile.of[rows](a + r * k_ + from, k_, panel, depth, edge_start, W, edge, W);
          for (size_t i = 0; i < rows; ++i) std::copy_n(edge + i * W, columns, c + (r + i) * n_ + j);
        }
      }
    }
}

template <class T>
const PackedMatrix<T>& PackedCache<T>::get(Side side, size_t k, size_t n, const T* b) {
  std::lock_guard lock(mutex_);
  auto& matrix = matrices_[{b, side, k, n}];
  if (!matrix) matrix = std::make_unique<PackedMatrix<T>>(side, k, n, b);
  return *matrix;
}

template class PackedCache<float>;
template class PackedCache<double>;
template class PackedMatrix<float>;
template class PackedMatrix<double>;

}  // namespace throng::tensor
