#include "operators/sequences/sequences.h"

#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

class SequencesOperator : public graph::KeyedOperator {
 public:
  explicit SequencesOperator(Sequences params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    inputs[0].at(params_.by);
    if (inputs[0].at("ts").type != Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(inputs[0].at("ts").type));
    data::Schema schema = inputs[0];
    schema.set({"sequence", Type::kInt64});
    schema.set({"position", Type::kInt64});
    schema.set({"gap", Type::kFloat64});
    return schema;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names{params_.by, "ts"};
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }
  graph::Names key() const override { return {params_.by}; }
  graph::Names order() const override { return {"ts"}; }

  data::Batch prepare(const data::Batch& batch) const override { return graph::rows_with(batch, {params_.by}, counters(), "rows_without_" + params_.by); }

  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    auto ts = rows.column("ts").values<int64_t>();
    data::Column sequence(Type::kInt64), position(Type::kInt64), gap(Type::kFloat64);
    std::vector<int64_t> kept;
    int64_t dropped = 0;
    for (size_t g = 0; g + 1 < starts.size(); ++g) {
      int64_t number = 0;
      for (int64_t begin = starts[g]; begin < starts[g + 1];) {
        int64_t end = begin + 1;
        while (end < starts[g + 1] && (params_.session_gap.microseconds == 0 || ts[size_t(end)] - ts[size_t(end - 1)] <= params_.session_gap.microseconds)) ++end;
        int64_t first = params_.max_length > 0 ? std::max(begin, end - params_.max_length) : begin;
        if (end - begin < params_.min_length) first = end;
        dropped += first - begin;
        for (int64_t r = first; r < end; ++r) {
          kept.push_back(r);
          sequence.append(number);
          position.append(r - first);
          gap.append(r == first ? 0.0 : double(ts[size_t(r)] - ts[size_t(r - 1)]) / 1e6);
        }
        if (first < end) ++number;
        begin = end;
      }
    }
    counters().add("rows_dropped", dropped);
    return rows.take(kept).with({"sequence", Type::kInt64}, std::move(sequence)).with({"position", Type::kInt64}, std::move(position)).with({"gap", Type::kFloat64}, std::move(gap));
  }

 private:
  Sequences params_;
};

}  // namespace
}  // namespace throng::op

void register_sequences(throng::graph::Registry& registry) { registry.add<throng::op::Sequences, throng::op::SequencesOperator>(); }
