#include "operators/aggregate/aggregate.h"

#include "framework/base/hash.h"
#include "framework/data/aggregation.h"
#include "framework/data/groups.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using graph::KeyedOperator;

const std::string kPart = "__part";  // of a hot key

// States of groups, put together by key.
class Merging : public KeyedOperator {
 public:
  graph::Names key() const override { return key_; }
  data::Schema prepared_schema(const data::Schema&) const override { return partial_; }
  // Floats are summed from the first state on, so that a sum of the first ones may stand for them.
  bool combines() const override { return true; }
  data::Batch combine(const data::Batch& rows, std::span<const int64_t> starts) const override { return merge(rows, starts, partial_, take_states); }
  bool combines_unsorted() const override { return true; }
  data::Batch combine_unsorted(const data::Batch& rows, const data::Groups& groups) const override {
    return merge(rows, groups.of_row, groups.first_row, groups.size(), key_, partial_, take_states);
  }

 protected:
  static void take_states(data::Accumulator& a, size_t num_groups, std::vector<data::Column>& columns) {
    for (auto& column : a.states(num_groups)) columns.push_back(std::move(column));
  }
  static void take_results(data::Accumulator& a, size_t num_groups, std::vector<data::Column>& columns) { columns.push_back(a.results(num_groups)); }

  template <class Take>
  data::Batch merge(const data::Batch& rows, std::span<const int64_t> starts, const data::Schema& schema, const Take& take) const {
    return merge(rows, starts, key_, schema, take);
  }
  // `kept`: the columns of the key that the result has.
  template <class Take>
  data::Batch merge(const data::Batch& rows, std::span<const int64_t> starts, const graph::Names& kept, const data::Schema& schema, const Take& take) const {
    size_t num_groups = starts.size() - 1;
    if (key_.empty()) num_groups = rows.origin.partition == 0 ? 1 : 0;  // of no rows, too, there is one row of counts
    std::vector<uint32_t> group_of(size_t(rows.num_rows()));
    std::vector<int64_t> first;
    for (size_t g = 0; g + 1 < starts.size(); ++g) {
      if (!key_.empty()) first.push_back(starts[g]);
      for (int64_t r = starts[g]; r < starts[g + 1]; ++r) group_of[size_t(r)] = key_.empty() ? 0 : uint32_t(g);
    }
    return merge(rows, group_of, first, num_groups, kept, schema, take);
  }
  template <class Take>
  data::Batch merge(const data::Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t> first, size_t num_groups, const graph::Names& kept, const data::Schema& schema,
                    const Take& take) const {
    std::vector<data::Column> columns;
    for (const auto& name : kept) columns.push_back(rows.column(name).take(first));
    for (const auto& a : aggregates_) {
      auto accumulator = a.accumulator();
      if (num_groups > 0) accumulator->merge(rows, group_of, num_groups);
      take(*accumulator, num_groups, columns);
    }
    return data::Batch(schema, std::move(columns), rows.origin);
  }

  graph::Names key_;
  std::vector<data::Aggregate> aggregates_;
  data::Schema partial_, output_;
};

class AggregateOperator : public Merging {
 public:
  explicit AggregateOperator(Aggregate params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const data::Schema& input = inputs[0];
    if (params_.aggregates.empty()) throw job_error("'aggregates' is empty").with_hint("such as aggregates: { rows: count() }");
    key_.clear(), key_expressions_.clear(), aggregates_.clear();
    partial_ = output_ = data::Schema();
    for (const auto& item : params_.by) {
      auto [name, text] = data::NamedExpression::parse(item);
      if (output_.has(name)) throw job_error("'{}' is named twice", name);
      if (text.empty()) {
        output_.add(input.at(name));
      } else {
        key_expressions_.emplace_back(name, data::Expression(text, input));
        const auto& e = key_expressions_.back().second;
        std::string zone;
        for (const auto& column : e.columns())
          if (e.type() == data::Type::kTimestamp && input.at(column).type == data::Type::kTimestamp) zone = input.at(column).time_zone;
        output_.add({name, e.type(), zone});
      }
      if (is_list(output_.at(name).type)) throw job_error("column '{}' is {}; rows cannot be grouped by it", name, data::type_name(output_.at(name).type));
      key_.push_back(name);
    }
    partial_ = output_;
    for (const auto& [name, text] : params_.aggregates) {
      aggregates_.emplace_back(name, text, input);
      if (output_.has(name)) throw job_error("'{}' is named twice", name);
      output_.add(aggregates_.back().result());
    }
    for (const auto& a : aggregates_)
      for (const auto& field : a.state()) partial_.add(field);
    return output_;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names&) const override {
    graph::Names names;
    for (const auto& name : key_)
      if (schema.has(name)) names.push_back(name);
    for (const auto& [name, e] : key_expressions_)
      for (const auto& c : e.columns()) names.push_back(c);
    for (const auto& a : aggregates_)
      for (const auto& c : a.columns()) names.push_back(c);
    return names;
  }

