#include "operators/explode/explode.h"

#include <algorithm>

#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

class ExplodeOperator : public graph::MapOperator {
 public:
  explicit ExplodeOperator(Explode params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& list = inputs[0].at(params_.column);
    if (!is_list(list.type)) throw job_error("column '{}' is {}; expected a list", list.name, data::type_name(list.type));
    name_ = params_.as.empty() ? params_.column : params_.as;
    type_ = list.type == Type::kListString ? Type::kString : list.type == Type::kListInt32 ? Type::kInt32 : Type::kFloat32;
    data::Schema schema = inputs[0];
    schema.set({name_, type_});
    if (!params_.position.empty()) {
      if (params_.position == name_) throw job_error("'position' and 'as' name the same column");
      schema.set({params_.position, Type::kInt64});
    }
    return schema;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names{params_.column};
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }
  data::Batch map(const data::Batch& batch) const override {
    const auto& list = batch.column(params_.column);
    // The other columns, as far as anyone reads them: a list would be copied for each of its elements.
    graph::Names kept;
    for (const auto& name : batch.schema().names())
      if (name != name_ && name != params_.position && (wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end())) kept.push_back(name);
    std::vector<int64_t> rows;
    data::Column position(Type::kInt64);
    bool empty_ones = false;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      const int64_t n = list.list_size(r);
      empty_ones = empty_ones || n == 0;
      if (!kept.empty()) rows.insert(rows.end(), size_t(n == 0 && params_.outer ? 1 : n), r);
      if (params_.position.empty()) continue;
      for (int64_t i = 0; i < n; ++i) position.append(i);
      if (n == 0 && params_.outer) position.append_null();
    }
    data::Column all = list.elements();
    data::Column element(type_);
    if (empty_ones && params_.outer) {
      int64_t at = 0;
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        const int64_t n = list.list_size(r);
        n == 0 ? element.append_null() : element.append_slice(all, at, n);
        at += n;
      }
    } else {
      element = std::move(all);
    }
    data::Schema schema;
    std::vector<data::Column> columns;
    for (const auto& name : kept) schema.add(batch.schema().at(name)), columns.push_back(batch.column(name).take(rows));
    schema.add({name_, type_}), columns.push_back(std::move(element));
    if (!params_.position.empty()) schema.add({params_.position, Type::kInt64}), columns.push_back(std::move(position));
    return data::Batch(std::move(schema), std::move(columns), batch.origin);
  }

 private:
  Explode params_;
  std::string name_;
  Type type_ = Type::kString;
};

}  // namespace
}  // namespace throng::op

void register_explode(throng::graph::Registry& registry) { registry.add<throng::op::Explode, throng::op::ExplodeOperator>(); }
