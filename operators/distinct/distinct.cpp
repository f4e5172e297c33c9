#include "operators/distinct/distinct.h"

#include "framework/data/groups.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class DistinctOperator : public graph::KeyedOperator {
 public:
  explicit DistinctOperator(Distinct params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    for (const auto& name : params_.on) inputs[0].at(name);
    key_ = params_.on.empty() ? inputs[0].names() : params_.on;
    return inputs[0];
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names& wanted) const override {
    graph::Names names = key_;
    names.insert(names.end(), wanted.begin(), wanted.end());
    return names;
  }
  graph::Names key() const override { return key_; }

  data::Batch prepare(const data::Batch& batch) const override { return kept(batch, data::Groups::of(batch, key_)); }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    std::vector<int64_t> kept;  // rows of a group come in the input's order
    for (size_t g = 0; g + 1 < starts.size(); ++g) kept.push_back(params_.keep == "first" ? starts[g] : starts[g + 1] - 1);
    return rows.take(kept);
  }
  bool combines() const override { return true; }
  data::Batch combine(const data::Batch& rows, std::span<const int64_t> starts) const override { return process(rows, starts); }
  bool combines_unsorted() const override { return true; }
  data::Batch combine_unsorted(const data::Batch& rows, const data::Groups& groups) const override { return kept(rows, groups); }

 private:
  data::Batch kept(const data::Batch& batch, const data::Groups& groups) const {
    if (params_.keep == "first") return batch.take(groups.first_row);
    std::vector<int64_t> last(groups.size());
    for (size_t r = 0; r < groups.of_row.size(); ++r) last[groups.of_row[r]] = int64_t(r);
    return batch.take(last);
  }

  Distinct params_;
  graph::Names key_;
};

}  // namespace
}  // namespace throng::op

void register_distinct(throng::graph::Registry& registry) { registry.add<throng::op::Distinct, throng::op::DistinctOperator>(); }
