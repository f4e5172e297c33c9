#include "framework/nn/tape.h"

#include <algorithm>
#include <bit>
#include <utility>

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
void Tape<T>::start(const Parameters& parameters, std::span<const T> weights, std::span<T> gradient, uint64_t seed, uint64_t stream, TableRows<T>* tables,
                    tensor::PackedCache<T>* packed, const TableRows<T>* rows) {
  THRONG_CHECK(weights.size() == (rows ? parameters.dense_size() : parameters.size()) && (gradient.empty() || gradient.size() == parameters.dense_size()), "{} weights and {} gradients for a model of {}", weights.size(),
               gradient.size(), parameters.size());
  THRONG_CHECK(gradient.empty() || tables || parameters.dense_size() == parameters.size(), "no room for the gradients of tables");
  for (auto& node : nodes_) {
    if (node.owned && node.value) give(node.value, node.size);
    if (node.gradient && node.owned) give(node.gradient, node.size);
  }
  for (auto [p, n] : step_scratch_) give(p, n);
  nodes_.clear(), step_scratch_.clear();
  peak_ = used_;
  parameters_ = &parameters, weights_ = weights, gradient_ = gradient;
  seed_ = seed, stream_ = stream, draws_ = 0, loss_ = 0, tables_ = tables, rows_ = rows;
  own_packed_.clear();
  packed_ = packed ? packed : &own_packed_;
  first_use_.assign(training() ? parameters.entries().size() : 0, kUnused);
  touched_ = going_back_ = kUnused;
}

template <class T>
void Tape<T>::start_within(const Tape& outer, uint64_t draws) {
  start(*outer.parameters_, outer.weights_, outer.gradient_, outer.seed_, outer.stream_, outer.tables_, outer.packed_, outer.rows_);
  draws_ = draws;
}

template <class T>
void Tape<T>::take_uses(const Tape& inner) {
  draws_ = inner.draws_;
  for (size_t e = 0; e < inner.first_use_.size(); ++e)
    if (inner.first_use_[e] != kUnused) {
      THRONG_CHECK(!parameters_->entries()[e].statistic, "'{}' would see a batch twice", parameters_->entries()[e].name);
      touch(parameters_->entries()[e].where);
    }
}

template <class T>
void Tape<T>::touch(const Parameter& p) {
  if (!training() || (p.at == touched_ && going_back_ == kUnused)) return;
  touched_ = p.at;
  size_t& first = first_use_[parameters_->entry_of(p.at)];
  if (going_back_ == kUnused) first = std::min(first, std::max<size_t>(1, nodes_.size()) - 1);
  else THRONG_CHECK(first <= going_back_, "'{}' is used on the way back only", parameters_->entries()[parameters_->entry_of(p.at)].name);
}

template <class T>
const T* Tape<T>::row_of_step(const Parameter& p, int32_t id) const {
  const Rows<T>* table = rows_ ? rows_->find(p.at) : nullptr;
  const uint32_t slot = table ? table->slot_of(id) : Rows<T>::kNone;
  THRONG_CHECK(slot != Rows<T>::kNone, "row {} of '{}' is not among those that the model said it uses in this step", id, parameters_->entries()[parameters_->entry_of(p.at)].name);
  return table->values(slot);
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
  Rows<T>* table = parameters_->is_table(p) ? tables_->find(p.at) : nullptr;
  const Rows<T>* here = table && rows_ ? rows_->find(p.at) : nullptr;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) continue;
    const T* from = gradient + i * p.cols;
    if (table) {
      table->add(here ? int32_t(here->slot_of(ids[i])) : ids[i], from);
      continue;
    }
    tensor::add(from, gradient_.data() + p.at + size_t(ids[i]) * p.cols, p.cols);
  }
}

template <class T>
T* Tape<T>::room_for_rows(const Parameter& p, std::span<const int32_t> ids) {
  if (!learns(p) || !parameters_->is_table(p)) return nullptr;
  const Rows<T>* here = rows_ ? rows_->find(p.at) : nullptr;
  if (!here) return tables_->find(p.at)->add_room(ids);
  std::vector<int32_t> places;
  for (int32_t id : ids) places.push_back(int32_t(here->slot_of(id)));
  return tables_->find(p.at)->add_room(places);
}

template <class T>
Var Tape<T>::constant(const T* values, size_t rows, size_t cols) {
  nodes_.push_back({const_cast<T*>(values), nullptr, rows * cols, false, false, {}});
  return {uint32_t(nodes_.size() - 1), rows, cols};
}

template <class T>
Var Tape<T>::operand(T* values, T* gradient, size_t rows, size_t cols, bool needs) {
  nodes_.push_back({values, gradient, rows * cols, needs && training(), false, {}});
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
  bool empty;
  T* gradient = this->gradient(v, empty);
  if (gradient && empty) std::fill_n(gradient, nodes_[v.node].size, T(0));
  return gradient;
}

template <class T>
T* Tape<T>::gradient(Var v, bool& empty) {
  Node& node = nodes_[v.node];
  THRONG_CHECK(!node.handed_on, "a gradient is asked for after it was handed on");
  empty = node.needs && !node.gradient;
  if (empty) node.gradient = take(node.size);
  return node.needs ? node.gradient : nullptr;
}

template <class T>
T* Tape<T>::hand_on_gradient(Var from, Var to) {
  Node &giver = nodes_[from.node], &taker = nodes_[to.node];
  if (!taker.needs || taker.gradient || !taker.owned || !giver.owned || giver.size != taker.size) return nullptr;
  giver.handed_on = true;
  return taker.gradient = std::exchange(giver.gradient, nullptr);
}

template <class T>
void Tape<T>::on_backward(Var v, std::function<void()> work) {
  if (nodes_[v.node].needs) nodes_[v.node].work = std::move(work);
}

template <class T>
void Tape<T>::backward(const std::function<void(size_t)>& complete) {
  std::vector<size_t> last(complete ? first_use_.size() : 0);  // first to be used last
  for (size_t e = 0; e < last.size(); ++e) last[e] = e;
  std::sort(last.begin(), last.end(), [&](size_t a, size_t b) { return std::pair(first_use_[a], a) < std::pair(first_use_[b], b); });
  auto tell = [&](size_t through) {
    for (; !last.empty() && first_use_[last.back()] >= through; last.pop_back()) complete(last.back());
  };
  tell(nodes_.size());
  for (size_t i = nodes_.size(); i-- > 0; tell(i)) {
    going_back_ = i;
    if (nodes_[i].work && nodes_[i].gradient) nodes_[i].work();
    Node& node = nodes_[i];
    node.work = nullptr;
    if (!node.owned) continue;
    // All that was computed from it has been gone through.
    if (node.gradient) give(node.gradient, node.size);
    give(node.value, node.size);
    node.gradient = node.value = nullptr;
  }
  going_back_ = kUnused;
  tell(0);
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
  if (list.empty()) return static_cast<T*>(memory_.take(size * sizeof(T)));
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
