#include "framework/nn/tape.h"

#include <algorithm>
#include <bit>

#include "framework/base/error.h"

namespace throng::nn {

Segments Segments::of_lengths(std::span<const size_t> lengths) {
  Segments s;
  for (size_t n : lengths) s.offsets_.push_back(s.offsets_.back() + n);
  return s;
}

size_t Segments::longest() const {
  size_t most = 0;
  for (size_t s = 0; s < count(); ++s) most = std::max(most, length(s));
  return most;
}

template <class T>
void Tape<T>::start(const Parameters& parameters, std::span<const T> weights, std::span<T> gradient, uint64_t seed, uint64_t stream, TableGradients<T>* tables) {
  THRONG_CHECK(weights.size() == parameters.size() && (gradient.empty() || gradient.size() == parameters.dense_size()), "{} weights and {} gradients for a model of {}", weights.size(),
               gradient.size(), parameters.size());
  THRONG_CHECK(gradient.empty() || tables || parameters.dense_size() == parameters.size(), "no room for the gradients of tables");
  for (auto& node : nodes_) {
    if (node.owned && node.value) give(node.value, node.size);
    if (node.gradient && node.owned) give(node.gradient, node.size);
  }
  for (auto [p, n] : step_scratch_) give(p, n);
  nodes_.clear(), step_scratch_.clear();
  parameters_ = &parameters, weights_ = weights, gradient_ = gradient;
  seed_ = seed, stream_ = stream, draws_ = 0, loss_ = 0, tables_ = tables;
}

template <class T>
T* Tape<T>::weight_gradient(const Parameter& p) {
  if (!learns(p)) return nullptr;
  THRONG_CHECK(!parameters_->is_table(p), "an operation wants the gradient of all rows of a table");
  return gradient_.data() + p.at;
}

template <class T>
void Tape<T>::add_to_rows(const Parameter& p, std::span<const int32_t> ids, const T* gradient) {
  if (!learns(p)) return;
  RowGradients<T>* table = parameters_->is_table(p) ? tables_->find(p.at) : nullptr;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) continue;
    const T* from = gradient + i * p.cols;
    if (table) {
      table->add(ids[i], from);
      continue;
    }
    T* to = gradient_.data() + p.at + size_t(ids[i]) * p.cols;
    for (size_t c = 0; c < p.cols; ++c) to[c] += from[c];
  }
}

template <class T>
Var Tape<T>::constant(const T* values, size_t rows, size_t cols) {
  nodes_.push_back({const_cast<T*>(values), nullptr, rows * cols, false, false, {}});
  return {uint32_t(nodes_.size() - 1), rows, cols};
}

template <class T>
Var Tape<T>::weights(const Parameter& p) {
  T* gradient = weight_gradient(p);
  nodes_.push_back({const_cast<T*>(weight(p)), gradient, p.size(), gradient != nullptr, false, {}});
  return {uint32_t(nodes_.size() - 1), p.rows, p.cols};
}

template <class T>
Var Tape<T>::make(size_t rows, size_t cols, bool needs) {
  nodes_.push_back({take(rows * cols), nullptr, rows * cols, needs && training(), true, {}});
  return {uint32_t(nodes_.size() - 1), rows, cols};
}

template <class T>
T* Tape<T>::gradient(Var v) {
  Node& node = nodes_[v.node];
  if (!node.needs) return nullptr;
  if (!node.gradient) {
    node.gradient = take(node.size);
    std::fill_n(node.gradient, node.size, T(0));
  }
  return node.gradient;
}

template <class T>
void Tape<T>::on_backward(Var v, std::function<void()> work) {
  if (nodes_[v.node].needs) nodes_[v.node].work = std::move(work);
}

template <class T>
void Tape<T>::backward() {
  for (size_t i = nodes_.size(); i-- > 0;) {
    if (nodes_[i].work && nodes_[i].gradient) nodes_[i].work();
    Node& node = nodes_[i];
    node.work = nullptr;
    if (!node.owned) continue;
    // All that was computed from it has been gone through.
    if (node.gradient) give(node.gradient, node.size);
    give(node.value, node.size);
    node.gradient = node.value = nullptr;
  }
}

template <class T>
T* Tape<T>::scratch(size_t n) {
  T* p = take(n);
  step_scratch_.emplace_back(p, n);
  return p;
}

// Sizes that differ little share memory: eight classes for each doubling.
template <class T>
size_t Tape<T>::size_class(size_t n) {
  n = std::max<size_t>(n, 16);
  const size_t grain = std::max<size_t>(16, std::bit_floor(n) / 8);
  return (n + grain - 1) / grain * grain;
}

template <class T>
T* Tape<T>::take(size_t n) {
  const size_t size = size_class(n);
  used_ += size * sizeof(T), peak_ = std::max(peak_, used_);
  auto& list = free_[size];
  if (list.empty()) {
    blocks_.emplace_back(size);
    return blocks_.back().data();
  }
  T* p = list.back();
  list.pop_back();
  return p;
}

template <class T>
void Tape<T>::give(T* p, size_t n) {
  const size_t size = size_class(n);
  used_ -= size * sizeof(T);
  free_[size].push_back(p);
}

template class Tape<float>;
template class Tape<double>;

}  // namespace throng::nn
