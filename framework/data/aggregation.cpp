#include "framework/data/aggregation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "framework/base/hash.h"
#include "framework/base/suggest.h"
#include "framework/data/row_order.h"
#include "framework/data/sketches.h"
#include "framework/data/vocabulary.h"

namespace throng::data {
namespace {

// What every accumulator of one aggregate knows.
struct Bound {
  std::vector<Field> state;
  Field result;
  std::shared_ptr<std::vector<Expression>> arguments;
  double number = 0;  // the constant argument, where there is one

  Column argument(size_t i, const Batch& rows) const { return (*arguments)[i].evaluate(rows); }
  const Column& state_column(size_t i, const Batch& rows) const { return rows.column(state[i].name); }
};

class Count : public Accumulator {
 public:
  explicit Count(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    counts_.resize(n);
    if (b_.arguments->empty()) {
      for (uint32_t g : group_of) ++counts_[g];
      return;
    }
    Column x = b_.argument(0, rows);
    for (size_t r = 0; r < group_of.size(); ++r) counts_[group_of[r]] += x.is_valid(int64_t(r));
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

// sum and mean.
template <class T>
class Sum : public Accumulator {
 public:
  Sum(Bound b, bool mean) : b_(std::move(b)), mean_(mean) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    grow(n);
    Column x = b_.argument(0, rows);
    for (size_t r = 0; r < group_of.size(); ++r)
      if (x.is_valid(int64_t(r))) take(group_of[r], value_at<T>(x, int64_t(r)), 1);
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
  void take(uint32_t g, T v, int64_t count) {
    if constexpr (std::is_same_v<T, double>) sums_[g] += v;
    else if (__builtin_add_overflow(sums_[g], v, &sums_[g])) throw data_error("the sum of a group does not fit a 64-bit whole number").with_hint("sum floats: sum(float(x))");
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
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    groups_.resize(n);
    Column x = b_.argument(0, rows);
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
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t n) override {
    best_.resize(n);
    Column x = b_.argument(0, rows);
    std::optional<Column> time;
    if (by_time_) time = b_.argument(1, rows);
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

// Distinct values by their 128-bit hashes.
class CountDistinct : public Accumulator {
 public:
  explicit CountDistinct(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    Column x = b_.argument(0, rows);
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
    entries_.compress();
    Column c(Type::kListInt32);
    std::vector<int32_t> list;
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      list.clear();
      for (; at < entries_.list.size() && entries_.list[at].group == g; ++at)
        for (uint64_t h : {entries_.list[at].first, entries_.list[at].second}) list.push_back(int32_t(h)), list.push_back(int32_t(h >> 32));
      c.append_list(std::span<const int32_t>(list));
    }
    std::vector<Column> out;
    out.push_back(std::move(c));
    return out;
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

class ApproxDistinct : public Accumulator {
 public:
  explicit ApproxDistinct(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    Column x = b_.argument(0, rows);
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
    registers_.compress();
    Column c(Type::kListInt32);
    std::vector<int32_t> list;
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      list.clear();
      for (; at < registers_.list.size() && registers_.list[at].group == g; ++at) list.push_back(HyperLogLog::pack(registers_.list[at]));
      c.append_list(std::span<const int32_t>(list));
    }
    std::vector<Column> out;
    out.push_back(std::move(c));
    return out;
  }
  Column results(size_t n) override {
    registers_.compress();
    Column c(Type::kInt64);
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      size_t end = at;
      while (end < registers_.list.size() && registers_.list[end].group == g) ++end;
      c.append(HyperLogLog::estimate(std::span(registers_.list).subspan(at, end - at)));
      at = end;
    }
    return c;
  }

 private:
  Bound b_;
  CompressedEntries<HyperLogLog::Entry> registers_;
};

class Quantile : public Accumulator {
 public:
  explicit Quantile(Bound b) : b_(std::move(b)) {}
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    Column x = b_.argument(0, rows);
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
    bins_.compress();
    Column c(Type::kListInt32);
    std::vector<int32_t> list;
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      list.clear();
      for (; at < bins_.list.size() && bins_.list[at].group == g; ++at) {
        const auto& e = bins_.list[at];
        list.insert(list.end(), {e.bin, int32_t(e.count), int32_t(uint64_t(e.count) >> 32)});
      }
      c.append_list(std::span<const int32_t>(list));
    }
    std::vector<Column> out;
    out.push_back(std::move(c));
    return out;
  }
  Column results(size_t n) override {
    bins_.compress();
    Column c(Type::kFloat64);
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      size_t end = at;
      while (end < bins_.list.size() && bins_.list[end].group == g) ++end;
      if (end == at) c.append_null();
      else c.append(DdSketch::quantile(std::span(bins_.list).subspan(at, end - at), b_.number));
      at = end;
    }
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
  void add(const Batch& rows, std::span<const uint32_t> group_of, size_t) override {
    Column x = b_.argument(0, rows);
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
    counts_.compress();
    Column values(Type::kListString), counts(Type::kListInt32);
    std::vector<int32_t> list;
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      list.clear();
      for (; at < counts_.list.size() && counts_.list[at].group == g; ++at) {
        const auto& e = counts_.list[at];
        values.add_list_string(texts_[size_t(e.bin)]);
        list.insert(list.end(), {int32_t(e.count), int32_t(uint64_t(e.count) >> 32)});
      }
      values.end_list();
      counts.append_list(std::span<const int32_t>(list));
    }
    std::vector<Column> out;
    out.push_back(std::move(values)), out.push_back(std::move(counts));
    return out;
  }
  Column results(size_t n) override {
    counts_.compress();
    Column c(Type::kListString);
    size_t at = 0;
    for (uint32_t g = 0; g < n; ++g) {
      std::vector<std::pair<int64_t, std::string_view>> found;
      for (; at < counts_.list.size() && counts_.list[at].group == g; ++at) found.emplace_back(-counts_.list[at].count, texts_[size_t(counts_.list[at].bin)]);
      std::sort(found.begin(), found.end());  // falling count, ties by text
      for (size_t i = 0; i < std::min(found.size(), size_t(b_.number)); ++i) c.add_list_string(found[i].second);
      c.end_list();
    }
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

// Cuts "f(a, g(b, 'c,d'))" into f and its arguments.
std::optional<std::pair<std::string, std::vector<std::string>>> parse_call(const std::string& text) {
  auto trim = [](std::string_view t) {
    size_t b = t.find_first_not_of(" \t\n"), e = t.find_last_not_of(" \t\n");
    return b == t.npos ? std::string() : std::string(t.substr(b, e - b + 1));
  };
  const std::string t = trim(text);
  const size_t open = t.find('(');
  if (open == t.npos || t.back() != ')') return {};
  std::pair<std::string, std::vector<std::string>> call{trim(t.substr(0, open)), {}};
  const std::string inside = t.substr(open + 1, t.size() - open - 2);
  int depth = 0;
  char quote = 0;
  std::string part;
  for (char c : inside) {
    if (quote) quote = c == quote ? 0 : quote;
    else if (c == '\'' || c == '"' || c == '`') quote = c;
    else if (c == '(') ++depth;
    else if (c == ')' && --depth < 0) return {};
    if (c == ',' && !quote && depth == 0) call.second.push_back(trim(part)), part.clear();
    else part += c;
  }
  if (quote || depth != 0) return {};
  if (!trim(part).empty() || !call.second.empty()) call.second.push_back(trim(part));
  return call;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> Aggregate::functions() {
  return {{"count()", "rows"},
          {"count(x)", "rows where x is not null"},
          {"sum(x)", "whole numbers exactly, floats in the dataset's order"},
          {"mean(x)", "arithmetic mean"},
          {"min(x)", "smallest number, text, time"},
          {"max(x)", "largest number, text, time"},
          {"variance(x)", "of the sample (n - 1)"},
          {"stddev(x)", "of the sample"},
          {"variance_pop(x)", "of the population (n)"},
          {"stddev_pop(x)", "of the population"},
          {"quantile(x, q)", "value at share q (0 to 1), within 1 % (DDSketch, Masson et al., VLDB 2019)"},
          {"median(x)", "quantile(x, 0.5)"},
          {"count_distinct(x)", "distinct values, exactly"},
          {"approx_distinct(x)", "distinct values, with a standard error of 1.6 % (HyperLogLog, Flajolet et al., 2007)"},
          {"top_k(x, k)", "list of the k most frequent values, ties by text"},
          {"first(x)", "value at the smallest ts; first(x, t) at the smallest t"},
          {"last(x)", "value at the largest ts; last(x, t) at the largest t"}};
}

class AggregateBinder {
 public:
  AggregateBinder(Aggregate& a, const std::string& text, const Schema& input) : a_(a), text_(text), input_(input) {}

  void bind() {
    auto call = parse_call(text_);
    if (!call) fail("expected function(column or expression), such as sum(value)");
    name_ = call->first;
    args_ = call->second;
    b_.arguments = a_.arguments_ = std::make_shared<std::vector<Expression>>();
    if (name_ == "count") return bind_count();
    if (name_ == "sum" || name_ == "mean") return bind_sum();
    if (name_ == "variance" || name_ == "stddev" || name_ == "variance_pop" || name_ == "stddev_pop") return bind_variance();
    if (name_ == "min" || name_ == "max" || name_ == "first" || name_ == "last") return bind_extreme();
    if (name_ == "count_distinct" || name_ == "approx_distinct") return bind_distinct();
    if (name_ == "quantile" || name_ == "median") return bind_quantile();
    if (name_ == "top_k") return bind_top_k();
    std::vector<std::string> known;
    for (const auto& [signature, meaning] : Aggregate::functions()) known.push_back(signature.substr(0, signature.find('(')));
    throw job_error("aggregate '{}': unknown function '{}'", a_.name_, name_).with_hint(suggest(name_, known));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw job_error("aggregate '{}' is '{}': {}", a_.name_, text_, what); }
  void take(size_t most) {
    if (args_.empty() || args_.size() > most) fail(fmt::format("{} takes {} argument{}", name_, most == 1 ? "1" : "1 or 2", most == 1 ? "" : "s"));
    for (size_t i = 0; i < args_.size(); ++i) b_.arguments->emplace_back(args_[i], input_);
  }
  Type type(size_t i) const { return (*b_.arguments)[i].type(); }
  void need_number(size_t i) const {
    if (!is_number(type(i))) fail(fmt::format("{} of a {}; expected a number", name_, type_name(type(i))));
  }
  double constant(size_t i, const char* what) {
    double v = 0;
    auto [p, code] = std::from_chars(args_[i].data(), args_[i].data() + args_[i].size(), v);
    if (code != std::errc() || p != args_[i].data() + args_[i].size()) fail(fmt::format("'{}' is no {}", args_[i], what));
    args_.resize(i);
    return v;
  }
  std::string zone() const {
    for (const auto& e : *b_.arguments)
      for (const auto& c : e.columns())
        if (input_.at(c).type == Type::kTimestamp) return input_.at(c).time_zone;
    return "";
  }
  // Names the state columns and keeps the maker.
  template <class A, class... Args>
  void finish(Type result, std::vector<Type> state, Args... args) {
    a_.result_ = {a_.name_, result, result == Type::kTimestamp ? zone() : ""};
    for (size_t i = 0; i < state.size(); ++i) a_.state_.push_back({a_.name_ + "." + std::to_string(i), state[i], state[i] == Type::kTimestamp ? zone() : ""});
    b_.result = a_.result_, b_.state = a_.state_;
    a_.make_ = [b = b_, args...] { return std::make_unique<A>(b, args...); };
  }

  void bind_count() {
    if (!args_.empty()) take(1);
    finish<Count>(Type::kInt64, {Type::kInt64});
  }
  void bind_sum() {
    take(1);
    need_number(0);
    const bool mean = name_ == "mean";
    if (is_float(type(0)) || mean) finish<Sum<double>>(Type::kFloat64, {Type::kFloat64, Type::kInt64}, mean);
    else finish<Sum<int64_t>>(Type::kInt64, {Type::kInt64, Type::kInt64}, false);
  }
  void bind_variance() {
    take(1);
    need_number(0);
    finish<Variance>(Type::kFloat64, {Type::kInt64, Type::kFloat64, Type::kFloat64}, name_.ends_with("_pop"), name_.starts_with("stddev"));
  }
  void bind_extreme() {
    const bool by_time = name_ == "first" || name_ == "last", largest = name_ == "max" || name_ == "last";
    if (by_time && args_.size() == 1) args_.push_back("ts");
    take(by_time ? 2 : 1);
    if (by_time && type(1) != Type::kTimestamp && !is_integer(type(1))) fail(fmt::format("ordered by a {}; expected a time", type_name(type(1))));
    if (is_list(type(0))) fail(fmt::format("{} of a {}", name_, type_name(type(0))));
    std::vector<Type> state{type(0)};
    if (by_time) state.push_back(Type::kInt64);
    if (type(0) == Type::kString) finish<Extreme<std::string>>(type(0), state, largest, by_time);
    else if (is_float(type(0))) finish<Extreme<double>>(type(0), state, largest, by_time);
    else finish<Extreme<int64_t>>(type(0), state, largest, by_time);
  }
  void bind_distinct() {
    take(1);
    if (name_ == "count_distinct") finish<CountDistinct>(Type::kInt64, {Type::kListInt32});
    else finish<ApproxDistinct>(Type::kInt64, {Type::kListInt32});
  }
  void bind_quantile() {
    b_.number = 0.5;
    if (name_ == "quantile") {
      if (args_.size() != 2) fail("quantile takes a number and a share, such as quantile(value, 0.9)");
      b_.number = constant(1, "share from 0 to 1");
      if (!(b_.number >= 0 && b_.number <= 1)) fail("the share must lie between 0 and 1");
    }
    take(1);
    need_number(0);
    finish<Quantile>(Type::kFloat64, {Type::kListInt32});
  }
  void bind_top_k() {
    if (args_.size() != 2) fail("top_k takes a value and a number, such as top_k(item, 3)");
    b_.number = constant(1, "whole number above 0");
    if (!(b_.number >= 1) || b_.number != std::floor(b_.number) || b_.number > 1e6) fail("the number must be a whole one from 1 to 1,000,000");
    take(1);
    if (type(0) != Type::kString && !is_integer(type(0))) fail(fmt::format("top_k of a {}; expected text or whole numbers", type_name(type(0))));
    finish<TopK>(Type::kListString, {Type::kListString, Type::kListInt32});
  }

  Aggregate& a_;
  const std::string& text_;
  const Schema& input_;
  std::string name_;
  std::vector<std::string> args_;
  Bound b_;
};

Aggregate::Aggregate(std::string name, const std::string& text, const Schema& input) : name_(std::move(name)) { AggregateBinder(*this, text, input).bind(); }
Aggregate::~Aggregate() = default;
Aggregate::Aggregate(Aggregate&&) noexcept = default;

std::vector<std::string> Aggregate::columns() const {
  std::vector<std::string> names;
  for (const auto& e : *arguments_)
    for (const auto& c : e.columns()) names.push_back(c);
  return names;
}

Groups Groups::of(const Batch& rows, const std::vector<std::string>& columns) {
  Groups g;
  const size_t n = size_t(rows.num_rows());
  g.of_row.resize(n);
  if (columns.empty()) {
    if (n > 0) g.first_row.push_back(0);
    return g;
  }
  std::vector<OrderBy> by;
  for (const auto& name : columns) by.push_back({name, false});
  const RowKeys keys = RowKeys::of(rows, by);
  if (keys.exact) {  // the keys tell rows apart by themselves
    auto hash = [&](size_t r) { return mix64(keys.keys[r][0] ^ mix64(keys.keys[r][1] ^ mix64(keys.keys[r][2]))); };
    g.number(hash, [&](int64_t a, int64_t b) {
      const auto &x = keys.keys[size_t(a)], &y = keys.keys[size_t(b)];
      return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2])) == 0;
    });
  } else {
    const auto hashes = rows.hash_rows(columns);
    const RowComparison compare(rows, rows, by);
    g.number([&](size_t r) { return hashes[r]; }, [&](int64_t a, int64_t b) { return compare(a, b) == 0; });
  }
  return g;
}

// Open addressing; a slot holds a group's number and the upper half of its hash.
template <class Hash, class Same>
void Groups::number(const Hash& hash, const Same& same) {
  struct Slot {
    uint32_t group = UINT32_MAX, upper = 0;
  };
  size_t capacity = 1024;
  std::vector<Slot> slots(capacity);
  std::vector<uint64_t> group_hash;
  for (size_t r = 0; r < of_row.size(); ++r) {
    const uint64_t h = hash(r);
    const uint32_t upper = uint32_t(h >> 32);
    size_t at = h & (capacity - 1);
    for (;; at = (at + 1) & (capacity - 1)) {
      Slot& slot = slots[at];
      if (slot.group == UINT32_MAX) {
        slot = {uint32_t(first_row.size()), upper};
        of_row[r] = slot.group;
        first_row.push_back(int64_t(r));
        group_hash.push_back(h);
        break;
      }
      if (slot.upper == upper && same(first_row[slot.group], int64_t(r))) {
        of_row[r] = slot.group;
        break;
      }
    }
    if (2 * first_row.size() < capacity) continue;
    capacity *= 4;
    slots.assign(capacity, {});
    for (uint32_t i = 0; i < group_hash.size(); ++i) {
      size_t free = group_hash[i] & (capacity - 1);
      while (slots[free].group != UINT32_MAX) free = (free + 1) & (capacity - 1);
      slots[free] = {i, uint32_t(group_hash[i] >> 32)};
    }
  }
}

NamedExpression NamedExpression::parse(const std::string& item) {
  size_t as = item.rfind(" as ");
  if (as == std::string::npos) return {item, ""};
  std::string name = item.substr(as + 4);
  name.erase(0, name.find_first_not_of(' '));
  name.erase(name.find_last_not_of(' ') + 1);
  return {name, item.substr(0, as)};
}

}  // namespace throng::data