  data::Batch prepare(const data::Batch& batch) const override {
    const auto keys = keys_of(batch);
    const auto groups = data::Groups::of(keys, batch.num_rows());
    const auto sizes = data::Groups::sizes(groups.of_row, groups.size());
    std::vector<data::Column> columns;
    for (const auto& key : keys) columns.push_back(key.take(groups.first_row));
    for (const auto& a : aggregates_) {
      auto accumulator = a.accumulator();
      accumulator->add(batch, groups.of_row, sizes);
      take_states(*accumulator, groups.size(), columns);
    }
    return data::Batch(partial_, std::move(columns), batch.origin);
  }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override { return merge(rows, starts, output_, take_results); }

  Spread spread() const override {
    const bool grows = std::any_of(aggregates_.begin(), aggregates_.end(), [](const auto& a) { return a.grows(); });
    return !grows || params_.strategy == "together" ? Spread::kNever : params_.strategy == "spread" ? Spread::kAlways : Spread::kHotKeys;
  }
  std::vector<uint64_t> hash_keys(const data::Batch& batch) const override {
    const auto keys = keys_of(batch);
    const auto groups = data::Groups::of(keys, batch.num_rows());
    const auto of_group = hash_groups(keys, groups);
    std::vector<uint64_t> hashes;
    for (uint32_t g : groups.of_row) hashes.push_back(of_group[g]);
    return hashes;
  }
  InTwoSteps in_two_steps(const data::Schema& input, HotKeys hot) const override;

 protected:
  std::vector<data::GroupKey> keys_of(const data::Batch& batch) const {
    std::vector<data::GroupKey> keys;
    for (const auto& name : params_.by) {
      const std::string key = data::NamedExpression::parse(name).name;
      const auto e = std::find_if(key_expressions_.begin(), key_expressions_.end(), [&](const auto& named) { return named.first == key; });
      if (e != key_expressions_.end()) keys.push_back(e->second.evaluate_key(batch));
      else keys.push_back({batch.column_ptr(size_t(batch.schema().find(key)))});
    }
    return keys;
  }
  static std::vector<uint64_t> hash_groups(const std::vector<data::GroupKey>& keys, const data::Groups& groups) {
    std::vector<uint64_t> hashes(groups.size(), 0);
    for (const auto& key : keys) key.take(groups.first_row).hash_rows(hashes);
    return hashes;
  }

  Aggregate params_;
  std::vector<std::pair<std::string, data::Expression>> key_expressions_;
};

// The first of two steps: the values of a hot group are dealt out over parts by their hash, so that no two parts have one in common.
// Aggregates that do not hold values have their state in part 0.
class SpreadAggregate : public AggregateOperator {
 public:
  SpreadAggregate(Aggregate params, HotKeys hot) : AggregateOperator(std::move(params)), hot_(std::move(hot)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    AggregateOperator::bind(inputs);
    by_ = key_;
    data::Schema whole, settled;
    for (const auto& name : by_) whole.add(output_.at(name)), settled.add(output_.at(name));
    whole.add({kPart, data::Type::kInt32});
    for (const auto& a : aggregates_) {
      for (const auto& field : a.state()) whole.add(field);
      const data::Aggregate rest = a.settled();
      for (const auto& field : rest.state()) settled.add(field);
    }
    key_.push_back(kPart);
    partial_ = whole;
    return output_ = settled;
  }

