#include "framework/nn/elementwise.h"

#include <cstring>

#include "framework/base/error.h"
#include "framework/nn/activation_kernels.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::nn {

namespace {

// Adds what(i) to the gradient of `v`, where it has one.
template <class T, class What>
void give(Tape<T>& t, Var v, const What& what) {
  bool empty;
  T* to = t.gradient(v, empty);
  if (!to) return;
  if (empty)
    for (size_t i = 0; i < v.size(); ++i) to[i] = what(i);
  else
    for (size_t i = 0; i < v.size(); ++i) to[i] += what(i);
}

template <class T>
void give_all(Tape<T>& t, Var v, const T* from) {
  bool empty;
  T* to = t.gradient(v, empty);
  if (to && empty) std::memcpy(to, from, v.size() * sizeof(T));
  else if (to) tensor::add(from, to, v.size());
}

// The gradient of `y`, where no other use of it is to come, becomes or is added to that of `v`.
template <class T>
void hand_on(Tape<T>& t, Var y, Var v) {
  if (!t.hand_on_gradient(y, v)) give_all<T>(t, v, t.gradient(y));
}

}  // namespace

template <class T>
Var add(Tape<T>& t, Var a, Var b) {
  THRONG_CHECK(a.cols == b.cols && (a.rows == b.rows || b.rows == 1), "({}, {}) + ({}, {})", a.rows, a.cols, b.rows, b.cols);
  const Var y = t.make(a.rows, a.cols, t.needs(a) || t.needs(b));
  const size_t period = b.size();
  const T *va = t.value(a), *vb = t.value(b);
  T* out = t.value(y);
  for (size_t at = 0; at < a.size(); at += period) tensor::sum(va + at, vb, out + at, period);
  t.on_backward(y, [&t, a, b, y, period] {
    const T* dy = t.gradient(y);
    if (period == y.size()) {
      give_all(t, b, dy);
    } else if (T* db = t.gradient(b)) {
      for (size_t at = 0; at < y.size(); at += period) tensor::add(dy + at, db, period);
    }
    hand_on(t, y, a);
  });
  return y;
}

template <class T>
Var multiply(Tape<T>& t, Var a, Var b) {
  THRONG_CHECK(a.cols == b.cols && a.rows == b.rows, "({}, {}) * ({}, {})", a.rows, a.cols, b.rows, b.cols);
  const Var y = t.make(a.rows, a.cols, t.needs(a) || t.needs(b));
  const T *va = t.value(a), *vb = t.value(b);
  T* out = t.value(y);
  for (size_t i = 0; i < y.size(); ++i) out[i] = va[i] * vb[i];
  t.on_backward(y, [&t, a, b, y] {
    const T *dy = t.gradient(y), *va = t.value(a), *vb = t.value(b);
    give(t, a, [=](size_t i) { return dy[i] * vb[i]; });
    give(t, b, [=](size_t i) { return dy[i] * va[i]; });
  });
  return y;
}

template <class T>
Var scale(Tape<T>& t, Var a, double factor) {
  const Var y = t.make(a.rows, a.cols, t.needs(a));
  const T f = T(factor), *va = t.value(a);
  T* out = t.value(y);
  for (size_t i = 0; i < y.size(); ++i) out[i] = va[i] * f;
  t.on_backward(y, [&t, a, y, f] {
    const T* dy = t.gradient(y);
    give(t, a, [=](size_t i) { return dy[i] * f; });
  });
  return y;
}

template <class T>
Var activate(Tape<T>& t, Var a, Activation activation) {
  const Var y = t.make(a.rows, a.cols, t.needs(a));
  activation_forward(activation, t.value(a), t.value(y), y.size());
  t.on_backward(y, [&t, a, y, activation] {
    const T* dy = t.gradient(y);
    bool empty = true;
    T* da = t.hand_on_gradient(y, a);
    if (!da) da = t.gradient(a, empty);
    activation_backward(activation, t.value(a), t.value(y), dy, da, empty, y.size());
  });
  return y;
}

template <class T>
Var dropout(Tape<T>& t, Var a, double p) {
  THRONG_CHECK(p >= 0 && p < 1, "dropout {}", p);
  if (!t.training() || p == 0) return a;
  const Var y = t.make(a.rows, a.cols, t.needs(a));
  const T keep = T(1 / (1 - p)), *x = t.value(a);
  const uint32_t limit = uint32_t(p * 4294967296.0);
  T *factor = t.scratch(y.size()), *out = t.value(y);
  Random random = t.random();
  for (size_t i = 0; i < y.size(); ++i) factor[i] = random.next() < limit ? T(0) : keep;
  for (size_t i = 0; i < y.size(); ++i) out[i] = x[i] * factor[i];
  t.on_backward(y, [&t, a, y, factor] {
    const T* dy = t.gradient(y);
    give(t, a, [=](size_t i) { return dy[i] * factor[i]; });
  });
  return y;
}

