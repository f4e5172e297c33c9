#include "operators/union/union.h"

#include <algorithm>

#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class UnionOperator : public graph::CollectiveOperator {
 public:
  explicit UnionOperator(Union params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    output_ = data::Schema();
    for (size_t i = 0; i < inputs.size(); ++i)
      for (const auto& field : inputs[i].fields()) {
        size_t have = 0;
        for (const auto& other : inputs) {
          have += other.has(field.name);
          if (other.has(field.name) && other.at(field.name).type != field.type)
            throw job_error("column '{}' is {} in one input and {} in another", field.name, data::type_name(field.type), data::type_name(other.at(field.name).type))
                .with_hint("make them one type with derive");
        }
        if (have < inputs.size() && params_.columns == "same")
          throw job_error("column '{}' is in {} of {} inputs", field.name, have, inputs.size()).with_hint("set columns: all or columns: common");
        if ((have == inputs.size() || params_.columns == "all") && !output_.has(field.name)) output_.add(field);
      }
    if (output_.size() == 0) throw job_error("the inputs have no column in common");
    if (!params_.source.empty()) {
      if (output_.has(params_.source)) throw job_error("'source' names a column that is there: '{}'", params_.source);
      output_.add({params_.source, data::Type::kInt64});
    }
    return output_;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names&) const override {
    graph::Names names;
    for (const auto& name : output_.names())
      if (schema.has(name)) names.push_back(name);
    return names;
  }

  void run(graph::CollectiveContext& context) override {
    std::vector<std::pair<size_t, int64_t>> parts;  // input, partition
    for (size_t i = 0; i < context.num_inputs(); ++i)
      for (int64_t p = 0; p < context.num_partitions(i); ++p) parts.emplace_back(i, p);
    const int64_t n = int64_t(parts.size());
    auto& output = context.output("", output_, n);
    const int64_t first = data::first_partition(context.comm().rank(), context.comm().size(), n), end = data::first_partition(context.comm().rank() + 1, context.comm().size(), n);
    const int64_t group = context.pool().num_threads();
    for (int64_t at = first; at < end; at += group) {
      std::vector<data::Batch> results(static_cast<size_t>(std::min(group, end - at)));
      context.pool().parallel_for(results.size(), [&](size_t k) {
        auto [input, partition] = parts[size_t(at) + k];
        results[k] = as_output(context.read(input, partition), int64_t(input));
      });
      for (size_t k = 0; k < results.size(); ++k) output.write(at + int64_t(k), results[k]);
    }
  }

 private:
  data::Batch as_output(const data::Batch& batch, int64_t input) const {
    std::vector<data::Column> columns;
    for (const auto& field : output_.fields()) {
      data::Column c(field.type);
      if (int at = batch.schema().find(field.name); at >= 0) c = batch.column(size_t(at));
      else
        for (int64_t r = 0; r < batch.num_rows(); ++r) field.name == params_.source ? c.append(input) : c.append_null();
      columns.push_back(std::move(c));
    }
    return data::Batch(output_, std::move(columns), batch.origin);
  }

  Union params_;
  data::Schema output_;
};

}  // namespace
}  // namespace throng::op

void register_union(throng::graph::Registry& registry) { registry.add<throng::op::Union, throng::op::UnionOperator>(); }
