#include "framework/nn/linear.h"

#include <cstring>

#include "framework/base/error.h"
#include "framework/base/hash.h"
#include "framework/tensor/gemm.h"
#include "framework/tensor/outer_products.h"
#include "framework/tensor/packed.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::nn {

using tensor::gemm;
using tensor::Side;

namespace {

// To lay weights out costs as much as multiplying some rows by them.
constexpr size_t kRowsToPack = 16;

// C (m, n) += A (m, k) * B, of which `packed` gives the layout where it is wanted.
template <class T, class Packed>
void add_product_by(const Packed& packed, Side side, size_t m, size_t n, size_t k, const T* a, const T* b, T* c) {
  if (m < kRowsToPack) return gemm(Side::kPlain, side, m, n, k, T(1), a, b, T(1), c);
  packed().multiply_add(m, a, c);
}
// C = row on each row (or 0) + A * B.
template <class T, class Packed>
void product_by(const Packed& packed, Side side, size_t m, size_t n, size_t k, const T* a, const T* b, const T* row, T* c) {
  if (m >= kRowsToPack) return packed().multiply(m, a, row ? row : std::vector<T>(n, T(0)).data(), c);
  for (size_t r = 0; row && r < m; ++r) std::memcpy(c + r * n, row, n * sizeof(T));
  gemm(Side::kPlain, side, m, n, k, T(1), a, b, T(row ? 1 : 0), c);
}

// With weights, whose layout serves all shards of the step.
template <class T>
void add_product(Tape<T>& t, Side side, size_t m, size_t n, size_t k, const T* a, const T* b, T* c) {
  add_product_by([&]() -> const tensor::PackedMatrix<T>& { return t.packed(side, k, n, b); }, side, m, n, k, a, b, c);
}
template <class T>
void product(Tape<T>& t, Side side, size_t m, size_t n, size_t k, const T* a, const T* b, const T* row, T* c) {
  product_by([&]() -> const tensor::PackedMatrix<T>& { return t.packed(side, k, n, b); }, side, m, n, k, a, b, row, c);
}
}  // namespace

template <class T>
Var linear(Tape<T>& t, Var x, const Parameter& weight, const std::optional<Parameter>& bias) {
  const size_t N = x.rows, I = x.cols, O = weight.rows;
  THRONG_CHECK(weight.cols == I && (!bias || bias->size() == O), "({}, {}) times ({}, {}) transposed", N, I, O, weight.cols);
  const Var y = t.make(N, O, true);
  product(t, Side::kTransposed, N, O, I, t.value(x), t.weight(weight), bias ? t.weight(*bias) : nullptr, t.value(y));
  t.on_backward(y, [&t, x, y, weight, bias, N, I, O] {
    const T* dy = t.gradient(y);
    bool empty;
    if (T* dx = t.gradient(x, empty)) {
      if (empty) product(t, Side::kPlain, N, I, O, dy, t.weight(weight), static_cast<const T*>(nullptr), dx);
      else add_product(t, Side::kPlain, N, I, O, dy, t.weight(weight), dx);
    }
    if (T* dw = t.weight_gradient(weight)) tensor::add_outer_products(N, O, I, dy, t.value(x), dw);
    if (T* db = bias ? t.weight_gradient(*bias) : nullptr)
      for (size_t r = 0; r < N; ++r) tensor::add(dy + r * O, db, O);
  });
  return y;
}

template <class T>
Var embedding(Tape<T>& t, const Parameter& table, std::span<const int32_t> ids) {
  const size_t H = table.cols;
  const Var y = t.make(ids.size(), H, t.learns(table));
  for (size_t r = 0; r < ids.size(); ++r) {
    THRONG_CHECK(ids[r] < int64_t(table.rows), "row {} of a table of {}", ids[r], table.rows);
    T* out = t.value(y) + r * H;
    if (ids[r] < 0) std::fill_n(out, H, T(0));
    else std::memcpy(out, t.row(table, ids[r]), H * sizeof(T));
  }
  t.on_backward(y, [&t, y, table, list = std::vector<int32_t>(ids.begin(), ids.end())] { t.add_to_rows(table, list, t.gradient(y)); });
  return y;
}

