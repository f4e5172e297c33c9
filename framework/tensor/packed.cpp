#include "framework/tensor/packed.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "framework/base/error.h"
#include "framework/tensor/cpu.h"
#include "framework/tensor/panels.h"
#include "framework/tensor/vector_kernels.h"
#include "framework/tensor/vector_registers.h"

namespace throng::tensor {
namespace {

template <class T>
constexpr size_t kWidth = 128 / sizeof(T);  // columns of a panel: two cache lines
constexpr size_t kMostRows = 12;            // rows of C in registers at a time
constexpr size_t kPanelBytes = 16 << 10;    // of a panel at a time
constexpr size_t kBlockBytes = 256 << 10;   // of A, which is gone through once for each panel

#if defined(__x86_64__)
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
// The first `columns` of a panel, which are in V vectors.
template <size_t R, size_t V, class T>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"), optimize("O3"))) void part_avx512(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc, size_t columns) {
  constexpr size_t L = Avx512::kLanes<T>, W = kWidth<T>;
  using Vector = decltype(Avx512::load(a));
  const uint32_t present = uint32_t((uint64_t{1} << columns) - 1), first = present & ((1u << L) - 1), second = present >> L;
  Vector low[R], high[R];
  _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {
    low[r] = Avx512::load(start + r * lds, first);
    if constexpr (V > 1) high[r] = Avx512::load(start + r * lds + L, second);
  }
  for (size_t l = 0; l < k; ++l) {
    const Vector b0 = Avx512::load(panel + l * W), b1 = Avx512::load(panel + l * W + (V - 1) * L);
    _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {
      const Vector x = Avx512::spread(a[r * lda + l]);
      Avx512::fma(x, b0, low[r]);
      if constexpr (V > 1) Avx512::fma(x, b1, high[r]);
    }
  }
  _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {
    Avx512::store(c + r * ldc, low[r], first);
    if constexpr (V > 1) Avx512::store(c + r * ldc + L, high[r], second);
  }
}
template <size_t R, class T>
void edge_avx512(const T* a, size_t lda, const T* panel, size_t k, const T* start, size_t lds, T* c, size_t ldc, size_t columns) {
  if (columns > Avx512::kLanes<T>) return part_avx512<R, 2>(a, lda, panel, k, start, lds, c, ldc, columns);
  part_avx512<R, 1>(a, lda, panel, k, start, lds, c, ldc, columns);
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

namespace {

// `to` (cols, rows) becomes b (rows, cols) turned, a square at a time, so that both sides stay in the cache.
template <class T>
void turn(size_t rows, size_t cols, const T* b, size_t ldb, T* to, size_t ldt) {
  size_t whole = 0;
#if defined(__x86_64__)
  if constexpr (std::is_same_v<T, float>) {
    whole = rows / 4 * 4;
    for (size_t l = 0; l < cols / 4 * 4; l += 4)
      for (size_t j = 0; j < whole; j += 4) {
        __m128 r0 = _mm_loadu_ps(b + j * ldb + l), r1 = _mm_loadu_ps(b + (j + 1) * ldb + l), r2 = _mm_loadu_ps(b + (j + 2) * ldb + l), r3 = _mm_loadu_ps(b + (j + 3) * ldb + l);
        _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
        _mm_storeu_ps(to + l * ldt + j, r0), _mm_storeu_ps(to + (l + 1) * ldt + j, r1), _mm_storeu_ps(to + (l + 2) * ldt + j, r2), _mm_storeu_ps(to + (l + 3) * ldt + j, r3);
      }
    for (size_t j = 0; j < whole; ++j)
      for (size_t l = cols / 4 * 4; l < cols; ++l) to[l * ldt + j] = b[j * ldb + l];
  }
#endif
  constexpr size_t kSquare = 16;
  for (size_t begin = 0; begin < cols; begin += kSquare)
    for (size_t j = whole; j < rows; ++j)
      for (size_t l = begin; l < std::min(cols, begin + kSquare); ++l) to[l * ldt + j] = b[j * ldb + l];
}

}  // namespace

template <class T>
void PackedMatrix<T>::lay_out(Side side, size_t k, size_t n, const T* b, size_t ldb, T factor) {
  constexpr size_t W = kWidth<T>;
  k_ = k, n_ = n;
  panels_.resize((n + W - 1) / W * W * k);
  for (size_t first = 0; first < n; first += W) {
    T* panel = panels_.data() + first * k;
    const size_t columns = std::min(W, n - first);
    if (side == Side::kTransposed) {
      turn(columns, k, b + first * ldb, ldb, panel, W);
      for (size_t l = 0; l < k && columns < W; ++l) std::fill(panel + l * W + columns, panel + (l + 1) * W, T(0));
    } else {
      pack_panel(b + first, ldb, k, columns, W, panel);
    }
  }
  if (factor != 1) scale(factor, panels_.data(), panels_.size());
}

template <class T>
void PackedMatrix<T>::multiply_add(size_t m, const T* a, T* c) const {
  multiply(m, n_, k_, a, k_, c, n_, c, n_);
}

template <class T>
void PackedMatrix<T>::multiply(size_t m, const T* a, const T* row, T* c) const {
  multiply(m, n_, k_, a, k_, row, 0, c, n_);
}

template <class T>
void PackedMatrix<T>::multiply_part(size_t m, size_t n, size_t k, const T* a, size_t lda, bool kept, T* c, size_t ldc) const {
  THRONG_CHECK(n <= n_ && k <= k_, "({}, {}) of ({}, {})", k, n, k_, n_);
  if (kept) return multiply(m, n, k, a, lda, c, ldc, c, ldc);
  const std::vector<T> zeros(n, T(0));
  multiply(m, n, k, a, lda, zeros.data(), 0, c, ldc);
}

template <class T>
void PackedMatrix<T>::multiply(size_t m, size_t n, size_t k, const T* a, size_t lda, const T* start, size_t lds, T* c, size_t ldc) const {
  constexpr size_t W = kWidth<T>, kDepth = kPanelBytes / sizeof(T) / W;
  const Tiles<T>& tile = tiles<T>();
  // A stretch of a panel in the first cache meets a block of rows in the second; sums go on in the order of k.
  const size_t block = std::max(tile.rows, kBlockBytes / sizeof(T) / std::clamp<size_t>(k, 1, kDepth) / tile.rows * tile.rows);
  T edge[kMostRows * W], edge_start[kMostRows * W];
  for (size_t begin = 0; begin < m; begin += block)
    for (size_t from = 0; from == 0 || from < k; from += kDepth) {
      const size_t end = std::min(m, begin + block), depth = std::min(kDepth, k - from);
      const T* first = from == 0 ? start : c;
      const size_t ld_first = from == 0 ? lds : ldc;
      for (size_t j = 0; j < n; j += W) {
        const T* panel = panels_.data() + j * k_ + from * W;
        const size_t columns = std::min(W, n - j);
        for (size_t r = begin; r < end; r += tile.rows) {
          const size_t rows = std::min(tile.rows, end - r);
          if (columns == W) {
            tile.of[rows](a + r * lda + from, lda, panel, depth, first + r * ld_first + j, ld_first, c + r * ldc + j, ldc);
            continue;
          }
          if (tile.edge[rows]) {
            tile.edge[rows](a + r * lda + from, lda, panel, depth, first + r * ld_first + j, ld_first, c + r * ldc + j, ldc, columns);
            continue;
          }
          for (size_t i = 0; i < rows; ++i) {
            std::copy_n(first + (r + i) * ld_first + j, columns, edge_start + i * W);
            std::fill(edge_start + i * W + columns, edge_start + (i + 1) * W, T(0));
          }
          tile.of[rows](a + r * lda + from, lda, panel, depth, edge_start, W, edge, W);
          for (size_t i = 0; i < rows; ++i) std::copy_n(edge + i * W, columns, c + (r + i) * ldc + j);
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

template <class T>
const PackedMatrix<T>& PackedCache<T>::get_gathered(Side side, size_t k, size_t n, uint64_t name, const std::function<void(T*)>& gather) {
  std::lock_guard lock(mutex_);
  auto& matrix = gathered_[{name, side, k, n}];
  if (matrix) return *matrix;
  rows_.resize(k * n);
  gather(rows_.data());
  matrix = std::make_unique<PackedMatrix<T>>(side, k, n, rows_.data());
  return *matrix;
}

template class PackedCache<float>;
template class PackedCache<double>;
template class PackedMatrix<float>;
template class PackedMatrix<double>;

}  // namespace throng::tensor