template <class T>
Var concat(Tape<T>& t, std::span<const Var> parts) {
  THRONG_CHECK(!parts.empty(), "nothing to put side by side");
  size_t cols = 0;
  bool needs = false;
  for (Var p : parts) {
    THRONG_CHECK(p.rows == parts[0].rows, "{} rows beside {}", p.rows, parts[0].rows);
    cols += p.cols, needs = needs || t.needs(p);
  }
  const Var y = t.make(parts[0].rows, cols, needs);
  size_t at = 0;
  for (Var p : parts) {
    for (size_t r = 0; r < p.rows; ++r) std::memcpy(t.value(y) + r * cols + at, t.value(p) + r * p.cols, p.cols * sizeof(T));
    at += p.cols;
  }
  t.on_backward(y, [&t, y, list = std::vector<Var>(parts.begin(), parts.end())] {
    const T* dy = t.gradient(y);
    size_t at = 0;
    for (Var p : list) {
      if (T* dp = t.gradient(p))
        for (size_t r = 0; r < p.rows; ++r)
          tensor::add(dy + r * y.cols + at, dp + r * p.cols, p.cols);
      at += p.cols;
    }
  });
  return y;
}

template <class T>
Var slice(Tape<T>& t, Var a, size_t from, size_t cols) {
  THRONG_CHECK(from + cols <= a.cols, "columns {} to {} of {}", from, from + cols, a.cols);
  const Var y = t.make(a.rows, cols, t.needs(a));
  for (size_t r = 0; r < a.rows; ++r) std::memcpy(t.value(y) + r * cols, t.value(a) + r * a.cols + from, cols * sizeof(T));
  t.on_backward(y, [&t, a, y, from, cols] {
    const T* dy = t.gradient(y);
    T* da = t.gradient(a);
    for (size_t r = 0; r < a.rows; ++r)
      tensor::add(dy + r * cols, da + r * a.cols + from, cols);
  });
  return y;
}

template <class T>
Var gather_rows(Tape<T>& t, Var a, std::span<const uint32_t> index) {
  const Var y = t.make(index.size(), a.cols, t.needs(a));
  for (size_t r = 0; r < index.size(); ++r) {
    THRONG_CHECK(index[r] < a.rows, "row {} of {}", index[r], a.rows);
    std::memcpy(t.value(y) + r * a.cols, t.value(a) + index[r] * a.cols, a.cols * sizeof(T));
  }
  t.on_backward(y, [&t, a, y, rows = std::vector<uint32_t>(index.begin(), index.end())] {
    const T* dy = t.gradient(y);
    T* da = t.gradient(a);
    for (size_t r = 0; r < rows.size(); ++r)
      tensor::add(dy + r * a.cols, da + rows[r] * a.cols, a.cols);
  });
  return y;
}

template <class T>
Var reshape(Tape<T>& t, Var a, size_t rows, size_t cols) {
  THRONG_CHECK(rows * cols == a.size(), "({}, {}) as ({}, {})", a.rows, a.cols, rows, cols);
  const Var y = t.make(rows, cols, t.needs(a));
  std::memcpy(t.value(y), t.value(a), a.size() * sizeof(T));
  t.on_backward(y, [&t, a, y] { hand_on(t, y, a); });
  return y;
}

template <class T>
Var row_dot(Tape<T>& t, Var a, Var b) {
  THRONG_CHECK(a.cols == b.cols && a.rows == b.rows, "({}, {}) . ({}, {})", a.rows, a.cols, b.rows, b.cols);
  const Var y = t.make(a.rows, 1, t.needs(a) || t.needs(b));
  const T *va = t.value(a), *vb = t.value(b);
  for (size_t r = 0; r < a.rows; ++r) {
    T sum = 0;
    for (size_t c = 0; c < a.cols; ++c) sum += va[r * a.cols + c] * vb[r * a.cols + c];
    t.value(y)[r] = sum;
  }
  t.on_backward(y, [&t, a, b, y] {
    const T *dy = t.gradient(y), *va = t.value(a), *vb = t.value(b);
    T *da = t.gradient(a), *db = t.gradient(b);
    for (size_t r = 0; r < a.rows; ++r)
      for (size_t c = 0; c < a.cols; ++c) {
        const size_t i = r * a.cols + c;
        if (da) da[i] += dy[r] * vb[i];
        if (db) db[i] += dy[r] * va[i];
      }
  });
  return y;
}

#define THRONG_INSTANTIATE(T)                                             \
  template Var add<T>(Tape<T>&, Var, Var);                                \
  template Var multiply<T>(Tape<T>&, Var, Var);                           \
  template Var scale<T>(Tape<T>&, Var, double);                           \
  template Var activate<T>(Tape<T>&, Var, Activation);                    \
  template Var dropout<T>(Tape<T>&, Var, double);                         \
  template Var concat<T>(Tape<T>&, std::span<const Var>);                 \
  template Var slice<T>(Tape<T>&, Var, size_t, size_t);                   \
  template Var gather_rows<T>(Tape<T>&, Var, std::span<const uint32_t>);  \
  template Var reshape<T>(Tape<T>&, Var, size_t, size_t);                 \
  template Var row_dot<T>(Tape<T>&, Var, Var);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
