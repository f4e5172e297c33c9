#include "operators/derive/derive.h"

#include "framework/data/expression.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class DeriveOperator : public graph::MapOperator {
 public:
  explicit DeriveOperator(Derive params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (params_.columns.empty()) throw job_error("'columns' is empty");
    data::Schema schema = inputs[0];
    expressions_.clear();
    for (const auto& [name, text] : params_.columns) {
      expressions_.emplace_back(text, schema);
      data::Type type = expressions_.back().type();
      std::string zone;
      for (const auto& column : expressions_.back().columns())
        if (schema.at(column).type == data::Type::kTimestamp) zone = schema.at(column).time_zone;
      schema.set({name, type, type == data::Type::kTimestamp ? zone : ""});
    }
    schema_ = schema;
    return schema;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    // An expression is evaluated in any case, so its columns are needed.
    graph::Names names;
    for (const auto& e : expressions_)
      for (const auto& c : e.columns()) names.push_back(c);
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }
  data::Batch map(const data::Batch& batch) const override {
    data::Batch out = batch;
    for (size_t i = 0; i < expressions_.size(); ++i)
      out = out.with(schema_.at(params_.columns[i].first), expressions_[i].evaluate(out));
    return out;
  }

 private:
  Derive params_;
  data::Schema schema_;
  std::vector<data::Expression> expressions_;
};

}  // namespace
}  // namespace throng::op

void register_derive(throng::graph::Registry& registry) { registry.add<throng::op::Derive, throng::op::DeriveOperator>(); }
