// min and max, first and last.
#include <algorithm>
#include <cmath>
#include <optional>

#include "framework/data/accumulator_values.h"
#include "framework/data/accumulators.h"
#include "framework/data/code_kernels.h"

namespace throng::data::accumulators {
namespace {

// min, max; and first, last, which keep the value whose time is extreme (ties: the first row, or the last).
template <class T>
class Extreme : public Accumulator {
 public:
  Extreme(Bound b, bool largest, bool by_time) : b_(std::move(b)), largest_(largest), by_time_(by_time) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t> sizes) override {
    best_.resize(sizes.size());
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    const ColumnPtr time = by_time_ ? b_.argument(1, rows) : nullptr;
    if constexpr (!std::is_same_v<T, std::string>)
      if (!time && !x.has_nulls() && take_values(x, group_of)) return;
    for (size_t r = 0; r < group_of.size(); ++r) {
      const int64_t row = int64_t(r);
      if (!x.is_valid(row) || (time && !time->is_valid(row))) continue;
      take(group_of[r], {true, time ? time->as_int64(row) : 0, value_at<T>(x, row)});
    }
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    best_.resize(n);
    const Column& x = b_.state_column(0, rows);
    const Column* time = by_time_ ? &b_.state_column(1, rows) : nullptr;
    for (size_t r = 0; r < group_of.size(); ++r)
      if (x.is_valid(int64_t(r))) take(group_of[r], {true, time ? time->as_int64(int64_t(r)) : 0, value_at<T>(x, int64_t(r))});
  }
  std::vector<Column> states(size_t n) override {
    std::vector<Column> out;
    out.push_back(results(n));
    if (by_time_) {
      Column time(Type::kInt64);
      for (const auto& b : best_) time.append(b.time);
      out.push_back(std::move(time));
    }
    return out;
  }
  Column results(size_t n) override {
    best_.resize(n);
    Column c(b_.result.type);
    for (const auto& b : best_) b.there ? append_value(c, b.value) : c.append_null();
    return c;
  }

 private:
  struct Best {
    bool there = false;
    int64_t time = 0;
    T value{};
  };
  static int order(const T& a, const T& b) {
    if constexpr (std::is_same_v<T, double>)
      if (std::isnan(a) || std::isnan(b)) return int(std::isnan(a)) - int(std::isnan(b));
    return a < b ? -1 : b < a ? 1 : 0;
  }
  // The values as they lie; false where they are of another type.
  bool take_values(const Column& x, std::span<const uint32_t> group_of) {
    switch (x.type()) {
      case Type::kInt32: return take_each(x.values<int32_t>(), group_of);
      case Type::kInt64:
      case Type::kTimestamp: return take_each(x.values<int64_t>(), group_of);
      case Type::kFloat32: return take_each(x.values<float>(), group_of);
      case Type::kFloat64: return take_each(x.values<double>(), group_of);
      default: return false;
    }
  }
  template <class Value>
  bool take_each(std::span<const Value> values, std::span<const uint32_t> group_of) {
    if (best_.size() > 1) {
      for (size_t r = 0; r < values.size(); ++r) take(group_of[r], {true, 0, T(values[r])});
      return true;
    }
    if constexpr (std::is_integral_v<Value>) {
      if (values.empty()) return true;
      const auto range = kernels::range_of(values);
      take(0, {true, 0, T(largest_ ? range.greatest : range.least)});
      return true;
    }
    // One group: the first of the extreme values, block by block, since a block without NaN needs no look at them.
    for (size_t first = 0; first < values.size(); first += kBlock) {
      const auto block = values.subspan(first, std::min(kBlock, values.size() - first));
      Value most = block[0];
      bool nan = false;
      for (const Value v : block) {
        most = (largest_ ? v > most : v < most) ? v : most;
        if constexpr (std::is_floating_point_v<Value>) nan |= v != v;
      }
      if (!nan) take(0, {true, 0, T(most)});
      else
        for (const Value v : block) take(0, {true, 0, T(v)});
    }
    return true;
  }
  static constexpr size_t kBlock = 4096;
  // Rows and states come in the dataset's order.
  void take(uint32_t g, Best candidate) {
    Best& b = best_[g];
    const int k = !b.there ? 0 : by_time_ ? (candidate.time > b.time) - (candidate.time < b.time) : order(candidate.value, b.value);
    if (!b.there || (largest_ ? k > 0 || (by_time_ && k == 0) : k < 0)) b = std::move(candidate);
  }
  Bound b_;
  bool largest_, by_time_;
  std::vector<Best> best_;
};

}  // namespace

std::unique_ptr<Accumulator> make_extreme(const Bound& b, bool largest, bool by_time) {
  if (b.result.type == Type::kString) return std::make_unique<Extreme<std::string>>(b, largest, by_time);
  if (is_float(b.result.type)) return std::make_unique<Extreme<double>>(b, largest, by_time);
  return std::make_unique<Extreme<int64_t>>(b, largest, by_time);
}

}  // namespace throng::data::accumulators
