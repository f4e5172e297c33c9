#include "framework/nn/objective.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/base/error.h"
#include "framework/nn/elementwise.h"
#include "framework/nn/linear.h"
#include "framework/tensor/outer_products.h"
#include "framework/tensor/packed.h"
#include "framework/tensor/softmax.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::nn {

using tensor::Side;

namespace {

// Logits of a row become the gradient of weight * -log softmax[target]; returns -log softmax[target].
template <class T>
double softmax_loss(T* row, size_t n, size_t target, T weight) {
  const T own = row[target];
  const auto found = tensor::exponents(row, n);
  tensor::scale(weight / found.sum, row, n);
  row[target] -= weight;
  return double(found.most) - double(own) + std::log(double(found.sum));
}

double log1p_exp(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double logistic(double x) { return x > 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

size_t check_target(int32_t target, size_t outputs) {
  THRONG_CHECK(size_t(target) < outputs, "target {} of {}", target, outputs);
  return size_t(target);
}

}  // namespace

template <class T>
void weighted_sum(Tape<T>& t, Var x, const T* factors, double weight) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += double(t.value(x)[i]) * double(factors[i]);
  t.add_loss(weight * sum);
  if (T* dx = t.gradient(x))
    for (size_t i = 0; i < x.size(); ++i) dx[i] += T(weight) * factors[i];
}

template <class T>
size_t cross_entropy(Tape<T>& t, Var logits, std::span<const int32_t> targets, double weight) {
  const size_t K = logits.cols;
  THRONG_CHECK(targets.size() == logits.rows, "{} targets of {} rows", targets.size(), logits.rows);
  size_t used = 0;
  double loss = 0;
  bool empty = false;
  T* gradient = t.gradient(logits, empty);
  std::vector<T> room(gradient && empty ? 0 : K);
  for (size_t r = 0; r < logits.rows; ++r) {
    // Where the gradient is written for the first time it is worked out in its place.
    T *own = gradient ? gradient + r * K : nullptr, *row = room.empty() ? own : room.data();
    if (targets[r] < 0) {
      if (row == own) std::fill_n(own, K, T(0));
      continue;
    }
    std::copy_n(t.value(logits) + r * K, K, row);
    loss += softmax_loss(row, K, check_target(targets[r], K), T(weight));
    if (gradient && row != own) tensor::add(row, own, K);
    ++used;
  }
  t.add_loss(weight * loss);
  return used;
}

namespace {

/// A layer larger than this is not laid out whole where nothing is learned: such weights may lie in a file that memory cannot hold.
constexpr size_t kLaidOutWhole = size_t{1} << 24;

/// The summed loss of some rows of x, and of no more than some classes at a time.
template <class T>
double loss_by_stretches(Tape<T>& t, Var x, std::span<const size_t> rows, const Parameter& table, const std::optional<Parameter>& bias, std::span<const int32_t> targets, const std::optional<SparseScores>& extra) {
  constexpr size_t kRows = 256, kClasses = 4096;
  const size_t H = x.cols, V = table.rows, J = extra ? extra->scores.cols : 0;
  AlignedVector<T> inputs(std::min(kRows, rows.size()) * H), scores(std::min(kRows, rows.size()) * std::min(kClasses, V));
  const std::vector<T> zeros(kClasses, T(0));
  tensor::PackedMatrix<T> stretch;
  double loss = 0;
  for (size_t begin = 0; begin < rows.size(); begin += kRows) {
    const size_t n = std::min(kRows, rows.size() - begin);
    for (size_t i = 0; i < n; ++i) std::copy_n(t.value(x) + rows[begin + i] * H, H, &inputs[i * H]);
    std::vector<double> most(n, -HUGE_VAL), sum(n), own(n);
    for (size_t first = 0; first < V; first += kClasses) {
      const size_t K = std::min(kClasses, V - first);
      stretch.lay_out(Side::kTransposed, H, K, t.weight(table) + first * H, H);
      stretch.multiply(n, inputs.data(), bias ? t.weight(*bias) + first : zeros.data(), scores.data());
      for (size_t i = 0; i < n; ++i) {
        const size_t row = rows[begin + i];
        const auto place = [&](int32_t column) { return column >= 0 && size_t(column) >= first && size_t(column) < first + K ? size_t(column) - first : K; };
        for (size_t j = row * J; j < (row + 1) * J; ++j)
          if (const size_t at = place(extra->columns[j]); at < K) scores[i * K + at] += t.value(extra->scores)[j];
        if (const size_t at = place(check_target(targets[row], V)); at < K) own[i] = double(scores[i * K + at]);
        const auto of_stretch = tensor::exponents(&scores[i * K], K);
        const double highest = std::max(most[i], double(of_stretch.most));
        sum[i] = sum[i] * std::exp(most[i] - highest) + double(of_stretch.sum) * std::exp(double(of_stretch.most) - highest), most[i] = highest;
      }
    }
    for (size_t i = 0; i < n; ++i) loss += std::log(sum[i]) + most[i] - own[i];
  }
  return loss;
}

}  // namespace

template <class T>
size_t linear_cross_entropy(Tape<T>& t, Var x, const Parameter& table, const std::optional<Parameter>& bias, std::span<const int32_t> targets, double weight, size_t chunk,
                            const std::optional<SparseScores>& extra) {
  const size_t H = x.cols, V = table.rows;
  THRONG_CHECK(table.cols == H && targets.size() == x.rows && (!bias || bias->size() == V), "({}, {}) times ({}, {}), {} targets", x.rows, H, V, table.cols, targets.size());
  // Rows without a target cost nothing: the others are brought together.
  std::vector<size_t> rows;
  for (size_t r = 0; r < x.rows; ++r)
    if (targets[r] >= 0) rows.push_back(r);
  if (!t.training() && V * H > kLaidOutWhole) {
    t.add_loss(weight * loss_by_stretches(t, x, rows, table, bias, targets, extra));
    return rows.size();
  }
  // As many rows as the sum over rows takes in a stretch: their logits stay in a cache for the four times that they are gone through.
  const size_t at_once = std::clamp<size_t>((chunk ? chunk : (size_t{16} << 20) / sizeof(T)) / V, 16, 256);
  const size_t most = std::min(at_once, rows.size());
  const std::vector<T> zeros(std::max(V, H), T(0));
  AlignedVector<T> inputs(most * H), logits(most * V), back(most * H);
  T *dx = t.gradient(x), *dw = t.weight_gradient(table), *db = bias ? t.weight_gradient(*bias) : nullptr;
  const size_t J = extra ? extra->scores.cols : 0;
  const T* scores = extra ? t.value(extra->scores) : nullptr;
  T* dscores = extra ? t.gradient(extra->scores) : nullptr;
  auto for_each_extra = [&](size_t row, const auto& visit) {
    for (size_t j = row * J; j < (row + 1) * J; ++j)
      if (extra->columns[j] >= 0) visit(j, check_target(extra->columns[j], V));
  };
  double loss = 0;
  // Laid out once for all chunks.
  const auto &forth = t.packed(Side::kTransposed, H, V, t.weight(table)), &back_again = t.packed(Side::kPlain, dx ? V : 0, H, t.weight(table));
  for (size_t begin = 0; begin < rows.size(); begin += at_once) {
    const size_t n = std::min(at_once, rows.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      std::memcpy(&inputs[i * H], t.value(x) + rows[begin + i] * H, H * sizeof(T));
    }
    forth.multiply(n, inputs.data(), bias ? t.weight(*bias) : zeros.data(), logits.data());
    for (size_t i = 0; i < n; ++i) {
      for_each_extra(rows[begin + i], [&](size_t j, size_t column) { logits[i * V + column] += scores[j]; });
      loss += softmax_loss(&logits[i * V], V, check_target(targets[rows[begin + i]], V), T(weight));
      if (dscores) for_each_extra(rows[begin + i], [&](size_t j, size_t column) { dscores[j] += logits[i * V + column]; });
    }
    if (dw) tensor::add_outer_products(n, V, H, logits.data(), inputs.data(), dw);
    if (db)
      for (size_t i = 0; i < n; ++i) tensor::add(&logits[i * V], db, V);
    if (!dx) continue;
    back_again.multiply(n, logits.data(), zeros.data(), back.data());
    for (size_t i = 0; i < n; ++i)
      for (size_t c = 0; c < H; ++c) dx[rows[begin + i] * H + c] += back[i * H + c];
  }
  t.add_loss(weight * loss);
  return rows.size();
}

template <class T>
size_t sampled_softmax(Tape<T>& t, Var x, const Parameter& table, const std::optional<Parameter>& bias, std::span<const int32_t> targets, std::span<const int32_t> negatives,
                       std::span<const T> log_q, double weight) {
  THRONG_CHECK(targets.size() == x.rows && (log_q.empty() || log_q.size() == table.rows), "{} targets of {} rows", targets.size(), x.rows);
  // Each row's own score stands in column 0.
  Var own = row_dot(t, x, embedding(t, table, targets));
  if (bias) own = add(t, own, embedding(t, Parameter{bias->at, table.rows, 1}, targets));
  const Var others = linear_of_rows(t, x, table, bias, negatives);
  const Var parts[] = {own, others};
  const Var scores = concat<T>(t, parts);
  const size_t K = scores.cols;
  T* corrected = t.value(scores);
  std::vector<int32_t> first(x.rows, -1);
  for (size_t r = 0; r < x.rows; ++r) {
    if (targets[r] < 0) continue;
    first[r] = 0;
    if (!log_q.empty()) corrected[r * K] -= log_q[size_t(targets[r])];
    for (size_t j = 0; j < negatives.size(); ++j) {
      T& score = corrected[r * K + 1 + j];
      if (negatives[j] == targets[r]) score = T(-1e30);  // its share of the softmax is 0, and so is its gradient
      else if (!log_q.empty()) score -= log_q[size_t(negatives[j])];
    }
  }
  return cross_entropy(t, scores, std::span<const int32_t>(first), weight);
}

template <class T>
void binary_cross_entropy(Tape<T>& t, Var logits, std::span<const T> targets, double weight, std::span<const uint8_t> use) {
  THRONG_CHECK(targets.size() == logits.size() && (use.empty() || use.size() == targets.size()), "{} targets of {}", targets.size(), logits.size());
  double loss = 0;
  T* dx = t.gradient(logits);
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!use.empty() && !use[i]) continue;
    const double x = double(t.value(logits)[i]), y = double(targets[i]);
    loss += log1p_exp(x) - y * x;
    if (dx) dx[i] += T(weight * (logistic(x) - y));
  }
  t.add_loss(weight * loss);
}

