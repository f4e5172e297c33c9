// What is kept of many values: distinct ones, quantiles and the most frequent.
#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>

#include "framework/base/hash.h"
#include "framework/data/accumulator_values.h"
#include "framework/data/accumulators.h"
#include "framework/data/compact_keys.h"
#include "framework/data/sketches.h"
#include "framework/data/vocabulary.h"

namespace throng::data::accumulators {
namespace {

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
  std::vector<Column> settled_states(size_t n) override {
    std::vector<Column> out;
    out.push_back(results(n));
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
  std::vector<Column> settled_states(size_t n) override {
    std::vector<Column> out;
    out.push_back(results(n));
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
  std::vector<Column> settled_states(size_t n) override {
    std::vector<Column> out;
    out.emplace_back(Type::kListString), out.emplace_back(Type::kListInt32);
    for_each_most_frequent(n, [&](const auto& found) {
      std::vector<int32_t> counts;
      for (const auto& [negative, text] : found) add_halves(uint64_t(-negative), counts), out[0].add_list_string(text);
      out[0].end_list();
      out[1].append_list(std::span<const int32_t>(counts));
    });
    return out;
  }
  Column results(size_t n) override {
    Column c(Type::kListString);
    for_each_most_frequent(n, [&](const auto& found) {
      for (const auto& [negative, text] : found) c.add_list_string(text);
      c.end_list();
    });
    return c;
  }

 private:
  // Calls visit with (-count, text) of each group's k most frequent: falling count, ties by text.
  template <class Visit>
  void for_each_most_frequent(size_t n, const Visit& visit) {
    std::vector<std::pair<int64_t, std::string_view>> found;
    counts_.for_each_group(n, [&](std::span<const DdSketch::Entry> set) {
      found.clear();
      for (const auto& e : set) found.emplace_back(-e.count, texts_[size_t(e.bin)]);
      std::sort(found.begin(), found.end());
      if (found.size() > size_t(b_.number)) found.resize(size_t(b_.number));
      visit(found);
    });
  }
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

std::unique_ptr<Accumulator> make_count_distinct(const Bound& b) {
  const Type type = (*b.arguments)[0].type();
  if (is_integer(type) || type == Type::kBool || type == Type::kTimestamp) return std::make_unique<CountDistinctWhole>(b);
  return std::make_unique<CountDistinct>(b);
}
std::unique_ptr<Accumulator> make_approx_distinct(const Bound& b) { return std::make_unique<ApproxDistinct>(b); }
std::unique_ptr<Accumulator> make_quantile(const Bound& b) { return std::make_unique<Quantile>(b); }
std::unique_ptr<Accumulator> make_top_k(const Bound& b) { return std::make_unique<TopK>(b); }

}  // namespace throng::data::accumulators
