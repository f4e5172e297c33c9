#include "framework/data/accumulators.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <tuple>

#include "framework/base/hash.h"
#include "framework/data/compact_keys.h"
#include "framework/data/sketches.h"
#include "framework/data/vocabulary.h"

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

template <class T>
constexpr Type kTypeOf = std::is_same_v<T, double> ? Type::kFloat64 : Type::kInt64;

template <class T>
T value_at(const Column& c, int64_t row) {
  if constexpr (std::is_same_v<T, double>) return c.as_double(row);
  else if constexpr (std::is_same_v<T, std::string>) return std::string(c.string(row));
  else return c.as_int64(row);
}
template <class T>
void append_value(Column& c, const T& v) {
  if constexpr (std::is_same_v<T, std::string>) c.append_string(v);
  else if (c.type() == Type::kBool) c.append(uint8_t(v));
  else c.append(v);
}

template <class Visit>
void with_numbers(const Column& c, const Visit& visit) {
  switch (c.type()) {
    case Type::kBool: return visit(c.values<uint8_t>());
    case Type::kInt32: return visit(c.values<int32_t>());
    case Type::kFloat32: return visit(c.values<float>());
    case Type::kFloat64: return visit(c.values<double>());
    default: return visit(c.values<int64_t>());
  }
}

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
    // One group: the first of the extreme values, in blocks that the compiler makes vectors of.
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

void add_halves(uint64_t v, std::vector<int32_t>& list) { list.push_back(int32_t(v)), list.push_back(int32_t(v >> 32)); }

// One state column: a list for each group, to which `pack` adds each of its entries.
template <class Entry, class Pack>
std::vector<Column> packed_lists(CompressedEntries<Entry>& entries, size_t num_groups, const Pack& pack) {
  std::vector<Column> out;
  out.emplace_back(Type::kListInt32);
  std::vector<int32_t> list;
  entries.for_each_group(num_groups, [&](std::span<const Entry> set) {
    list.clear();
    for (const auto& e : set) pack(e, list);
    out[0].append_list(std::span<const int32_t>(list));
  });
  return out;
}

// Distinct values by their 128-bit hashes.
class CountDistinct : public Accumulator {
 public:
  explicit CountDistinct(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t>) override {
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    std::vector<uint64_t> first(group_of.size(), 0), second(group_of.size(), 0x9e3779b97f4a7c15);
    x.hash_rows(first);
    x.hash_rows(second, 0x5bd1e995);
    for (size_t r = 0; r < group_of.size(); ++r)
      if (x.is_valid(int64_t(r))) entries_.add({group_of[r], first[r], second[r]});
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    const Column& hashes = b_.state_column(0, rows);
    for (size_t r = 0; r < group_of.size(); ++r) {
      auto list = hashes.list<int32_t>(int64_t(r));
      for (size_t i = 0; i + 3 < list.size(); i += 4) entries_.add({group_of[r], join_halves(list[i], list[i + 1]), join_halves(list[i + 2], list[i + 3])});
    }
  }
  std::vector<Column> states(size_t n) override {
    return packed_lists(entries_, n, [](const Entry& e, std::vector<int32_t>& list) { add_halves(e.first, list), add_halves(e.second, list); });
  }
  Column results(size_t n) override {
    entries_.compress();
    Column c = Column::zeros(Type::kInt64, int64_t(n));
    for (const auto& e : entries_.list) ++c.mutable_values<int64_t>()[e.group];
    return c;
  }

 private:
  struct Entry {
    uint32_t group;
    uint64_t first, second;
    bool operator<(const Entry& o) const { return std::tie(group, first, second) < std::tie(o.group, o.first, o.second); }
    bool same(const Entry& o) const { return group == o.group && first == o.first && second == o.second; }
    void absorb(const Entry&) {}
  };
  Bound b_;
  CompressedEntries<Entry> entries_;
};

