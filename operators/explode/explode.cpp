#include "operators/explode/explode.h"

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
    std::vector<int64_t> rows;
    data::Column element(type_), position(Type::kInt64);
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      const int64_t n = list.list_size(r);
      for (int64_t i = 0; i < n; ++i) {
        rows.push_back(r), position.append(i);
        if (type_ == Type::kString) element.append_string(list.list_string(r, i));
        else if (type_ == Type::kInt32) element.append(list.list<int32_t>(r)[size_t(i)]);
        else element.append(list.list<float>(r)[size_t(i)]);
      }
      if (n == 0 && params_.outer) rows.push_back(r), element.append_null(), position.append_null();
    }
    data::Batch out = batch.take(rows).with({name_, type_}, std::move(element));
    return params_.position.empty() ? out : out.with({params_.position, Type::kInt64}, std::move(position));
  }

 private:
  Explode params_;
  std::string name_;
  Type type_ = Type::kString;
};

}  // namespace
}  // namespace throng::op

void register_explode(throng::graph::Registry& registry) { registry.add<throng::op::Explode, throng::op::ExplodeOperator>(); }
