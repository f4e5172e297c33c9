#include "operators/sessionize/sessionize.h"

#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

class SessionizeOperator : public graph::KeyedOperator {
 public:
  explicit SessionizeOperator(Sessionize params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto &owner = inputs[0].at(params_.by), &ts = inputs[0].at(params_.ts);
    if (ts.type != Type::kTimestamp) throw job_error("column '{}' is {}; expected timestamp", ts.name, data::type_name(ts.type));
    if (params_.summary)
      return output_ = data::Schema{owner, {"session", Type::kInt64}, {"session_start", Type::kTimestamp, ts.time_zone}, {"session_end", Type::kTimestamp, ts.time_zone},
                                    {"events", Type::kInt64}, {"seconds", Type::kFloat64}};
    output_ = inputs[0];
    output_.set({"session", Type::kInt64});
    output_.set({"session_start", Type::kTimestamp, ts.time_zone});
    output_.set({"session_position", Type::kInt64});
    return output_;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names{params_.by, params_.ts};
    for (const auto& name : wanted)
      if (schema.has(name) && !params_.summary) names.push_back(name);
    return names;
  }
  graph::Names key() const override { return {params_.by}; }
  graph::Names order() const override { return {params_.ts}; }
  data::Batch prepare(const data::Batch& batch) const override { return graph::rows_with(batch, {params_.by, params_.ts}, counters(), "rows_without_" + params_.by); }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    auto ts = rows.column(params_.ts).values<int64_t>();
    std::vector<int64_t> firsts;  // of each session
    data::Column session(Type::kInt64), start(Type::kTimestamp), position(Type::kInt64), end(Type::kTimestamp), events(Type::kInt64), seconds(Type::kFloat64);
    for (size_t g = 0; g + 1 < starts.size(); ++g) {
      int64_t number = 0;
      for (int64_t first = starts[g]; first < starts[g + 1]; ++number) {
        int64_t next = first + 1;
        while (next < starts[g + 1] && ts[size_t(next)] - ts[size_t(next - 1)] <= params_.gap.microseconds &&
               (params_.max_length.microseconds == 0 || ts[size_t(next)] - ts[size_t(first)] <= params_.max_length.microseconds))
          ++next;
        if (params_.summary) {
          firsts.push_back(first);
          session.append(number), start.append(ts[size_t(first)]), end.append(ts[size_t(next - 1)]), events.append(next - first);
          seconds.append(double(ts[size_t(next - 1)] - ts[size_t(first)]) / 1e6);
        } else {
          for (int64_t r = first; r < next; ++r) session.append(number), start.append(ts[size_t(first)]), position.append(r - first);
        }
        first = next;
      }
    }
    if (!params_.summary)
      return rows.with(output_.at("session"), std::move(session)).with(output_.at("session_start"), std::move(start)).with(output_.at("session_position"), std::move(position));
    std::vector<data::Column> columns;
    columns.push_back(rows.column(params_.by).take(firsts));
    for (auto* c : {&session, &start, &end, &events, &seconds}) columns.push_back(std::move(*c));
    return data::Batch(output_, std::move(columns), rows.origin);
  }

 private:
  Sessionize params_;
  data::Schema output_;
};

}  // namespace
}  // namespace throng::op

void register_sessionize(throng::graph::Registry& registry) { registry.add<throng::op::Sessionize, throng::op::SessionizeOperator>(); }
