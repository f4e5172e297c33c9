#include "framework/nn/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "framework/base/error.h"
#include "framework/tensor/outer_products.h"
#include "framework/tensor/packed.h"
#include "framework/tensor/softmax.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::nn {

using tensor::Side;

namespace {

// The first n numbers become their softmax, the rest 0.
template <class T>
void softmax(T* row, size_t n, size_t width) {
  if (n > 0) {
    const auto found = tensor::exponents(row, n);
    tensor::scale(1 / found.sum, row, n);
  }
  std::fill(row + n, row + width, T(0));
}

// Calls part(begin, end, seen) for stretches of m query rows, of which none sees more than the first `seen` of n keys.
template <class Part>
void for_each_stretch(size_t m, size_t n, bool causal, const Part& part) {
  constexpr size_t kRows = 60;  // products take 12 or 6 at a time
  if (!causal) return part(size_t{0}, m, n);
  for (size_t begin = 0; begin < m; begin += kRows) part(begin, std::min(m, begin + kRows), std::min(n, begin + kRows));
}

}  // namespace

template <class T>
Var attention(Tape<T>& t, Var q, Var k, Var v, const Segments& queries, const Segments& keys, const AttentionOptions& options,
              const std::function<void(size_t, size_t, const T*)>& see) {
  const size_t D = q.cols, heads = options.heads, d = D / heads;
  THRONG_CHECK(d * heads == D && k.cols == D && v.cols == D && q.rows == queries.num_rows() && k.rows == keys.num_rows() && v.rows == k.rows && queries.count() == keys.count(),
               "attention of ({}, {}) to ({}, {}) by {} heads, {} sequences to {}", q.rows, D, k.rows, k.cols, heads, queries.count(), keys.count());
  const Var y = t.make(q.rows, D, t.needs(q) || t.needs(k) || t.needs(v));
  std::fill_n(t.value(y), y.size(), T(0));
  const T scale = T(1 / std::sqrt(double(d)));
  const bool drops = t.training() && options.dropout > 0;
  // Weights of each sequence and head, and what dropout multiplied them by.
  std::vector<size_t> at{0};
  for (size_t s = 0; s < queries.count(); ++s) at.push_back(at.back() + heads * queries.length(s) * keys.length(s));
  T* all = t.scratch(t.training() ? at.back() : queries.longest() * keys.longest());
  T* factors = drops ? t.scratch(at.back()) : nullptr;
  if (drops) {
    Random random = t.random();
    const uint32_t limit = uint32_t(options.dropout * 4294967296.0);
    const T keep = T(1 / (1 - options.dropout));
    for (size_t i = 0; i < at.back(); ++i) factors[i] = random.next() < limit ? T(0) : keep;
  }
  std::vector<T> dropped;
  tensor::PackedMatrix<T> turned_keys, values;
  for (size_t s = 0; s < queries.count(); ++s) {
    const size_t m = queries.length(s), n = keys.length(s);
    if (m == 0 || n == 0) continue;
    for (size_t h = 0; h < heads; ++h) {
      T* p = t.training() ? all + at[s] + h * m * n : all;
      const size_t to_queries = queries.begin(s) * D + h * d, to_keys = keys.begin(s) * D + h * d;
      turned_keys.lay_out(Side::kTransposed, d, n, t.value(k) + to_keys, D, scale);
      values.lay_out(Side::kPlain, n, d, t.value(v) + to_keys, D);
      for_each_stretch(m, n, options.causal, [&](size_t begin, size_t end, size_t seen) {
        turned_keys.multiply_part(end - begin, seen, d, t.value(q) + to_queries + begin * D, D, false, p + begin * n, n);
        for (size_t i = begin; i < end; ++i) softmax(p + i * n, options.causal ? std::min(i + 1, n) : n, n);
      });
      if (see) see(s, h, p);
      const T* used = p;
      if (drops) {
        dropped.resize(m * n);
        for (size_t i = 0; i < m * n; ++i) dropped[i] = p[i] * factors[at[s] + h * m * n + i];
        used = dropped.data();
      }
      for_each_stretch(m, n, options.causal, [&](size_t begin, size_t end, size_t seen) {
        values.multiply_part(end - begin, d, seen, used + begin * n, n, false, t.value(y) + to_queries + begin * D, D);
      });
    }
  }
  t.on_backward(y, [&t, q, k, v, y, queries, keys, heads, d, D, scale, all, factors, at, causal = options.causal] {
    const T* dy = t.gradient(y);
    T *dk = t.gradient(k), *dv = t.gradient(v), *dq = t.gradient(q);
    std::vector<T> dp, dropped;
    tensor::PackedMatrix<T> turned_values, packed_keys;
    for (size_t s = 0; s < queries.count(); ++s) {
      const size_t m = queries.length(s), n = keys.length(s);
      if (m == 0 || n == 0) continue;
      dp.resize(m * n);
      for (size_t h = 0; h < heads; ++h) {
        const T *p = all + at[s] + h * m * n, *out = dy + queries.begin(s) * D + h * d;
        const size_t to_keys = keys.begin(s) * D + h * d, to_queries = queries.begin(s) * D + h * d;
        const T* factor = factors ? factors + at[s] + h * m * n : nullptr;
        const T* used = p;
        if (dv && factor) {
          dropped.resize(m * n);
          for (size_t i = 0; i < m * n; ++i) dropped[i] = p[i] * factor[i];
          used = dropped.data();
        }
        turned_values.lay_out(Side::kTransposed, d, n, t.value(v) + to_keys, D);
        if (dq) packed_keys.lay_out(Side::kPlain, n, d, t.value(k) + to_keys, D);
        for_each_stretch(m, n, causal, [&](size_t begin, size_t end, size_t seen) {
          const size_t rows = end - begin, row = begin * D;
          T* ds = dp.data() + begin * n;
          if (dv) tensor::add_outer_products(rows, seen, d, used + begin * n, n, out + row, D, dv + to_keys, D);
          turned_values.multiply_part(rows, seen, d, out + row, D, false, ds, n);
          for (size_t i = 0; i < rows; ++i) {
            for (size_t j = 0; factor && j < seen; ++j) ds[i * n + j] *= factor[(begin + i) * n + j];
            tensor::softmax_backward(p + (begin + i) * n, ds + i * n, seen, scale);
          }
          if (dq) packed_keys.multiply_part(rows, d, seen, ds, n, true, dq + to_queries + row, D);
          if (dk) tensor::add_outer_products(rows, seen, d, ds, n, t.value(q) + to_queries + row, D, dk + to_keys, D);
        });
      }
    }
  });
  return y;
}

