#include "operators/aggregate/aggregate.h"

#include "framework/data/aggregation.h"
#include "framework/data/groups.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class AggregateOperator : public graph::KeyedOperator {
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
  graph::Names key() const override { return key_; }
  data::Schema prepared_schema(const data::Schema&) const override { return partial_; }

  data::Batch prepare(const data::Batch& batch) const override {
    std::vector<data::GroupKey> keys;
    for (const auto& key : key_) {
      const auto e = std::find_if(key_expressions_.begin(), key_expressions_.end(), [&](const auto& named) { return named.first == key; });
      if (e != key_expressions_.end()) keys.push_back(e->second.evaluate_key(batch));
      else keys.push_back({batch.column_ptr(size_t(batch.schema().find(key)))});
    }
    const auto groups = data::Groups::of(keys, batch.num_rows());
    const auto sizes = data::Groups::sizes(groups.of_row, groups.size());
    std::vector<data::Column> columns;
    for (const auto& key : keys) columns.push_back(key.take(groups.first_row));
    for (const auto& a : aggregates_) {
      auto accumulator = a.accumulator();
      accumulator->add(batch, groups.of_row, sizes);
      for (auto& column : accumulator->states(groups.size())) columns.push_back(std::move(column));
    }
    return data::Batch(partial_, std::move(columns), batch.origin);
  }

  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    return merge(rows, starts, output_, [](data::Accumulator& a, size_t num_groups, std::vector<data::Column>& columns) { columns.push_back(a.results(num_groups)); });
  }
  // Floats are summed from the first state on, so that a sum of the first ones may stand for them.
  bool combines() const override { return true; }
  data::Batch combine(const data::Batch& rows, std::span<const int64_t> starts) const override { return merge(rows, starts, partial_, take_states); }
  bool combines_unsorted() const override { return true; }
  data::Batch combine_unsorted(const data::Batch& rows, const data::Groups& groups) const override {
    return merge(rows, groups.of_row, groups.first_row, groups.size(), partial_, take_states);
  }

 private:
  static void take_states(data::Accumulator& a, size_t num_groups, std::vector<data::Column>& columns) {
    for (auto& column : a.states(num_groups)) columns.push_back(std::move(column));
  }

  template <class Take>
  data::Batch merge(const data::Batch& rows, std::span<const int64_t> starts, const data::Schema& schema, const Take& take) const {
    size_t num_groups = starts.size() - 1;
    if (key_.empty()) num_groups = rows.origin.partition == 0 ? 1 : 0;  // of no rows, too, there is one row of counts
    std::vector<uint32_t> group_of(size_t(rows.num_rows()));
    std::vector<int64_t> first;
    for (size_t g = 0; g + 1 < starts.size(); ++g) {
      if (!key_.empty()) first.push_back(starts[g]);
      for (int64_t r = starts[g]; r < starts[g + 1]; ++r) group_of[size_t(r)] = key_.empty() ? 0 : uint32_t(g);
    }
    return merge(rows, group_of, first, num_groups, schema, take);
  }
  template <class Take>
  data::Batch merge(const data::Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t> first, size_t num_groups, const data::Schema& schema, const Take& take) const {
    std::vector<data::Column> columns;
    for (const auto& name : key_) columns.push_back(rows.column(name).take(first));
    for (const auto& a : aggregates_) {
      auto accumulator = a.accumulator();
      if (num_groups > 0) accumulator->merge(rows, group_of, num_groups);
      take(*accumulator, num_groups, columns);
    }
    return data::Batch(schema, std::move(columns), rows.origin);
  }

  Aggregate params_;
  graph::Names key_;
  std::vector<std::pair<std::string, data::Expression>> key_expressions_;
  std::vector<data::Aggregate> aggregates_;
  data::Schema partial_, output_;
};

}  // namespace
}  // namespace throng::op

void register_aggregate(throng::graph::Registry& registry) { registry.add<throng::op::Aggregate, throng::op::AggregateOperator>(); }
