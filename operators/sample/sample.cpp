#include "operators/sample/sample.h"

#include <algorithm>

#include "framework/base/hash.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

class SampleOperator : public graph::CollectiveOperator {
 public:
  explicit SampleOperator(Sample params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if ((params_.fraction > 0) == (params_.rows > 0)) throw job_error("expected either 'fraction' or 'rows' above 0");
    if (!params_.by.empty()) {
      if (params_.rows > 0) throw job_error("'by' goes with 'fraction'");
      inputs[0].at(params_.by);
    }
    return inputs[0];
  }

  void run(graph::CollectiveContext& context) override {
    const uint64_t limit = params_.rows > 0 ? smallest(context) : limit_of(params_.fraction);
    auto& output = context.output("", context.input_schema(0), context.num_partitions(0));
    graph::map_partitions(context, 0, {}, output, [&](const data::Batch& batch) {
      std::vector<uint8_t> keep(size_t(batch.num_rows()));
      std::vector<uint64_t> hashes;
      if (!params_.by.empty()) hashes = batch.hash_rows({params_.by}, seed);
      for (size_t r = 0; r < keep.size(); ++r) keep[r] = (hashes.empty() ? draw(batch.origin.partition, int64_t(r)) : mix64(hashes[r] ^ seed)) <= limit && limit > 0;
      data::Batch kept = batch.filter(keep);
      counters().add("rows_dropped", batch.num_rows() - kept.num_rows());
      return kept;
    });
  }

 private:
  static uint64_t limit_of(double fraction) { return fraction >= 1 ? UINT64_MAX : uint64_t(fraction * 0x1p64); }
  // A number for each row of the dataset; different rows have different ones, since mix64 is a bijection.
  uint64_t draw(int64_t partition, int64_t row) const { return mix64(mix64(seed) ^ (uint64_t(partition) << 40 | uint64_t(row))); }

  // Collective. The `rows`-th smallest draw: no rank needs to know more than its own `rows` smallest.
  uint64_t smallest(graph::CollectiveContext& context) {
    if (context.num_rows(0) <= params_.rows) return UINT64_MAX;
    std::vector<uint64_t> mine;
    const size_t wanted = size_t(params_.rows);
    auto cut = [&](std::vector<uint64_t>& all) {
      if (all.size() <= wanted) return;
      std::nth_element(all.begin(), all.begin() + ptrdiff_t(wanted) - 1, all.end());
      all.resize(wanted);
    };
    for (int64_t p = context.first_owned(0); p < context.end_owned(0); ++p) {
      for (int64_t r = 0; r < context.num_rows(0, p); ++r) mine.push_back(draw(p, r));
      if (mine.size() > 4 * wanted + (1 << 20)) cut(mine);
    }
    cut(mine);
    std::vector<uint64_t> all;
    for (const auto& text : context.comm().allgather(std::string(reinterpret_cast<const char*>(mine.data()), mine.size() * 8))) {
      size_t at = all.size();
      all.resize(at + text.size() / 8);
      std::memcpy(all.data() + at, text.data(), text.size());
    }
    cut(all);
    return *std::max_element(all.begin(), all.end());
  }

  Sample params_;
};

}  // namespace
}  // namespace throng::op

void register_sample(throng::graph::Registry& registry) { registry.add<throng::op::Sample, throng::op::SampleOperator>(); }