// Distinct whole numbers by themselves.
class CountDistinctWhole : public Accumulator {
 public:
  explicit CountDistinctWhole(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t>) override {
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    const bool nulls = x.has_nulls();
    for (size_t r = 0; r < group_of.size(); ++r)
      if (!nulls || x.is_valid(int64_t(r))) add(group_of[r], x.as_int64(int64_t(r)));
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    const Column& values = b_.state_column(0, rows);
    for (size_t r = 0; r < group_of.size(); ++r) {
      auto list = values.list<int32_t>(int64_t(r));
      for (size_t i = 0; i + 1 < list.size(); i += 2) add(group_of[r], int64_t(join_halves(list[i], list[i + 1])));
    }
  }
  std::vector<Column> states(size_t n) override {
    compress();
    std::vector<Column> out;
    out.emplace_back(Type::kListInt32);
    std::vector<int32_t> list;
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      list.clear();
      for (; at < entries_.size() && entries_[at].group == g; ++at) add_halves(uint64_t(entries_[at].value), list);
      out[0].append_list(std::span<const int32_t>(list));
    }
    return out;
  }
  Column results(size_t n) override {
    compress();
    Column c = Column::zeros(Type::kInt64, int64_t(n));
    auto counts = c.mutable_values<int64_t>();
    for (const Entry& e : entries_) ++counts[e.group];
    return c;
  }

 private:
  struct Entry {
    int64_t value;
    uint32_t group;
    bool operator==(const Entry&) const = default;
  };
  void add(uint32_t group, int64_t value) {
    entries_.push_back({value, group});
    if (entries_.size() < limit_) return;
    compress();
    limit_ = std::max<size_t>(1 << 18, 2 * entries_.size());
  }
  // By group, then value; each once.
  void compress() {
    if (entries_.empty()) return;
    int64_t least = INT64_MAX, greatest = INT64_MIN;
    uint32_t groups = 0;
    for (const Entry& e : entries_) least = std::min(least, e.value), greatest = std::max(greatest, e.value), groups = std::max(groups, e.group);
    const int value_bits = int(std::bit_width(uint64_t(greatest) - uint64_t(least))), bits = value_bits + int(std::bit_width(groups));
    if (bits < 64) {
      AlignedVector<uint64_t> keys(entries_.size());
      for (size_t i = 0; i < keys.size(); ++i) keys[i] = uint64_t(entries_[i].group) << value_bits | (uint64_t(entries_[i].value) - uint64_t(least));
      radix_sort(keys, bits);
      const uint64_t mask = (uint64_t{1} << value_bits) - 1;
      for (size_t i = 0; i < keys.size(); ++i) entries_[i] = {int64_t((keys[i] & mask) + uint64_t(least)), uint32_t(keys[i] >> value_bits)};
    } else {
      std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return std::tie(a.group, a.value) < std::tie(b.group, b.value); });
    }
    entries_.erase(std::unique(entries_.begin(), entries_.end()), entries_.end());
  }
  Bound b_;
  std::vector<Entry> entries_;
  size_t limit_ = 1 << 18;
};

class ApproxDistinct : public Accumulator {
 public:
  explicit ApproxDistinct(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t>) override {
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    std::vector<uint64_t> hashes(group_of.size(), 0);
    x.hash_rows(hashes, 0x1b873593);
    for (size_t r = 0; r < group_of.size(); ++r)
      if (x.is_valid(int64_t(r))) registers_.add(HyperLogLog::entry(group_of[r], mix64(hashes[r])));
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    const Column& lists = b_.state_column(0, rows);
    for (size_t r = 0; r < group_of.size(); ++r)
      for (int32_t packed : lists.list<int32_t>(int64_t(r))) registers_.add(HyperLogLog::unpack(group_of[r], packed));
  }
  std::vector<Column> states(size_t n) override {
    return packed_lists(registers_, n, [](const HyperLogLog::Entry& e, std::vector<int32_t>& list) { list.push_back(HyperLogLog::pack(e)); });
  }
  Column results(size_t n) override {
    Column c(Type::kInt64);
    registers_.for_each_group(n, [&](std::span<const HyperLogLog::Entry> set) { c.append(HyperLogLog::estimate(set)); });
    return c;
  }

 private:
  Bound b_;
  CompressedEntries<HyperLogLog::Entry> registers_;
};

class Quantile : public Accumulator {
 public:
  explicit Quantile(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t>) override {
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    for (size_t r = 0; r < group_of.size(); ++r)
      if (x.is_valid(int64_t(r)) && !std::isnan(x.as_double(int64_t(r)))) bins_.add({group_of[r], DdSketch::bin(x.as_double(int64_t(r))), 1});
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    const Column& lists = b_.state_column(0, rows);
    for (size_t r = 0; r < group_of.size(); ++r) {
      auto list = lists.list<int32_t>(int64_t(r));
      for (size_t i = 0; i + 2 < list.size(); i += 3) bins_.add({group_of[r], list[i], int64_t(join_halves(list[i + 1], list[i + 2]))});
    }
  }
  std::vector<Column> states(size_t n) override {
    return packed_lists(bins_, n, [](const DdSketch::Entry& e, std::vector<int32_t>& list) { list.push_back(e.bin), add_halves(uint64_t(e.count), list); });
  }
  Column results(size_t n) override {
    Column c(Type::kFloat64);
    bins_.for_each_group(n, [&](std::span<const DdSketch::Entry> bins) { bins.empty() ? c.append_null() : c.append(DdSketch::quantile(bins, b_.number)); });
    return c;
  }

