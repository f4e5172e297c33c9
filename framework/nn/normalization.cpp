#include "framework/nn/normalization.h"

#include <cmath>

#include "framework/base/error.h"
#include "framework/nn/norm_kernels.h"

namespace throng::nn {

template <class T>
Var layer_norm(Tape<T>& t, Var x, const Parameter& gain, const Parameter& bias, double epsilon) {
  const size_t N = x.rows, C = x.cols;
  THRONG_CHECK(gain.size() == C && bias.size() == C, "norm of {} for {} columns", gain.size(), C);
  const Var y = t.make(N, C, true);
  T* scaled = t.scratch(N * C);  // before gain and bias
  T* deviations = t.scratch(N);  // 1 / standard deviation
  const T *in = t.value(x), *g = t.weight(gain), *b = t.weight(bias);
  for (size_t r = 0; r < N; ++r) deviations[r] = NormKernels<T>::forward(in + r * C, g, b, T(epsilon), scaled + r * C, t.value(y) + r * C, C);
  t.on_backward(y, [&t, x, y, gain, bias, scaled, deviations, N, C] {
    const T *dy = t.gradient(y), *g = t.weight(gain);
    bool empty;
    T *dx = t.gradient(x, empty), *dg = t.weight_gradient(gain), *db = t.weight_gradient(bias);
    for (size_t r = 0; r < N; ++r) NormKernels<T>::backward(dy + r * C, scaled + r * C, g, deviations[r], dg, db, dx ? dx + r * C : nullptr, empty, C);
  });
  return y;
}

template <class T>
Var batch_norm(Tape<T>& t, Var x, const Parameter& gain, const Parameter& bias, const BatchStatistics& statistics, size_t positions, double epsilon) {
  const size_t N = x.rows, C = gain.size(), P = positions;
  THRONG_CHECK(x.cols == C * P && bias.size() == C && statistics.mean.size() == C, "norm of {} columns of {} for {}", C, P, x.cols);
  const Var y = t.make(N, x.cols, true);
  const bool own = t.training();
  T *mean = t.scratch(C), *deviation = t.scratch(C), *scaled = t.scratch(x.size());
  const T* in = t.value(x);
  const T count = T(N * P);
  if (own && N * P > 0) {
    for (size_t c = 0; c < C; ++c) {
      T sum = 0, squares = 0;
      for (size_t r = 0; r < N; ++r)
        for (size_t p = 0; p < P; ++p) sum += in[(r * C + c) * P + p];
      mean[c] = sum / count;
      for (size_t r = 0; r < N; ++r)
        for (size_t p = 0; p < P; ++p) squares += (in[(r * C + c) * P + p] - mean[c]) * (in[(r * C + c) * P + p] - mean[c]);
      deviation[c] = 1 / std::sqrt(squares / count + T(epsilon));
      t.weight_gradient(statistics.mean)[c] += count * mean[c];
      t.weight_gradient(statistics.variance)[c] += count * (N * P > 1 ? squares / (count - 1) : T(0));
    }
    t.weight_gradient(statistics.rows)[0] += count;
  } else {
    for (size_t c = 0; c < C; ++c) mean[c] = t.weight(statistics.mean)[c], deviation[c] = 1 / std::sqrt(t.weight(statistics.variance)[c] + T(epsilon));
  }
  for (size_t r = 0; r < N; ++r)
    for (size_t c = 0; c < C; ++c)
      for (size_t p = 0; p < P; ++p) {
        const size_t i = (r * C + c) * P + p;
        scaled[i] = (in[i] - mean[c]) * deviation[c];
        t.value(y)[i] = scaled[i] * t.weight(gain)[c] + t.weight(bias)[c];
      }
  t.on_backward(y, [&t, x, y, gain, bias, scaled, deviation, N, C, P, count] {
    const T* dy = t.gradient(y);
    T *dx = t.gradient(x), *dg = t.weight_gradient(gain), *db = t.weight_gradient(bias);
    for (size_t c = 0; c < C; ++c) {
      T sum = 0, along = 0;
      for (size_t r = 0; r < N; ++r)
        for (size_t p = 0; p < P; ++p) sum += dy[(r * C + c) * P + p], along += dy[(r * C + c) * P + p] * scaled[(r * C + c) * P + p];
      if (dg) dg[c] += along;
      if (db) db[c] += sum;
      if (!dx) continue;
      const T factor = t.weight(gain)[c] * deviation[c];
      for (size_t r = 0; r < N; ++r)
        for (size_t p = 0; p < P; ++p) {
          const size_t i = (r * C + c) * P + p;
          dx[i] += factor * (dy[i] - (sum + scaled[i] * along) / count);
        }
    }
  });
  return y;
}

template <class T>
void update_statistics(const Parameters& parameters, std::span<T> weights, std::span<T> gradient, double momentum) {
  const auto& entries = parameters.entries();
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i].statistic) continue;
    // Mean, variance and rows of a layer, in this order (BatchNorm).
    THRONG_CHECK(i + 2 < entries.size() && entries[i + 2].statistic && entries[i + 2].where.size() == 1, "statistics of '{}' are not whole", entries[i].name);
    const T rows = gradient[entries[i + 2].where.at];
    for (size_t k = i; k < i + 3; ++k) {
      const Parameter& p = entries[k].where;
      for (size_t c = p.at; c < p.at + p.size(); ++c) {
        if (k < i + 2 && rows > 0) weights[c] = T(1 - momentum) * weights[c] + T(momentum) * gradient[c] / rows;
        gradient[c] = 0;
      }
    }
    i += 2;
  }
}

#define THRONG_INSTANTIATE(T)                                                                                       \
  template Var layer_norm<T>(Tape<T>&, Var, const Parameter&, const Parameter&, double);                            \
  template Var batch_norm<T>(Tape<T>&, Var, const Parameter&, const Parameter&, const BatchStatistics&, size_t, double); \
  template void update_statistics<T>(const Parameters&, std::span<T>, std::span<T>, double);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
