#include "operators/window/window.h"

#include <algorithm>

#include "framework/data/time.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

data::Schema with_window(const Window& params, const data::Schema& input) {
  const auto& ts = input.at(params.ts);
  if (ts.type != Type::kTimestamp) throw job_error("column '{}' is {}; expected timestamp", ts.name, data::type_name(ts.type));
  data::Schema schema = input;
  schema.set({"window_start", Type::kTimestamp, ts.time_zone});
  schema.set({"window_end", Type::kTimestamp, ts.time_zone});
  return schema;
}

data::Batch with_window(const data::Batch& batch, const data::Schema& schema, data::Column start, data::Column end) {
  return batch.with(schema.at("window_start"), std::move(start)).with(schema.at("window_end"), std::move(end));
}

class FixedWindows : public graph::MapOperator {
 public:
  explicit FixedWindows(Window params) : params_(std::move(params)) {}
  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (params_.size.microseconds <= 0) throw job_error("'size' is 0; expected a duration such as 1h");
    slide_ = params_.kind == "sliding" ? params_.slide.microseconds : params_.size.microseconds;
    if (slide_ <= 0 || params_.size.microseconds % slide_ != 0)
      throw job_error("'slide' is {}; expected a duration that divides 'size' ({})", format_duration(params_.slide), format_duration(params_.size));
    schema_ = with_window(params_, inputs[0]);
    zone_ = data::TimeZone(inputs[0].at(params_.ts).time_zone);
    return schema_;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names{params_.ts};
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }
  data::Batch map(const data::Batch& batch) const override {
    const auto& times = batch.column(params_.ts);
    auto ts = times.values<int64_t>();
    std::vector<int64_t> rows;
    data::Column start(Type::kTimestamp), end(Type::kTimestamp);
    const size_t held = size_t(params_.size.microseconds / slide_);
    std::vector<int64_t> slots;
    int64_t without = 0;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (!times.is_valid(r)) {
        ++without;
        continue;
      }
      // The slots whose windows hold the row, then those in which they end; by the zone's own slots, since days differ in length.
      slots.assign(1, zone_.window_start(ts[size_t(r)], slide_));
      while (slots.size() < held) slots.push_back(zone_.window_start(slots.back() - 1, slide_));
      std::reverse(slots.begin(), slots.end());
      while (slots.size() < 2 * held) slots.push_back(slot_after(slots.back()));
      for (size_t k = 0; k < held; ++k) rows.push_back(r), start.append(slots[k]), end.append(slots[k + held]);
    }
    counters().add("rows_without_" + params_.ts, without);
    return with_window(batch.take(rows), schema_, std::move(start), std::move(end));
  }

 private:
  // A slot may be shorter than `slide`, before midnight, and at a change of clocks longer, too.
  int64_t slot_after(int64_t start) const {
    const int64_t next = zone_.window_start(start + slide_, slide_);
    return next > start ? next : zone_.window_start(start + slide_ + slide_ / 2, slide_);
  }
  Window params_;
  int64_t slide_ = 0;
  data::Schema schema_;
  data::TimeZone zone_;
};

class SessionWindows : public graph::KeyedOperator {
 public:
  explicit SessionWindows(Window params) : params_(std::move(params)) {}
  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    inputs[0].at(params_.by);
    return schema_ = with_window(params_, inputs[0]);
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names{params_.by, params_.ts};
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }
  graph::Names key() const override { return {params_.by}; }
  graph::Names order() const override { return {params_.ts}; }
  data::Batch prepare(const data::Batch& batch) const override { return graph::rows_with(batch, {params_.by, params_.ts}, counters(), "rows_without_" + params_.by); }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    auto ts = rows.column(params_.ts).values<int64_t>();
    data::Column start(Type::kTimestamp), end(Type::kTimestamp);
    for (size_t g = 0; g + 1 < starts.size(); ++g)
      for (int64_t first = starts[g]; first < starts[g + 1];) {
        int64_t next = first + 1;
        while (next < starts[g + 1] && ts[size_t(next)] - ts[size_t(next - 1)] <= params_.gap.microseconds) ++next;
        for (int64_t r = first; r < next; ++r) start.append(ts[size_t(first)]), end.append(ts[size_t(next - 1)] + params_.gap.microseconds);
        first = next;
      }
    return with_window(rows, schema_, std::move(start), std::move(end));
  }

 private:
  Window params_;
  data::Schema schema_;
};

}  // namespace
}  // namespace throng::op

void register_window(throng::graph::Registry& registry) {
  using namespace throng::op;  // NOLINT
  registry.add_variants<Window>(throng::graph::Shape::kMap, [](Window params) -> std::unique_ptr<throng::graph::Operator> {
    if (params.kind == "session") return std::make_unique<SessionWindows>(std::move(params));
    return std::make_unique<FixedWindows>(std::move(params));
  });
}