template <class T>
Var segment_softmax(Tape<T>& t, Var scores, const Segments& segments) {
  THRONG_CHECK(scores.cols == 1 && scores.rows == segments.num_rows(), "scores ({}, {}) of {} rows", scores.rows, scores.cols, segments.num_rows());
  const Var y = t.make(scores.rows, 1, t.needs(scores));
  std::memcpy(t.value(y), t.value(scores), y.size() * sizeof(T));
  for (size_t s = 0; s < segments.count(); ++s) softmax(t.value(y) + segments.begin(s), segments.length(s), segments.length(s));
  t.on_backward(y, [&t, scores, y, segments] {
    T *dy = t.gradient(y), *dx = t.gradient(scores);
    for (size_t s = 0; s < segments.count(); ++s) tensor::softmax_backward(t.value(y) + segments.begin(s), dy + segments.begin(s), segments.length(s), T(1));
    for (size_t i = 0; i < y.size(); ++i) dx[i] += dy[i];
  });
  return y;
}

template <class T>
Var segment_weighted_sum(Tape<T>& t, Var x, Var weights, const Segments& segments) {
  const size_t C = x.cols;
  THRONG_CHECK(weights.cols == 1 && weights.rows == x.rows && x.rows == segments.num_rows(), "({}, {}) weighted by {} of {} rows", x.rows, C, weights.rows, segments.num_rows());
  const Var y = t.make(segments.count(), C, t.needs(x) || t.needs(weights));
  std::fill_n(t.value(y), y.size(), T(0));
  for (size_t s = 0; s < segments.count(); ++s)
    for (size_t r = segments.begin(s); r < segments.end(s); ++r)
      for (size_t c = 0; c < C; ++c) t.value(y)[s * C + c] += t.value(weights)[r] * t.value(x)[r * C + c];
  t.on_backward(y, [&t, x, weights, y, segments, C] {
    const T *dy = t.gradient(y), *vx = t.value(x), *vw = t.value(weights);
    T *dx = t.gradient(x), *dw = t.gradient(weights);
    for (size_t s = 0; s < segments.count(); ++s)
      for (size_t r = segments.begin(s); r < segments.end(s); ++r) {
        T sum = 0;
        for (size_t c = 0; c < C; ++c) {
          sum += dy[s * C + c] * vx[r * C + c];
          if (dx) dx[r * C + c] += dy[s * C + c] * vw[r];
        }
        if (dw) dw[r] += sum;
      }
  });
  return y;
}