 private:
  Bound b_;
  CompressedEntries<DdSketch::Entry> bins_;
};

// The most frequent values, counted exactly.
class TopK : public Accumulator {
 public:
  explicit TopK(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t>) override {
    const ColumnPtr argument = b_.argument(0, rows);
    const Column& x = *argument;
    for (size_t r = 0; r < group_of.size(); ++r)
      if (x.is_valid(int64_t(r))) counts_.add({group_of[r], number(text_of(x, int64_t(r))), 1});
  }
  void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    const Column &values = b_.state_column(0, rows), &counts = b_.state_column(1, rows);
    for (size_t r = 0; r < group_of.size(); ++r) {
      auto list = counts.list<int32_t>(int64_t(r));
      for (int64_t i = 0; i < values.list_size(int64_t(r)); ++i)
        counts_.add({group_of[r], number(values.list_string(int64_t(r), i)), int64_t(join_halves(list[size_t(2 * i)], list[size_t(2 * i + 1)]))});
    }
  }
  std::vector<Column> states(size_t n) override {
    auto out = packed_lists(counts_, n, [](const DdSketch::Entry& e, std::vector<int32_t>& list) { add_halves(uint64_t(e.count), list); });
    Column values(Type::kListString);
    counts_.for_each_group(n, [&](std::span<const DdSketch::Entry> set) {
      for (const auto& e : set) values.add_list_string(texts_[size_t(e.bin)]);
      values.end_list();
    });
    out.insert(out.begin(), std::move(values));
    return out;
  }
  Column results(size_t n) override {
    Column c(Type::kListString);
    counts_.for_each_group(n, [&](std::span<const DdSketch::Entry> set) {
      std::vector<std::pair<int64_t, std::string_view>> found;
      for (const auto& e : set) found.emplace_back(-e.count, texts_[size_t(e.bin)]);
      std::sort(found.begin(), found.end());  // falling count, ties by text
      for (size_t i = 0; i < std::min(found.size(), size_t(b_.number)); ++i) c.add_list_string(found[i].second);
      c.end_list();
    });
    return c;
  }

 private:
  static std::string text_of(const Column& c, int64_t row) { return c.type() == Type::kString ? std::string(c.string(row)) : std::to_string(c.as_int64(row)); }
  int32_t number(std::string_view text) {
    auto it = numbers_.find(text);
    if (it != numbers_.end()) return it->second;
    texts_.emplace_back(text);
    return numbers_.emplace(std::string(text), int32_t(texts_.size()) - 1).first->second;
  }
  Bound b_;
  TextMap<int32_t> numbers_;
  std::vector<std::string> texts_;
  CompressedEntries<DdSketch::Entry> counts_;
};

}  // namespace

std::unique_ptr<Accumulator> make_count(const Bound& b) { return std::make_unique<Count>(b); }
std::unique_ptr<Accumulator> make_sum(const Bound& b, bool whole, bool mean) {
  if (whole) return std::make_unique<Sum<int64_t>>(b, mean);
  return std::make_unique<Sum<double>>(b, mean);
}
std::unique_ptr<Accumulator> make_variance(const Bound& b, bool population, bool root) { return std::make_unique<Variance>(b, population, root); }
std::unique_ptr<Accumulator> make_extreme(const Bound& b, bool largest, bool by_time) {
  if (b.result.type == Type::kString) return std::make_unique<Extreme<std::string>>(b, largest, by_time);
  if (is_float(b.result.type)) return std::make_unique<Extreme<double>>(b, largest, by_time);
  return std::make_unique<Extreme<int64_t>>(b, largest, by_time);
}
std::unique_ptr<Accumulator> make_count_distinct(const Bound& b) {
  const Type type = (*b.arguments)[0].type();
  if (is_integer(type) || type == Type::kBool || type == Type::kTimestamp) return std::make_unique<CountDistinctWhole>(b);
  return std::make_unique<CountDistinct>(b);
}
std::unique_ptr<Accumulator> make_approx_distinct(const Bound& b) { return std::make_unique<ApproxDistinct>(b); }
std::unique_ptr<Accumulator> make_quantile(const Bound& b) { return std::make_unique<Quantile>(b); }
std::unique_ptr<Accumulator> make_top_k(const Bound& b) { return std::make_unique<TopK>(b); }

}  // namespace throng::data::accumulators
