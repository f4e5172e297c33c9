#include "operators/filter/filter.h"

#include "framework/data/expression.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class FilterOperator : public graph::MapOperator {
 public:
  explicit FilterOperator(Filter params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    condition_.emplace(params_.where, inputs[0]);
    if (condition_->type() != data::Type::kBool)
      throw job_error("'where' gives a {}; expected a condition", data::type_name(condition_->type()));
    return inputs[0];
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names& wanted) const override {
    auto names = condition_->columns();
    names.insert(names.end(), wanted.begin(), wanted.end());
    return names;
  }
  data::Batch map(const data::Batch& batch) const override {
    data::Batch kept = batch.filter(condition_->evaluate_filter(batch));
    counters().add("rows_dropped", batch.num_rows() - kept.num_rows());
    return kept;
  }
  bool may_keep(const data::StatisticsOf& statistics) const override { return condition_->may_hold(statistics); }
  void skip(int64_t rows) const override { counters().add("rows_dropped", rows), counters().add("rows_not_read", rows); }
  bool only_drops() const override { return true; }

 private:
  Filter params_;
  std::optional<data::Expression> condition_;
};

}  // namespace
}  // namespace throng::op

void register_filter(throng::graph::Registry& registry) { registry.add<throng::op::Filter, throng::op::FilterOperator>(); }
