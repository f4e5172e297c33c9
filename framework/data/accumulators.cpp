// Counts, sums, means and variances.
#include "framework/data/accumulators.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "framework/data/accumulator_values.h"

namespace throng::data::accumulators {
namespace {

void add_sizes(std::vector<int64_t>& counts, std::span<const int64_t> sizes) {
  for (size_t g = 0; g < sizes.size(); ++g) counts[g] += sizes[g];
}

class Count : public Accumulator {
 public:
  explicit Count(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t> sizes) override {
    counts_.resize(sizes.size());
    const ColumnPtr x = b_.arguments->empty() ? nullptr : b_.argument(0, rows);
    if (x && x->has_nulls())
      for (size_t r = 0; r < group_of.size(); ++r) counts_[group_of[r]] += x->is_valid(int64_t(r));
    else
      add_sizes(counts_, sizes);
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    counts_.resize(n);
    auto more = b_.state_column(0, rows).values<int64_t>();
    for (size_t r = 0; r < group_of.size(); ++r) counts_[group_of[r]] += more[r];
  }
  std::vector<Column> states(size_t n) override {
    std::vector<Column> out;
    out.push_back(results(n));
    return out;
  }
  Column results(size_t n) override {
    counts_.resize(n);
    Column c = Column::zeros(Type::kInt64, int64_t(n));
    std::copy(counts_.begin(), counts_.end(), c.mutable_values<int64_t>().begin());
    return c;
  }

 private:
  Bound b_;
  std::vector<int64_t> counts_;
};

// Apart from the loops that it would keep from being short.
[[noreturn, gnu::cold, gnu::noinline]] void fail_sum() { throw data_error("the sum of a group does not fit a 64-bit whole number").with_hint("sum floats: sum(float(x))"); }

// sum and mean.
template <class T>
class Sum : public Accumulator {
 public:
  Sum(Bound b, bool mean) : b_(std::move(b)), mean_(mean) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t> sizes) override {
    grow(sizes.size());
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    if constexpr (std::is_same_v<T, double>)
      if (sizes.size() <= kFewGroups) return add_side_by_side(x, group_of, sizes);
    if (x.has_nulls()) {
      for (size_t r = 0; r < group_of.size(); ++r)
        if (x.is_valid(int64_t(r))) take(group_of[r], value_at<T>(x, int64_t(r)), 1);
      return;
    }
    with_numbers(x, [&, sums = sums_.data()](auto values) {
      for (size_t r = 0; r < group_of.size(); ++r) add_to(sums[group_of[r]], T(values[r]));
    });
    add_sizes(counts_, sizes);
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    grow(n);
    const Column& sums = b_.state_column(0, rows);
    auto counts = b_.state_column(1, rows).values<int64_t>();
    for (size_t r = 0; r < group_of.size(); ++r)
      if (counts[r]) take(group_of[r], value_at<T>(sums, int64_t(r)), counts[r]);
  }
  std::vector<Column> states(size_t n) override {
    grow(n);
    std::vector<Column> out;
    out.push_back(Column::zeros(kTypeOf<T>, int64_t(n)));
    out.push_back(Column::zeros(Type::kInt64, int64_t(n)));
    std::copy(sums_.begin(), sums_.end(), out[0].mutable_values<T>().begin());
    std::copy(counts_.begin(), counts_.end(), out[1].mutable_values<int64_t>().begin());
    return out;
  }
  Column results(size_t n) override {
    grow(n);
    Column c(mean_ ? Type::kFloat64 : kTypeOf<T>);
    for (size_t g = 0; g < n; ++g) {
      if (counts_[g] == 0) c.append_null();
      else if (mean_) c.append(double(sums_[g]) / double(counts_[g]));
      else c.append(sums_[g]);
    }
    return c;
  }

