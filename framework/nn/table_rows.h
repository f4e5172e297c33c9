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

/// Which rows of a table there are, each once, in the order in which they were first touched.
class RowPlaces {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  explicit RowPlaces(const Parameter& table) : table_(table) {}

  const Parameter& table() const { return table_; }
  const std::vector<int32_t>& rows() const { return rows_; }
  size_t cols() const { return table_.cols; }
  /// kNone where the row is not among them.
  uint32_t slot_of(int32_t row) const { return size_t(row) < slots_.size() ? slots_[size_t(row)] : kNone; }
  /// Slots in the order of rows.
  std::vector<uint32_t> by_row() const {
    std::vector<uint32_t> order(rows_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = uint32_t(i);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return rows_[a] < rows_[b]; });
    return order;
  }

 protected:
  /// Takes a row in, in the next slot; false where it is here.
  bool take(int32_t row) {
    if (size_t(row) >= slots_.size()) slots_.resize(std::max(size_t(row) + 1, std::min(table_.rows, 2 * slots_.size())), kNone);
    if (slots_[size_t(row)] != kNone) return false;
    slots_[size_t(row)] = uint32_t(rows_.size());
    rows_.push_back(row);
    return true;
  }
  /// All rows but the first `count` go.
  void keep(size_t count) {
    for (size_t i = count; i < rows_.size(); ++i) slots_[size_t(rows_[i])] = kNone;
    rows_.resize(count);
  }

 private:
  Parameter table_;
  std::vector<uint32_t> slots_;  // by row, up to the greatest so far
  std::vector<int32_t> rows_;
};

/// Rows with numbers for each. T is float or double.
template <class T>
class Rows : public RowPlaces {
 public:
  using RowPlaces::RowPlaces;
  T* values(size_t slot) { return values_.data() + slot * cols(); }
  const T* values(size_t slot) const { return values_.data() + slot * cols(); }

  /// Adds a row's gradient.
  void add(int32_t row, const T* gradient) {
    if (take(row)) values_.append(gradient, cols());
    else tensor::add(gradient, values(slot_of(row)), cols());
  }
  /// Room for the gradients of rows of which none is here yet and none comes twice, to be written, one row after another; stays until the next row comes. Null, and nothing is done, where that is not so.
  T* add_room(std::span<const int32_t> rows) {
    const size_t before = this->rows().size();
    for (int32_t row : rows) {
      if (take(row)) continue;
      keep(before);
      return nullptr;
    }
    make_room();
    return values(before);
  }
  /// Takes a row in, without numbers yet; these come with `make_room`.
  void want(int32_t row) { take(row); }
  void make_room() { values_.resize(rows().size() * cols()); }
  void clear() { keep(0), values_.resize(0); }

 private:
  AlignedVector<T> values_;
};

/// Sums of gradients that lie elsewhere. T is float or double.
template <class T>
class RowSums : public RowPlaces {
 public:
  using RowPlaces::RowPlaces;
  const T* values(size_t slot) const { return values_[slot]; }
  /// Adds a row's gradient. The first of a row becomes its sum where it lies, until `clear`.
  void add(int32_t row, T* gradient) {
    if (take(row)) values_.push_back(gradient);
    else tensor::add(gradient, values_[slot_of(row)], cols());
  }
  void clear() { keep(0), values_.clear(); }

 private:
  std::vector<T*> values_;
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
