#include "operators/sort/sort.h"

#include "framework/data/row_order.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class SortOperator : public graph::KeyedOperator {
 public:
  explicit SortOperator(Sort params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (params_.by.empty()) throw job_error("'by' is empty");
    key_.clear(), falling_.clear();
    for (const auto& item : params_.by) {
      const auto order = data::OrderBy::parse(item, inputs[0]);
      key_.push_back(order.column), falling_.push_back(order.falling);
    }
    return inputs[0];
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names& wanted) const override {
    graph::Names names = key_;
    names.insert(names.end(), wanted.begin(), wanted.end());
    return names;
  }
  Placement placement() const override { return Placement::kRange; }
  graph::Names key() const override { return key_; }
  std::vector<uint8_t> falling() const override { return falling_; }
  data::Batch process(const data::Batch& rows, std::span<const int64_t>) const override { return rows; }
  bool takes_portions() const override { return true; }

 private:
  Sort params_;
  graph::Names key_;
  std::vector<uint8_t> falling_;
};

}  // namespace
}  // namespace throng::op

void register_sort(throng::graph::Registry& registry) { registry.add<throng::op::Sort, throng::op::SortOperator>(); }
