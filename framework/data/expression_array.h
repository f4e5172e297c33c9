// The numbers of an expression while it is evaluated. Internal to framework/data.
#pragma once
#include <algorithm>
#include <span>
#include <utility>

#include "framework/data/column.h"

namespace throng::data {

/// An array of its own, or a column's values as they stand, which are not copied. Only what it owns may be written to.
template <class T>
class ExpressionArray {
 public:
  ExpressionArray() = default;
  ExpressionArray(const ExpressionArray& o) : own_(o.own_), lent_by_(o.lent_by_), data_(o.data_), size_(o.size_) {
    if (!lent_by_) attach();
  }
  ExpressionArray(ExpressionArray&&) noexcept = default;
  ExpressionArray& operator=(ExpressionArray o) noexcept {
    own_.swap(o.own_), lent_by_.swap(o.lent_by_);
    data_ = o.data_, size_ = o.size_;
    return *this;
  }
  ~ExpressionArray() = default;
  /// `count` values of a column, from the one at `first`.
  static ExpressionArray of(ColumnPtr column, size_t first, size_t count) {
    ExpressionArray a;
    const auto values = column->values<T>().subspan(first, count);
    a.data_ = const_cast<T*>(values.data()), a.size_ = values.size();  // never written to
    a.lent_by_ = std::move(column);
    return a;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const T> span() const { return {data_, size_}; }
  std::span<T> span() { return {data_, size_}; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& operator[](size_t i) { return data_[i]; }
  void resize(size_t n) {
    THRONG_CHECK(!lent_by_, "a lent array of {} values is written to", size_);
    own_.resize(n * sizeof(T)), size_ = n;
    attach();
  }
  void push_back(T value) {
    resize(size_ + 1);
    data_[size_ - 1] = value;
  }
  template <class Iterator>
  void assign(Iterator begin, Iterator end) {
    resize(size_t(end - begin));
    std::copy(begin, end, data_);
  }

 private:
  void attach() { data_ = reinterpret_cast<T*>(own_.data()); }
  Buffer own_;
  ColumnPtr lent_by_;
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace throng::data