template <class T>
void squared_error(Tape<T>& t, Var x, std::span<const T> targets, double weight) {
  THRONG_CHECK(targets.size() == x.size(), "{} targets of {}", targets.size(), x.size());
  double loss = 0;
  T* dx = t.gradient(x);
  for (size_t i = 0; i < x.size(); ++i) {
    const T off = t.value(x)[i] - targets[i];
    loss += double(off) * double(off);
    if (dx) dx[i] += T(2 * weight) * off;
  }
  t.add_loss(weight * loss);
}

template <class T>
void bpr(Tape<T>& t, Var positive, Var negatives, double weight) {
  const size_t K = negatives.cols;
  THRONG_CHECK(positive.cols == 1 && positive.rows == negatives.rows && K > 0, "({}, {}) against ({}, {})", positive.rows, positive.cols, negatives.rows, K);
  T *dp = t.gradient(positive), *dn = t.gradient(negatives);
  double loss = 0;
  for (size_t r = 0; r < positive.rows; ++r)
    for (size_t j = 0; j < K; ++j) {
      const double lead = double(t.value(positive)[r]) - double(t.value(negatives)[r * K + j]);
      loss += log1p_exp(-lead) / double(K);
      const T d = T(weight * (logistic(lead) - 1) / double(K));
      if (dp) dp[r] += d;
      if (dn) dn[r * K + j] -= d;
    }
  t.add_loss(weight * loss);
}

