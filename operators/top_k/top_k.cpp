#include "operators/top_k/top_k.h"

#include "framework/data/groups.h"
#include "framework/data/row_order.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class TopKOperator : public graph::KeyedOperator {
 public:
  explicit TopKOperator(TopK params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (params_.order.empty()) throw job_error("'order' is empty");
    order_.clear();
    columns_.clear();
    falling_.assign(params_.by.size(), 0);
    for (const auto& name : params_.by) inputs[0].at(name);
    for (const auto& item : params_.order) {
      const auto order = data::OrderBy::parse(item, inputs[0]);
      order_.push_back(order.column), falling_.push_back(order.falling), columns_.push_back(order);
    }
    data::Schema schema = inputs[0];
    schema.set({"rank", data::Type::kInt64});
    return schema;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names = params_.by;
    names.insert(names.end(), order_.begin(), order_.end());
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }
  graph::Names key() const override { return params_.by; }
  graph::Names order() const override { return order_; }
  std::vector<uint8_t> falling() const override { return falling_; }

  data::Batch prepare(const data::Batch& batch) const override {
    const auto groups = data::Groups::of(batch, params_.by);
    std::vector<int64_t> taken(groups.size()), kept;
    for (int64_t r : data::ordered_rows(batch, columns_))
      if (taken[groups.of_row[size_t(r)]]++ < params_.k) kept.push_back(r);
    std::sort(kept.begin(), kept.end());  // as they stood: ties go by place
    return batch.take(kept);
  }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    std::vector<int64_t> kept;
    data::Column rank(data::Type::kInt64);
    for (size_t g = 0; g + 1 < starts.size(); ++g)
      for (int64_t r = starts[g]; r < std::min(starts[g + 1], starts[g] + params_.k); ++r) kept.push_back(r), rank.append(r - starts[g] + 1);
    return rows.take(kept).with({"rank", data::Type::kInt64}, std::move(rank));
  }
  bool combines() const override { return true; }
  data::Batch combine(const data::Batch& rows, std::span<const int64_t> starts) const override {
    std::vector<int64_t> kept;
    for (size_t g = 0; g + 1 < starts.size(); ++g)
      for (int64_t r = starts[g]; r < std::min(starts[g + 1], starts[g] + params_.k); ++r) kept.push_back(r);
    return rows.take(kept);
  }

 private:
  TopK params_;
  graph::Names order_;
  std::vector<uint8_t> falling_;
  std::vector<data::OrderBy> columns_;
};

}  // namespace
}  // namespace throng::op

void register_top_k(throng::graph::Registry& registry) { registry.add<throng::op::TopK, throng::op::TopKOperator>(); }
