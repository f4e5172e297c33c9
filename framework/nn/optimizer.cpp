#include "framework/nn/optimizer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "framework/base/error.h"
#include "framework/base/suggest.h"
#include "framework/nn/step_kernels.h"

namespace throng::nn {
namespace {

using Kind = OptimizerOptions::Kind;

size_t num_states(const OptimizerOptions& o) {
  switch (o.kind) {
    case Kind::kSgd: return o.momentum != 0;
    case Kind::kAdagrad: return 1;
    case Kind::kRmsprop: return 1 + (o.momentum != 0);
    default: return 2;
  }
}

OptimizerOptions with_defaults(OptimizerOptions o) {
  if (o.epsilon < 0) o.epsilon = o.kind == Kind::kAdagrad ? 1e-10 : o.kind == Kind::kAdadelta ? 1e-6 : 1e-8;
  if (o.decay < 0) o.decay = o.kind == Kind::kAdadelta ? 0.9 : 0.99;
  return o;
}

template <class T>
using Step = typename StepKernels<T>::Step;

template <class T>
Step<T> step_of(const OptimizerOptions& o, int64_t steps, double rate, double decay, double scale) {
  Step<T> step{.lr = T(rate), .decay = T(o.kind == Kind::kAdamW ? 0.0 : decay), .momentum = T(o.momentum), .epsilon = T(o.epsilon), .keep = T(o.decay)};
  if (o.kind == Kind::kAdam || o.kind == Kind::kAdamW) {
    // The bias corrections are drawn into the rate and epsilon.
    const double second = std::sqrt(1 - std::pow(o.beta2, double(steps)));
    step.lr = T(rate * second / (1 - std::pow(o.beta1, double(steps)))), step.epsilon = T(o.epsilon * second);
    step.momentum = T(o.beta1), step.keep = T(o.beta2), step.shrink = o.kind == Kind::kAdamW ? T(1 - rate * decay) : T(1);
  }
  step.nesterov = o.nesterov, step.scale = T(scale);
  return step;
}

// Rows of a table, whose weights and states begin at `weights` and `states`.
template <class T, class Gradients>
void move_each(Kind kind, const Step<T>& step, const Gradients& gradients, T* weights, std::array<T*, 2> states) {
  const size_t cols = gradients.cols(), count = gradients.rows().size();
  const auto place = [&](T* of, size_t slot) { return of ? of + size_t(gradients.rows()[slot]) * cols : nullptr; };
  for (size_t slot = 0; slot < count; ++slot) {
    for (T* of : {weights, states[0], states[1]})
      if (of && slot + kRowsAhead < count) prefetch(place(of, slot + kRowsAhead), cols);
    StepKernels<T>::move(kind, step, place(weights, slot), gradients.values(slot), place(states[0], slot), place(states[1], slot), cols);
  }
}

// Some rows side by side: a call for a number or two costs more than to move them.
constexpr size_t kNarrow = 16;
template <class T, class Gradients>
void move_together(Kind kind, const Step<T>& step, const Gradients& gradients, T* weights, std::array<T*, 2> states) {
  constexpr size_t kAtOnce = 128;
  const size_t cols = gradients.cols(), count = gradients.rows().size();
  T* const from[3] = {weights, states[0], states[1]};
  T room[3][kAtOnce * kNarrow], gradient[kAtOnce * kNarrow];
  for (size_t begin = 0; begin < count; begin += kAtOnce) {
    const size_t n = std::min(kAtOnce, count - begin);
    const auto for_each_row = [&](const auto& visit) {
      for (size_t k = 0; k < 3 && from[k]; ++k)
        for (size_t i = 0; i < n; ++i) visit(room[k] + i * cols, from[k] + size_t(gradients.rows()[begin + i]) * cols);
    };
    for_each_row([&](T* here, const T* there) { std::copy_n(there, cols, here); });
    for (size_t i = 0; i < n; ++i) std::copy_n(gradients.values(begin + i), cols, gradient + i * cols);
    StepKernels<T>::move(kind, step, room[0], gradient, states[0] ? room[1] : nullptr, states[1] ? room[2] : nullptr, n * cols);
    for_each_row([&](const T* here, T* there) { std::copy_n(here, cols, there); });
  }
}

}  // namespace

Kind OptimizerOptions::kind_of(const std::string& name) {
  const std::vector<std::string> names{"sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw"};
  const auto it = std::find(names.begin(), names.end(), name);
  if (it == names.end()) throw job_error("'{}' is no optimizer", name).with_hint(suggest(name, names));
  return Kind(it - names.begin());
}

double Schedule::at(int64_t step) const {
  if (step < warmup) return double(step + 1) / double(warmup);
  switch (kind) {
    case Kind::kConstant: return 1;
    case Kind::kStep: {
      const int64_t apart = std::max<int64_t>(1, every), behind = step - warmup - (first < 0 ? apart : first);
      return behind < 0 ? 1 : std::pow(factor, double(behind / apart + 1));
    }
    case Kind::kCosine: {
      const double done = steps > warmup ? std::min(1.0, double(step - warmup) / double(steps - warmup)) : 1.0;
      return least + (1 - least) * 0.5 * (1 + std::cos(3.14159265358979323846 * done));
    }
  }
  return 1;
}

template <class T>
Optimizer<T>::Optimizer(const OptimizerOptions& options, size_t num_weights)
    : options_(with_defaults(options)), ranges_{{0, num_weights, 1, options.weight_decay, 0}}, state_(num_states(options), std::vector<T>(num_weights, T(0))) {}

template <class T>
Optimizer<T>::Optimizer(const OptimizerOptions& options, const Parameters& parameters) : Optimizer(options, parameters, std::array{Slice{0, parameters.dense_size()}}, true) {}

template <class T>
Optimizer<T>::Optimizer(const OptimizerOptions& options, const Parameters& parameters, std::span<const Slice> slices, bool tables) : options_(with_defaults(options)) {
  size_t numbers = 0;
  for (const Slice& slice : slices) {
    for (const auto& e : parameters.entries()) {
      const size_t begin = std::max(slice.begin, e.where.at), end = std::min(slice.end, e.where.at + e.where.size());
      if (!e.frozen && !e.statistic && !e.table && begin < end) ranges_.push_back({begin, end, e.lr_scale, e.decays ? e.weight_decay.value_or(options_.weight_decay) : 0, numbers + begin - slice.begin});
    }
    numbers += slice.end - slice.begin;
  }
  for (const auto& e : parameters.entries())
    if (tables && e.table && !e.frozen && e.where.size() > 0) tables_.push_back({e.where.at, e.where.at + e.where.size(), e.lr_scale, 0, numbers + e.where.at - parameters.dense_size()});
  state_.resize(num_states(options));  // each made where it stays: together they are larger than the weights
  for (auto& state : state_) state.assign(numbers + (tables ? parameters.size() - parameters.dense_size() : 0), T(0));
  const bool can = options_.weight_decay == 0 && options_.momentum == 0 && (options_.kind == Kind::kSgd || options_.kind == Kind::kAdagrad || options_.kind == Kind::kAdam);
  if (!tables_.empty() && !can) throw job_error("gradients by rows go with sgd, adagrad or adam, without momentum and weight decay");
}

template <class T>
std::array<T*, 2> Optimizer<T>::states_of(const Range& range) {
  std::array<T*, 2> states{};
  for (size_t k = 0; k < state_.size(); ++k) states[k] = state_[k].data() + range.state_at;
  return states;
}

template <class T>
void Optimizer<T>::update(std::span<T> weights, std::span<const T> gradient, double lr_factor, const TableRows<T>* tables, double scale) {
  ++steps_;
  for (const Range& range : ranges_) {
    const auto states = states_of(range);
    StepKernels<T>::move(options_.kind, step_of<T>(options_, steps_, options_.lr * lr_factor * range.lr_scale, range.weight_decay, scale), weights.data() + range.begin, gradient.data() + range.begin, states[0], states[1],
                         range.end - range.begin);
  }
  if (tables)
    for (const auto& table : tables->tables) move_rows(table, weights, lr_factor, scale);
}

template <class T>
void Optimizer<T>::update(std::span<T> weights, std::span<const RowSums<T>> tables, double lr_factor, double scale) {
  ++steps_;
  for (const auto& table : tables) move_rows(table, weights, lr_factor, scale);
}

template <class T>
template <class Gradients>
void Optimizer<T>::move_rows(const Gradients& gradients, std::span<T> weights, double lr_factor, double scale) {
  for (const Range& table : tables_) {
    if (table.begin != gradients.table().at) continue;
    const auto step = step_of<T>(options_, steps_, options_.lr * lr_factor * table.lr_scale, table.weight_decay, scale);
    (gradients.cols() < kNarrow ? move_together<T, Gradients> : move_each<T, Gradients>)(options_.kind, step, gradients, weights.data() + table.begin, states_of(table));
  }
}

template class Optimizer<float>;
template class Optimizer<double>;

double squares_of(std::span<const float> block) {
  // Eight sums side by side, so that they go by vectors; the same on any machine.
  double sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= block.size(); i += 8)
    for (size_t k = 0; k < 8; ++k) sums[k] += double(block[i + k]) * double(block[i + k]);
  for (size_t k = 0; i < block.size(); ++i, ++k) sums[k] += double(block[i]) * double(block[i]);
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace throng::nn