 private:
  // A sum waits for the one before of the same group, so that few groups have four sums each: row r goes to the one of r % 4, whether there
  // are nulls or not.
  static constexpr size_t kFewGroups = 1024, kLanes = 4;
  void add_side_by_side(const Column& x, std::span<const uint32_t> group_of, std::span<const int64_t> sizes) {
    const size_t n = group_of.size(), k = sizes.size();
    std::vector<T> lanes(kLanes * k);
    T *a = lanes.data(), *b = a + k, *c = b + k, *d = c + k;
    with_numbers(x, [&](auto values) {
      size_t r = 0;
      if (x.has_nulls()) {
        for (; r < n; ++r)
          if (x.is_valid(int64_t(r))) lanes[r % kLanes * k + group_of[r]] += T(values[r]), ++counts_[group_of[r]];
        return;
      }
      for (; r + kLanes <= n; r += kLanes) {
        a[group_of[r]] += T(values[r]), b[group_of[r + 1]] += T(values[r + 1]);
        c[group_of[r + 2]] += T(values[r + 2]), d[group_of[r + 3]] += T(values[r + 3]);
      }
      for (; r < n; ++r) lanes[r % kLanes * k + group_of[r]] += T(values[r]);
      add_sizes(counts_, sizes);
    });
    for (size_t g = 0; g < k; ++g) sums_[g] += (a[g] + b[g]) + (c[g] + d[g]);
  }

  void grow(size_t n) { sums_.resize(n), counts_.resize(n); }
  static void add_to(T& sum, T v) {
    if constexpr (std::is_same_v<T, double>) sum += v;
    else if (__builtin_add_overflow(sum, v, &sum)) fail_sum();
  }
  void take(uint32_t g, T v, int64_t count) {
    add_to(sums_[g], v);
    counts_[g] += count;
  }
  Bound b_;
  bool mean_;
  std::vector<T> sums_;
  std::vector<int64_t> counts_;
};

// Variance and deviation by Welford's updates and the merge of Chan, Golub and LeVeque (1979).
class Variance : public Accumulator {
 public:
  Variance(Bound b, bool population, bool root) : b_(std::move(b)), population_(population), root_(root) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t> sizes) override {
    groups_.resize(sizes.size());
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    for (size_t r = 0; r < group_of.size(); ++r)
      if (x.is_valid(int64_t(r))) groups_[group_of[r]].merge({1, x.as_double(int64_t(r)), 0});
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    groups_.resize(n);
    auto counts = b_.state_column(0, rows).values<int64_t>();
    auto means = b_.state_column(1, rows).values<double>(), squares = b_.state_column(2, rows).values<double>();
    for (size_t r = 0; r < group_of.size(); ++r) groups_[group_of[r]].merge({counts[r], means[r], squares[r]});
  }
  std::vector<Column> states(size_t n) override {
    groups_.resize(n);
    Column count(Type::kInt64), mean(Type::kFloat64), square(Type::kFloat64);
    for (const auto& g : groups_) count.append(g.n), mean.append(g.mean), square.append(g.square);
    std::vector<Column> out;
    out.push_back(std::move(count)), out.push_back(std::move(mean)), out.push_back(std::move(square));
    return out;
  }
  Column results(size_t n) override {
    groups_.resize(n);
    Column c(Type::kFloat64);
    for (const auto& g : groups_) {
      const int64_t freedom = population_ ? g.n : g.n - 1;
      if (freedom < 1) c.append_null();
      else c.append(root_ ? std::sqrt(g.square / double(freedom)) : g.square / double(freedom));
    }
    return c;
  }

 private:
  struct Moments {
    int64_t n = 0;
    double mean = 0, square = 0;
    void merge(const Moments& o) {
      if (o.n == 0) return;
      if (n == 0) return void(*this = o);  // the same bits, as if it had been here from the first
      const double delta = o.mean - mean, total = double(n + o.n);
      mean += delta * double(o.n) / total;
      square += o.square + delta * delta * double(n) * double(o.n) / total;
      n += o.n;
    }
  };
  Bound b_;
  bool population_, root_;
  std::vector<Moments> groups_;
};

}  // namespace

std::unique_ptr<Accumulator> make_count(const Bound& b) { return std::make_unique<Count>(b); }
std::unique_ptr<Accumulator> make_sum(const Bound& b, bool whole, bool mean) {
  if (whole) return std::make_unique<Sum<int64_t>>(b, mean);
  return std::make_unique<Sum<double>>(b, mean);
}
std::unique_ptr<Accumulator> make_variance(const Bound& b, bool population, bool root) { return std::make_unique<Variance>(b, population, root); }

}  // namespace throng::data::accumulators