  data::Batch prepare(const data::Batch& batch) const override {
    const auto keys = keys_of(batch);
    const auto groups = data::Groups::of(keys, batch.num_rows());
    const auto sizes = data::Groups::sizes(groups.of_row, groups.size());
    const auto hashes = hash_groups(keys, groups);
    // Rows of the result: part 0 of each group, then parts of the hot ones as they come.
    std::vector<uint32_t> group_of(groups.size());
    std::vector<int32_t> part_of(groups.size(), 0);
    std::vector<std::vector<uint32_t>> rows_of(groups.size());  // of hot groups, by part; 0 where there is none yet
    for (size_t g = 0; g < groups.size(); ++g) {
      group_of[g] = uint32_t(g);
      if (hot_.has(hashes[g])) rows_of[g].assign(hot_.parts, 0), rows_of[g][0] = uint32_t(g);
    }
    std::vector<std::vector<uint32_t>> dealt;  // by aggregate that grows: the result's row of each row
    for (const auto& a : aggregates_) {
      if (!a.grows()) continue;
      const auto values = a.hash_values(batch);
      auto& to = dealt.emplace_back(groups.of_row.begin(), groups.of_row.end());
      for (size_t r = 0; r < to.size(); ++r) {
        auto& rows = rows_of[to[r]];
        if (rows.empty()) continue;
        const uint32_t part = uint32_t(mix64(values[r]) % hot_.parts);
        if (part > 0 && rows[part] == 0) rows[part] = uint32_t(group_of.size()), group_of.push_back(to[r]), part_of.push_back(int32_t(part));
        to[r] = rows[part];
      }
    }
    const size_t n = group_of.size();
    std::vector<data::Column> columns;
    std::vector<int64_t> first;
    for (uint32_t g : group_of) first.push_back(groups.first_row[g]);
    for (const auto& key : keys) columns.push_back(key.take(first));
    columns.push_back(data::Column::zeros(data::Type::kInt32, int64_t(n)));
    std::copy(part_of.begin(), part_of.end(), columns.back().mutable_values<int32_t>().begin());
    size_t next = 0;
    for (const auto& a : aggregates_) {
      auto accumulator = a.accumulator();
      if (a.grows()) {
        const auto& to = dealt[next++];
        accumulator->add(batch, to, data::Groups::sizes(to, n));
      } else {
        accumulator->add(batch, groups.of_row, sizes);
      }
      take_states(*accumulator, n, columns);
    }
    return data::Batch(partial_, std::move(columns), batch.origin);
  }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    return merge(rows, starts, by_, output_, [](data::Accumulator& a, size_t num_groups, std::vector<data::Column>& columns) {
      for (auto& column : a.settled_states(num_groups)) columns.push_back(std::move(column));
    });
  }
  Spread spread() const override { return Spread::kNever; }

 private:
  HotKeys hot_;
  graph::Names by_;
};

// The second: parts of a group have no value in common, so what is left of them adds up.
class SettledAggregate : public Merging {
 public:
  SettledAggregate(graph::Names key, std::vector<data::Aggregate> aggregates, data::Schema between, data::Schema output) {
    key_ = std::move(key), aggregates_ = std::move(aggregates), partial_ = std::move(between), output_ = std::move(output);
  }
  data::Schema bind(const std::vector<data::Schema>&) override { return output_; }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override { return merge(rows, starts, output_, take_results); }
};

KeyedOperator::InTwoSteps AggregateOperator::in_two_steps(const data::Schema& input, HotKeys hot) const {
  InTwoSteps steps;
  steps.first = std::make_unique<SpreadAggregate>(params_, std::move(hot));
  steps.between = steps.first->bind({input});
  std::vector<data::Aggregate> settled;
  for (const auto& a : aggregates_) settled.push_back(a.settled());
  steps.last = std::make_unique<SettledAggregate>(key_, std::move(settled), steps.between, output_);
  return steps;
}

}  // namespace
}  // namespace throng::op

void register_aggregate(throng::graph::Registry& registry) { registry.add<throng::op::Aggregate, throng::op::AggregateOperator>(); }