template <class T>
Var segment_pool(Tape<T>& t, Var x, const Segments& segments, Pooling pooling) {
  const size_t C = x.cols;
  THRONG_CHECK(x.rows == segments.num_rows(), "{} rows in sequences of {}", x.rows, segments.num_rows());
  const Var y = t.make(segments.count(), C, t.needs(x));
  std::fill_n(t.value(y), y.size(), T(0));
  std::vector<uint32_t> most(pooling == Pooling::kMax ? y.size() : 0, UINT32_MAX);  // the row each maximum is from
  for (size_t s = 0; s < segments.count(); ++s) {
    T* out = t.value(y) + s * C;
    for (size_t r = segments.begin(s); r < segments.end(s); ++r) {
      const T* row = t.value(x) + r * C;
      if (pooling == Pooling::kMax) {
        for (size_t c = 0; c < C; ++c)
          if (most[s * C + c] == UINT32_MAX || row[c] > out[c]) out[c] = row[c], most[s * C + c] = uint32_t(r);
      } else if (pooling != Pooling::kLast || r + 1 == segments.end(s)) {
        for (size_t c = 0; c < C; ++c) out[c] += row[c];
      }
    }
    if (pooling == Pooling::kMean && segments.length(s) > 0)
      for (size_t c = 0; c < C; ++c) out[c] /= T(segments.length(s));
  }
  t.on_backward(y, [&t, x, y, segments, pooling, C, most = std::move(most)] {
    const T* dy = t.gradient(y);
    T* dx = t.gradient(x);
    for (size_t s = 0; s < segments.count(); ++s) {
      if (segments.length(s) == 0) continue;
      const T* d = dy + s * C;
      if (pooling == Pooling::kMax) {
        for (size_t c = 0; c < C; ++c) dx[most[s * C + c] * C + c] += d[c];
        continue;
      }
      const T factor = pooling == Pooling::kMean ? 1 / T(segments.length(s)) : T(1);
      for (size_t r = pooling == Pooling::kLast ? segments.end(s) - 1 : segments.begin(s); r < segments.end(s); ++r)
        for (size_t c = 0; c < C; ++c) dx[r * C + c] += d[c] * factor;
    }
  });
  return y;
}

#define THRONG_INSTANTIATE(T)                                                                                                             \
  template Var attention<T>(Tape<T>&, Var, Var, Var, const Segments&, const Segments&, const AttentionOptions&, const std::function<void(size_t, size_t, const T*)>&); \
  template Var segment_softmax<T>(Tape<T>&, Var, const Segments&);                                                                        \
  template Var segment_weighted_sum<T>(Tape<T>&, Var, Var, const Segments&);                                                              \
  template Var segment_pool<T>(Tape<T>&, Var, const Segments&, Pooling);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