template <class T>
void bpr_max(Tape<T>& t, Var positive, Var negatives, double regularization, double weight) {
  const size_t K = negatives.cols;
  THRONG_CHECK(positive.cols == 1 && positive.rows == negatives.rows && K > 0, "({}, {}) against ({}, {})", positive.rows, positive.cols, negatives.rows, K);
  T *dp = t.gradient(positive), *dn = t.gradient(negatives);
  double loss = 0;
  std::vector<double> s(K), ahead(K);
  for (size_t r = 0; r < positive.rows; ++r) {
    const T* n = t.value(negatives) + r * K;
    const double p = double(t.value(positive)[r]), most = double(*std::max_element(n, n + K));
    double sum = 0, hit = 0, squares = 0;
    for (size_t j = 0; j < K; ++j) sum += s[j] = std::exp(double(n[j]) - most);
    for (size_t j = 0; j < K; ++j) {
      s[j] /= sum, ahead[j] = logistic(p - double(n[j]));
      hit += s[j] * ahead[j], squares += s[j] * double(n[j]) * double(n[j]);
    }
    hit = std::max(hit, 1e-30);
    loss += -std::log(hit) + regularization * squares;
    double towards = 0;
    for (size_t j = 0; j < K; ++j) {
      const double slope = s[j] * ahead[j] * (1 - ahead[j]) / hit, square = double(n[j]) * double(n[j]);
      towards += slope;
      // Through the sigmoid, through the softmax, through the penalty and its softmax.
      if (dn) dn[r * K + j] += T(weight * (slope - s[j] * (ahead[j] - hit) / hit + regularization * s[j] * (2 * double(n[j]) + square - squares)));
    }
    if (dp) dp[r] -= T(weight * towards);
  }
  t.add_loss(weight * loss);
}

#define THRONG_INSTANTIATE(T)                                                                                                                              \
  template void weighted_sum<T>(Tape<T>&, Var, const T*, double);                                                                                          \
  template size_t cross_entropy<T>(Tape<T>&, Var, std::span<const int32_t>, double);                                                                       \
  template size_t linear_cross_entropy<T>(Tape<T>&, Var, const Parameter&, const std::optional<Parameter>&, std::span<const int32_t>, double, size_t,       \
                                          const std::optional<SparseScores>&);                                                                             \
  template size_t sampled_softmax<T>(Tape<T>&, Var, const Parameter&, const std::optional<Parameter>&, std::span<const int32_t>, std::span<const int32_t>, \
                                     std::span<const T>, double);                                                                                          \
  template void binary_cross_entropy<T>(Tape<T>&, Var, std::span<const T>, double, std::span<const uint8_t>);                                              \
  template void squared_error<T>(Tape<T>&, Var, std::span<const T>, double);                                                                               \
  template void bpr<T>(Tape<T>&, Var, Var, double);                                                                                                        \
  template void bpr_max<T>(Tape<T>&, Var, Var, double, double);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
