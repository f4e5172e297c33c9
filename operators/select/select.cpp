#include "operators/select/select.h"

#include "framework/data/expression.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class SelectOperator : public graph::MapOperator {
 public:
  explicit SelectOperator(Select params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const data::Schema& input = inputs[0];
    expressions_.clear();
    schema_ = data::Schema();
    auto add = [&](data::Field field) {
      if (schema_.has(field.name)) throw job_error("column '{}' is selected twice", field.name);
      schema_.add(std::move(field));
    };
    for (const auto& name : params_.columns) add(input.at(name));
    for (const auto& [name, text] : params_.as) {
      expressions_.emplace_back(text, input);
      const auto& e = expressions_.back();
      std::string zone;
      for (const auto& column : e.columns())
        if (input.at(column).type == data::Type::kTimestamp) zone = input.at(column).time_zone;
      add({name, e.type(), e.type() == data::Type::kTimestamp ? zone : ""});
    }
    if (schema_.size() == 0) throw job_error("selects no column").with_hint("name them: columns: [user, ts]");
    return schema_;
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override {
    graph::Names names = params_.columns;
    for (const auto& e : expressions_)
      for (const auto& c : e.columns()) names.push_back(c);
    return names;
  }
  data::Batch map(const data::Batch& batch) const override {
    std::vector<data::ColumnPtr> columns;
    for (const auto& name : params_.columns) columns.push_back(batch.column_ptr(size_t(batch.schema().find(name))));
    for (const auto& e : expressions_) columns.push_back(std::make_shared<data::Column>(e.evaluate(batch)));
    return data::Batch(std::make_shared<data::Schema>(schema_), std::move(columns), batch.origin);
  }

 private:
  Select params_;
  data::Schema schema_;
  std::vector<data::Expression> expressions_;
};

}  // namespace
}  // namespace throng::op

void register_select(throng::graph::Registry& registry) { registry.add<throng::op::Select, throng::op::SelectOperator>(); }
