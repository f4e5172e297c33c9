#include "operators/limit/limit.h"

#include <algorithm>

#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class LimitOperator : public graph::CollectiveOperator {
 public:
  explicit LimitOperator(Limit params) : params_(std::move(params)) {}
  data::Schema bind(const std::vector<data::Schema>& inputs) override { return inputs[0]; }

  void run(graph::CollectiveContext& context) override {
    const int64_t partitions = context.num_partitions(0);
    auto& output = context.output("", context.input_schema(0), partitions);
    const int64_t offset = std::min(params_.offset, context.num_rows(0)), last = offset + std::min(params_.rows, context.num_rows(0) - offset);
    int64_t at = 0;  // rows of the partitions before
    for (int64_t p = 0; p < partitions; ++p) {
      const int64_t n = context.num_rows(0, p);
      const int64_t first = std::clamp(offset - at, int64_t{0}, n), end = std::clamp(last - at, int64_t{0}, n);
      at += n;
      if (first < end && p >= context.first_owned(0) && p < context.end_owned(0)) output.write(p, context.read(0, p).slice(first, end - first));
      if (at >= last) break;
    }
  }

 private:
  Limit params_;
};

}  // namespace
}  // namespace throng::op

void register_limit(throng::graph::Registry& registry) { registry.add<throng::op::Limit, throng::op::LimitOperator>(); }
