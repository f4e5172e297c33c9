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
    std::shared_ptr<void> carry;
    return process_portion(rows, starts, false, carry);
  }
  bool takes_portions() const override { return true; }
  data::Batch process_portion(const data::Batch& rows, std::span<const int64_t> starts, bool unfinished, std::shared_ptr<void>& carry) const override {
    auto ts = rows.column(params_.ts).values<int64_t>();
    data::Column session(Type::kInt64), start(Type::kTimestamp), position(Type::kInt64), end(Type::kTimestamp), events(Type::kInt64), seconds(Type::kFloat64);
    std::vector<int64_t> owners;  // a row of each session's user
    for (size_t g = 0; g + 1 < starts.size(); ++g) {
      Open open;
      if (g == 0 && carry) open = *std::static_pointer_cast<Open>(carry);
      carry.reset();
      auto close = [&] {
        if (!params_.summary || open.rows == 0) return;
        owners.push_back(starts[g]);
        session.append(open.number), start.append(open.first), end.append(open.last), events.append(open.rows);
        seconds.append(double(open.last - open.first) / 1e6);
      };
      for (int64_t r = starts[g]; r < starts[g + 1]; ++r) {
        const int64_t t = ts[size_t(r)];
        if (open.rows > 0 && (t - open.last > params_.gap.microseconds || (params_.max_length.microseconds > 0 && t - open.first > params_.max_length.microseconds))) {
          close();
          open = {open.number + 1};
        }
        if (open.rows == 0) open.first = t;
        if (!params_.summary) session.append(open.number), start.append(open.first), position.append(open.rows);
        open.last = t;
        ++open.rows;
      }
      if (unfinished && g + 2 == starts.size()) carry = std::make_shared<Open>(open);
      else close();
    }
    if (!params_.summary)
      return rows.with(output_.at("session"), std::move(session)).with(output_.at("session_start"), std::move(start)).with(output_.at("session_position"), std::move(position));
    std::vector<data::Column> columns;
    columns.push_back(rows.column(params_.by).take(owners));
    for (auto* c : {&session, &start, &end, &events, &seconds}) columns.push_back(std::move(*c));
    return data::Batch(output_, std::move(columns), rows.origin);
  }

 private:
  struct Open {  // the session at hand
    int64_t number = 0, first = 0, last = 0, rows = 0;
  };
  Sessionize params_;
  data::Schema output_;
};

}  // namespace
}  // namespace throng::op

void register_sessionize(throng::graph::Registry& registry) { registry.add<throng::op::Sessionize, throng::op::SessionizeOperator>(); }
