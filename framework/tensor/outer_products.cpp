#include "framework/tensor/outer_products.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "framework/base/buffer.h"
#include "framework/tensor/cpu.h"
#include "framework/tensor/panels.h"
#include "framework/tensor/vector_registers.h"

namespace throng::tensor {
namespace {

// A stretch of rows of B is cut into panels of two vectors' width, one of A into strips a few columns wide: a panel stays in the first cache while the strips
// go by it, and what a strip and a panel make stays in registers.
constexpr size_t kStretchBytes = 1024;      // of a column in a stretch
constexpr size_t kStripsBytes = 256 << 10;  // of A that is laid out at a time
constexpr size_t kPanelsBytes = 512 << 10;  // of B

template <class T>
constexpr size_t kStretch = kStretchBytes / sizeof(T);

// `rows` of a strip (rows, R) and of a panel (rows, width) are multiplied and summed, and added to `columns` of C.
template <class T>
using Tile = void (*)(const T* strip, const T* panel, size_t rows, T* c, size_t ldc, size_t columns);
template <class T>
using Pack = void (*)(const T* from, size_t ld, size_t rows, T* to);

constexpr size_t kMostColumns = 12;  // of a strip

template <class T>
struct Tiles {
  size_t strip, lanes;                         // columns of a strip at the most, numbers in a vector
  std::array<Tile<T>, kMostColumns> one, two;  // for strips of 1, 2, .. columns and panels of so many vectors
};

template <class T>
void add_part(const T* sums, size_t width, size_t R, T* c, size_t ldc, size_t columns) {
  for (size_t r = 0; r < R; ++r)
    for (size_t j = 0; j < columns; ++j) c[r * ldc + j] += sums[r * width + j];
}

#if defined(__x86_64__)
#define THRONG_TILE(name, isa, Isa)                                                                                                  \
  template <size_t R, size_t V, class T>                                                                                             \
  __attribute__((target(isa), optimize("O3"))) void name(const T* strip, const T* panel, size_t rows, T* c, size_t ldc, size_t columns) { \
    constexpr size_t L = Isa::kLanes<T>, W = V * L;                                                                                  \
    using Vector = decltype(Isa::load(strip));                                                                                       \
    Vector low[R], high[R];                                                                                                          \
    _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) low[r] = high[r] = Isa::spread(T(0));                                    \
    for (size_t l = 0; l < rows; ++l) {                                                                                              \
      const Vector b0 = Isa::load(panel + l * W), b1 = Isa::load(panel + l * W + W - L);                                             \
      _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {                                                                      \
        const Vector x = Isa::spread(strip[l * R + r]);                                                                              \
        Isa::fma(x, b0, low[r]);                                                                                                     \
        if constexpr (V > 1) Isa::fma(x, b1, high[r]);                                                                               \
      }                                                                                                                              \
    }                                                                                                                                \
    if (columns == W) {                                                                                                              \
      _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {                                                                      \
        Isa::store(c + r * ldc, Isa::sum(Isa::load(c + r * ldc), low[r]));                                                           \
        if constexpr (V > 1) Isa::store(c + r * ldc + L, Isa::sum(Isa::load(c + r * ldc + L), high[r]));                             \
      }                                                                                                                              \
      return;                                                                                                                        \
    }                                                                                                                                \
    T sums[R * W];                                                                                                                   \
    _Pragma("GCC unroll 12") for (size_t r = 0; r < R; ++r) {                                                                        \
      Isa::store(sums + r * W, low[r]);                                                                                              \
      if constexpr (V > 1) Isa::store(sums + r * W + L, high[r]);                                                                    \
    }                                                                                                                                \
    add_part(sums, W, R, c, ldc, columns);                                                                                           \
  }
THRONG_TILE(tile_avx512, "avx512f,avx512bw,avx512dq,avx512vl", Avx512)
THRONG_TILE(tile_avx2, "avx2,fma", Avx2)
#endif

constexpr size_t kPlainLanes = 8;

template <size_t R, size_t V, class T>
void tile_plain(const T* strip, const T* panel, size_t rows, T* c, size_t ldc, size_t columns) {
  constexpr size_t W = V * kPlainLanes;
  T sums[R * W] = {};
  for (size_t l = 0; l < rows; ++l)
    for (size_t r = 0; r < R; ++r)
      for (size_t j = 0; j < W; ++j) sums[r * W + j] += strip[l * R + r] * panel[l * W + j];
  add_part(sums, W, R, c, ldc, columns);
}

template <size_t R, class T>
void pack(const T* from, size_t ld, size_t rows, T* to) {
  for (size_t l = 0; l < rows; ++l) std::memcpy(to + l * R, from + l * ld, R * sizeof(T));
}

template <class T>
const Tiles<T>& tiles() {
  static constexpr Tiles<T> plain = []<size_t... R>(std::index_sequence<R...>) { return Tiles<T>{4, kPlainLanes, {tile_plain<R + 1, 1, T>...}, {tile_plain<R + 1, 2, T>...}}; }(std::make_index_sequence<4>());
#if defined(__x86_64__)
  static constexpr Tiles<T> avx2 = []<size_t... R>(std::index_sequence<R...>) { return Tiles<T>{6, Avx2::kLanes<T>, {tile_avx2<R + 1, 1, T>...}, {tile_avx2<R + 1, 2, T>...}}; }(std::make_index_sequence<6>());
  static constexpr Tiles<T> avx512 = []<size_t... R>(std::index_sequence<R...>) { return Tiles<T>{12, Avx512::kLanes<T>, {tile_avx512<R + 1, 1, T>...}, {tile_avx512<R + 1, 2, T>...}}; }(std::make_index_sequence<12>());
  if (instructions() == Instructions::kAvx512) return avx512;
  if (instructions() == Instructions::kAvx2) return avx2;
#endif
  return plain;
}

template <class T>
const std::array<Pack<T>, kMostColumns>& packs() {
  static constexpr std::array<Pack<T>, kMostColumns> all = []<size_t... R>(std::index_sequence<R...>) { return std::array<Pack<T>, kMostColumns>{pack<R + 1, T>...}; }(std::make_index_sequence<kMostColumns>());
  return all;
}

// One stretch of rows and as many columns of B as are laid out at a time.
template <class T>
void add_stretch(const Tiles<T>& tile, size_t rows, size_t m, size_t n, const T* a, size_t lda, const T* b, size_t ldb, T* c, size_t ldc, AlignedVector<T>& strips, AlignedVector<T>& panels) {
  const size_t width = 2 * tile.lanes;
  auto width_of = [&](size_t columns) { return columns > tile.lanes ? width : tile.lanes; };
  for (size_t j = 0; j < n; j += width) pack_panel(b + j, ldb, rows, std::min(width, n - j), width_of(n - j), &panels[j * rows]);
  // Strips of nearly the same width, since narrow ones are slow.
  const size_t count = (m + tile.strip - 1) / tile.strip, at_once = std::max<size_t>(1, kStripsBytes / sizeof(T) / tile.strip / kStretch<T>);
  auto strip_begin = [&](size_t s) { return m * s / count; };
  for (size_t first = 0; first < count; first += at_once) {
    const size_t last = std::min(count, first + at_once), from = strip_begin(first);
    for (size_t s = first; s < last; ++s) packs<T>()[strip_begin(s + 1) - strip_begin(s) - 1](a + strip_begin(s), lda, rows, &strips[(strip_begin(s) - from) * rows]);
    for (size_t j = 0; j < n; j += width) {
      const size_t columns = std::min(width, n - j);
      const auto& of = columns > tile.lanes ? tile.two : tile.one;
      for (size_t s = first; s < last; ++s) {
        const size_t begin = strip_begin(s);
        of[strip_begin(s + 1) - begin - 1](&strips[(begin - from) * rows], &panels[j * rows], rows, c + begin * ldc + j, ldc, columns);
      }
    }
  }
}

template <class T>
void add_all(size_t rows, size_t m, size_t n, const T* a, size_t lda, const T* b, size_t ldb, T* c, size_t ldc) {
  const Tiles<T>& tile = tiles<T>();
  thread_local AlignedVector<T> strips, panels;
  const size_t at_once = kPanelsBytes / sizeof(T) / kStretch<T>;  // columns of B
  const size_t longest = std::min(rows, kStretch<T>);
  strips.resize(std::max(strips.size(), longest * (std::min(m, kStripsBytes / sizeof(T) / kStretch<T>) + tile.strip)));
  panels.resize(std::max(panels.size(), longest * (std::min(n, at_once) + 2 * tile.lanes)));
  for (size_t begin = 0; begin < rows; begin += kStretch<T>)
    for (size_t j = 0; j < n; j += at_once)
      add_stretch(tile, std::min(kStretch<T>, rows - begin), m, std::min(at_once, n - j), a + begin * lda, lda, b + begin * ldb + j, ldb, c + j, ldc, strips, panels);
}

constexpr size_t kVectorsToTurn = 4;         // multiply-adds of vectors that must be saved for each number that is turned
constexpr size_t kTurnedBytes = 1024 << 10;  // of a result at the most: one that leaves the cache costs more than vectors that are not full

// Vectors that a row of so many numbers fills, whichever instructions there are: the choice below must not depend on them.
size_t vectors(size_t n) { return (n + 15) / 16; }

}  // namespace

template <class T>
void add_outer_products(size_t rows, size_t m, size_t n, const T* a, size_t lda, const T* b, size_t ldb, T* c, size_t ldc) {
  if (rows == 0 || m == 0 || n == 0) return;
  const size_t straight = m * vectors(n), crosswise = n * vectors(m);
  if (m * n > kTurnedBytes / sizeof(T) || straight <= crosswise || rows * (straight - crosswise) < kVectorsToTurn * m * n) return add_all(rows, m, n, a, lda, b, ldb, c, ldc);
  // The columns of A fill vectors better than those of B: the result turned.
  thread_local AlignedVector<T> turned;
  turned.resize(m * n);
  std::fill(turned.begin(), turned.end(), T(0));
  add_all(rows, n, m, b, ldb, a, lda, turned.data(), m);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < n; ++j) c[i * ldc + j] += turned[j * m + i];
}

template void add_outer_products<float>(size_t, size_t, size_t, const float*, size_t, const float*, size_t, float*, size_t);
template void add_outer_products<double>(size_t, size_t, size_t, const double*, size_t, const double*, size_t, double*, size_t);

}  // namespace throng::tensor