template <class T>
Var linear_of_rows(Tape<T>& t, Var x, const Parameter& table, const std::optional<Parameter>& bias, std::span<const int32_t> ids) {
  const size_t N = x.rows, H = x.cols, M = ids.size();
  THRONG_CHECK(table.cols == H && (!bias || bias->size() == table.rows), "({}, {}) times rows of ({}, {})", N, H, table.rows, table.cols);
  for (const int32_t id : ids) THRONG_CHECK(id >= 0 && size_t(id) < table.rows, "row {} of a table of {}", id, table.rows);
  t.learns(table);  // this shard uses it, too, where another has laid it out
  const std::vector<int32_t> list(ids.begin(), ids.end());
  const auto gather = [&t, table, list, H, M](T* rows) {
    for (size_t j = 0; j < M; ++j) {
      if (j + kRowsAhead < M) prefetch(t.row(table, list[j + kRowsAhead]), H);
      std::memcpy(rows + j * H, t.row(table, list[j]), H * sizeof(T));
    }
  };
  // All shards of a minibatch may have the same rows: they are laid out once. Few rows of x are multiplied as they are.
  T* rows = N < kRowsToPack ? t.scratch(M * H) : nullptr;
  if (rows) gather(rows);
  const uint64_t name = hash64({reinterpret_cast<const char*>(list.data()), list.size() * sizeof(int32_t)}) ^ mix64(table.at);
  const auto laid_out = [&t, name, gather](Side side, size_t k, size_t n) {
    return [&t, name, gather, side, k, n]() -> const tensor::PackedMatrix<T>& { return t.packed_cache().get_gathered(side, k, n, name, gather); };
  };
  const Var y = t.make(N, M, true);
  std::vector<T> of_column;
  for (size_t j = 0; bias && j < M; ++j) of_column.push_back(*t.row(Parameter{bias->at, table.rows, 1}, ids[j]));
  product_by(laid_out(Side::kTransposed, H, M), Side::kTransposed, N, M, H, t.value(x), rows, bias ? of_column.data() : nullptr, t.value(y));
  t.on_backward(y, [&t, x, y, table, bias, rows, laid_out, N, H, M, list] {
    const T* dy = t.gradient(y);
    bool empty;
    if (T* dx = t.gradient(x, empty)) {
      if (empty) product_by<T>(laid_out(Side::kPlain, M, H), Side::kPlain, N, H, M, dy, rows, nullptr, dx);
      else add_product_by<T>(laid_out(Side::kPlain, M, H), Side::kPlain, N, H, M, dy, rows, dx);
    }
    if (t.learns(table)) {
      T* sums = t.scratch(M * H);
      std::fill_n(sums, M * H, T(0));
      tensor::add_outer_products(N, M, H, dy, t.value(x), sums);
      t.add_to_rows(table, list, sums);
    }
    if (bias && t.learns(*bias)) {
      T* sums = t.scratch(M);
      std::fill_n(sums, M, T(0));
      for (size_t r = 0; r < N; ++r) tensor::add(dy + r * M, sums, M);
      t.add_to_rows(Parameter{bias->at, table.rows, 1}, list, sums);
    }
  });
  return y;
}

#define THRONG_INSTANTIATE(T)                                                                            \
  template Var linear<T>(Tape<T>&, Var, const Parameter&, const std::optional<Parameter>&);              \
  template Var embedding<T>(Tape<T>&, const Parameter&, std::span<const int32_t>);                       \
  template Var linear_of_rows<T>(Tape<T>&, Var, const Parameter&, const std::optional<Parameter>&, std::span<const int32_t>);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
