#include "operators/pivot/pivot.h"

#include "framework/data/aggregation.h"
#include "framework/data/groups.h"
#include "framework/data/vocabulary.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

class PivotOperator : public graph::KeyedOperator {
 public:
  explicit PivotOperator(Pivot params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& input = inputs[0];
    if (params_.index.empty() || params_.values.empty()) throw job_error("'index' and 'values' must not be empty");
    const auto& column = input.at(params_.column);
    if (column.type != Type::kString && column.type != Type::kBool && !is_integer(column.type))
      throw job_error("column '{}' is {}; expected text, whole numbers or bool", column.name, data::type_name(column.type));
    cells_.clear(), cell_of_.clear();
    output_ = data::Schema();
    for (const auto& name : params_.index) output_.add(input.at(name));
    partial_ = output_;
    auto add_cell = [&](const std::string& name) {
      if (output_.has(name)) throw job_error("two columns would be named '{}'", name).with_hint("set a 'prefix'");
      cells_.emplace_back(name, params_.aggregate, input);
      output_.add(cells_.back().result());
    };
    for (const auto& value : params_.values) {
      add_cell(params_.prefix + value);
      cell_of_.emplace(value, cells_.size() - 1);
    }
    if (!params_.other.empty()) add_cell(params_.other);
    for (const auto& cell : cells_)
      for (const auto& field : cell.state()) partial_.add(field);
    return output_;
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override {
    graph::Names names = params_.index;
    names.push_back(params_.column);
    for (const auto& name : cells_.at(0).columns()) names.push_back(name);
    return names;
  }
  graph::Names key() const override { return params_.index; }
  data::Schema prepared_schema(const data::Schema&) const override { return partial_; }

  data::Batch prepare(const data::Batch& batch) const override {
    const auto groups = data::Groups::of(batch, params_.index);
    std::vector<std::vector<int64_t>> rows(cells_.size());
    const auto& column = batch.column(params_.column);
    for (int64_t r = 0; r < batch.num_rows(); ++r)
      if (int cell = cell_at(column, r); cell >= 0) rows[size_t(cell)].push_back(r);
    data::Batch keys = batch.take(groups.first_row).project(params_.index);
    std::vector<data::Column> columns;
    for (const auto& name : params_.index) columns.push_back(keys.column(name));
    for (size_t k = 0; k < cells_.size(); ++k) {
      std::vector<uint32_t> group_of;
      for (int64_t r : rows[k]) group_of.push_back(groups.of_row[size_t(r)]);
      auto accumulator = cells_[k].accumulator();
      accumulator->add(batch.take(rows[k]), group_of, data::Groups::sizes(group_of, groups.size()));
      for (auto& c : accumulator->states(groups.size())) columns.push_back(std::move(c));
    }
    return data::Batch(partial_, std::move(columns), batch.origin);
  }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    std::vector<uint32_t> group_of(size_t(rows.num_rows()));
    for (size_t g = 0; g + 1 < starts.size(); ++g) std::fill(group_of.begin() + starts[g], group_of.begin() + starts[g + 1], uint32_t(g));
    data::Batch keys = rows.take(starts.first(starts.size() - 1)).project(params_.index);
    std::vector<data::Column> columns;
    for (const auto& name : params_.index) columns.push_back(keys.column(name));
    for (const auto& cell : cells_) {
      auto accumulator = cell.accumulator();
      accumulator->merge(rows, group_of, starts.size() - 1);
      columns.push_back(accumulator->results(starts.size() - 1));
    }
    return data::Batch(output_, std::move(columns), rows.origin);
  }

 private:
  int cell_at(const data::Column& column, int64_t row) const {
    if (!column.is_valid(row)) return params_.other.empty() ? -1 : int(cells_.size()) - 1;
    auto find = [&](std::string_view text) {
      auto it = cell_of_.find(text);
      return it != cell_of_.end() ? int(it->second) : params_.other.empty() ? -1 : int(cells_.size()) - 1;
    };
    if (column.type() == Type::kString) return find(column.string(row));
    return find(column.type() == Type::kBool ? (column.as_int64(row) ? "true" : "false") : std::to_string(column.as_int64(row)));
  }

  Pivot params_;
  std::vector<data::Aggregate> cells_;
  data::TextMap<size_t> cell_of_;
  data::Schema partial_, output_;
};

}  // namespace
}  // namespace throng::op

void register_pivot(throng::graph::Registry& registry) { registry.add<throng::op::Pivot, throng::op::PivotOperator>(); }
