#include "framework/nn/parameters.h"

#include <algorithm>
#include <cmath>

#include "framework/base/error.h"
#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "framework/base/suggest.h"

namespace throng::nn {

Initial Initial::glorot(size_t in, size_t out) { return uniform(std::sqrt(6.0 / double(in + out))); }

Parameter Parameters::add(std::string name, size_t rows, size_t cols, Initial initial, bool decays) {
  for (const auto& e : entries_) THRONG_CHECK(e.name != name, "two parameters are named '{}'", name);
  Entry e{std::move(name), {size_, rows, cols}, initial};
  e.decays = decays;
  // Each matrix begins a cache line.
  THRONG_CHECK(size_ == dense_size_, "'{}' comes behind a table", e.name);
  size_ += (e.where.size() + 15) / 16 * 16;
  dense_size_ = size_;
  entries_.push_back(std::move(e));
  return entries_.back().where;
}

Parameter Parameters::add_table(std::string name, size_t rows, size_t cols, Initial initial) {
  const size_t before = dense_size_;
  dense_size_ = size_;
  const Parameter p = add(std::move(name), rows, cols, initial, false);
  entries_.back().table = true, dense_size_ = before;
  return p;
}

Parameter Parameters::add_table_like(const Entry& table, size_t rows) {
  const Parameter p = add_table(table.name, rows, table.where.cols, table.initial);
  entries_.back().frozen = table.frozen, entries_.back().lr_scale = table.lr_scale;
  return p;
}

Parameter Parameters::add_statistic(std::string name, size_t cols, double initial) {
  const Parameter p = add(std::move(name), 1, cols, Initial::constant(initial), false);
  entries_.back().statistic = true;
  return p;
}

const Parameters::Entry& Parameters::find(const std::string& name) const {
  for (const auto& e : entries_)
    if (e.name == name) return e;
  std::vector<std::string> names;
  for (const auto& e : entries_) names.push_back(e.name);
  throw job_error("the model has no weights '{}'", name).with_hint(suggest(name, names));
}

size_t Parameters::freeze(const std::string& prefix) {
  size_t n = 0;
  for (auto& e : entries_)
    if (e.name.starts_with(prefix)) e.frozen = true, ++n;
  return n;
}

size_t Parameters::scale_lr(const std::string& prefix, double scale) {
  size_t n = 0;
  for (auto& e : entries_)
    if (e.name.starts_with(prefix)) e.lr_scale = scale, ++n;
  return n;
}

size_t Parameters::set_weight_decay(const std::string& prefix, double decay) {
  size_t n = 0;
  for (auto& e : entries_)
    if (e.decays && e.name.starts_with(prefix)) e.weight_decay = decay, ++n;
  return n;
}

void Parameters::begin_as_bert() {
  for (auto& e : entries_)
    if (e.initial.kind == Initial::Kind::kUniform) e.initial = e.name.ends_with(".bias") ? Initial::constant(0) : Initial::normal(0.02);
}

void Parameters::begin_uniform(double bound) {
  for (auto& e : entries_)
    if (e.initial.kind != Initial::Kind::kConstant) e.initial = Initial::uniform(bound);
}

size_t Parameters::entry_of(size_t at) const {
  const auto behind = std::upper_bound(entries_.begin(), entries_.end(), at, [](size_t x, const Entry& e) { return x < e.where.at; });
  THRONG_CHECK(behind != entries_.begin() && at < size_, "no parameter at {}", at);
  return size_t(behind - entries_.begin()) - 1;
}

bool Parameters::learns(const Parameter& p) const {
  const Entry& entry = entries_[entry_of(p.at)];
  THRONG_CHECK(entry.where.at == p.at, "no parameter at {}", p.at);
  return !entry.frozen;
}

namespace {

template <class T>
void begin(const Initial& initial, Random random, T* values, size_t n) {
  for (size_t i = 0; i < n; ++i) switch (initial.kind) {
      case Initial::Kind::kConstant: values[i] = T(initial.number); break;
      case Initial::Kind::kUniform: values[i] = T((2 * random.uniform() - 1) * initial.number); break;
      case Initial::Kind::kNormal: values[i] = T(random.normal() * initial.number); break;
    }
}

}  // namespace

template <class T>
void Parameters::initialize(std::span<T> weights, uint64_t seed) const {
  THRONG_CHECK(weights.size() == size_ || weights.size() == dense_size_, "{} weights for a model of {}", weights.size(), size_);
  std::fill(weights.begin(), weights.end(), T(0));
  for (const auto& e : entries_) {
    T* values = weights.data() + e.where.at;
    if (!e.table) begin(e.initial, Random(seed, hash64(e.name)), values, e.where.size());
    for (size_t row = 0; e.table && weights.size() == size_ && row < e.where.rows; ++row) initialize_row(e, row, values + row * e.where.cols, seed);
  }
}

template <class T>
void Parameters::initialize_row(const Entry& table, size_t row, T* values, uint64_t seed) {
  begin(table.initial, Random(seed, hash64(table.name), row + 1), values, table.where.cols);
}

template void Parameters::initialize<float>(std::span<float>, uint64_t) const;
template void Parameters::initialize<double>(std::span<double>, uint64_t) const;
template void Parameters::initialize_row<float>(const Entry&, size_t, float*, uint64_t);
template void Parameters::initialize_row<double>(const Entry&, size_t, double*, uint64_t);

}  // namespace throng::nn
