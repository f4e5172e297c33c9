// Some rows of tables, where a step touches few of many: their gradients, or their weights.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "framework/base/buffer.h"
#include "framework/nn/parameters.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::nn {

/// Rows of one table, each once, in the order in which they were first touched, with numbers for each. T is float or double.
template <class T>
class Rows {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  explicit Rows(const Parameter& table) : table_(table) {}

  const Parameter& table() const { return table_; }
  const std::vector<int32_t>& rows() const { return rows_; }
  size_t cols() const { return table_.cols; }
  T* values(size_t slot) { return values_.data() + slot * cols(); }
  const T* values(size_t slot) const { return values_.data() + slot * cols(); }
  /// kNone where the row is not among them.
  uint32_t slot_of(int32_t row) const { return size_t(row) < slots_.size() ? slots_[size_t(row)] : kNone; }

  /// Adds a row's gradient.
  void add(int32_t row, const T* gradient) {
    uint32_t& slot = place_of(row);
    if (slot == kNone) {
      slot = uint32_t(rows_.size());
      rows_.push_back(row);
      values_.append(gradient, cols());
      return;
    }
    tensor::add(gradient, values(slot), cols());
  }
  /// Takes a row in, without numbers yet; these come with `make_room`.
  void want(int32_t row) {
    uint32_t& slot = place_of(row);
    if (slot != kNone) return;
    slot = uint32_t(rows_.size());
    rows_.push_back(row);
  }
  void make_room() { values_.resize(rows_.size() * cols()); }

  void scale(T factor) {
    for (T& v : values_) v *= factor;
  }
  void clear() {
    for (int32_t row : rows_) slots_[size_t(row)] = kNone;
    rows_.clear(), values_.resize(0);
  }
  /// Slots in the order of rows.
  std::vector<uint32_t> by_row() const {
    std::vector<uint32_t> order(rows_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = uint32_t(i);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return rows_[a] < rows_[b]; });
    return order;
  }

 private:
  uint32_t& place_of(int32_t row) {
    if (size_t(row) >= slots_.size()) slots_.resize(std::max(size_t(row) + 1, std::min(table_.rows, 2 * slots_.size())), kNone);
    return slots_[size_t(row)];
  }
  Parameter table_;
  std::vector<uint32_t> slots_;  // by row, up to the greatest so far
  std::vector<int32_t> rows_;
  AlignedVector<T> values_;
};

/// Of all tables of a model.
template <class T>
struct TableRows {
  std::vector<Rows<T>> tables;
  TableRows() = default;
  explicit TableRows(const Parameters& parameters) {
    for (const auto& e : parameters.entries())
      if (e.table) tables.emplace_back(e.where);
  }
  /// Of the table that begins at `at`; null where there is none.
  Rows<T>* find(size_t at) {
    for (auto& table : tables)
      if (table.table().at == at) return &table;
    return nullptr;
  }
  const Rows<T>* find(size_t at) const { return const_cast<TableRows*>(this)->find(at); }
  void clear() {
    for (auto& table : tables) table.clear();
  }
};

}  // namespace throng::nn
