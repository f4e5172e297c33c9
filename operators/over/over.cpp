#include "operators/over/over.h"

#include <set>

#include "framework/data/row_order.h"
#include "framework/graph/registry.h"
#include "operators/over/window_functions.h"

namespace throng::op {
namespace {

class OverOperator : public graph::KeyedOperator {
 public:
  explicit OverOperator(Over params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const data::Schema& input = inputs[0];
    if (params_.columns.empty()) throw job_error("'columns' is empty").with_hint("such as columns: { before: lag(action) }");
    frame_ = Frame::parse(params_.rows);
    order_.clear(), functions_.clear();
    falling_.assign(params_.by.size(), 0);
    std::set<std::string> named;
    auto once = [&](const std::string& name) { if (!named.insert(name).second) throw job_error("'{}' is named twice", name); };
    for (const auto& name : params_.by) {
      const auto& field = input.at(name);
      if (is_list(field.type)) throw job_error("column '{}' is {}; rows cannot be grouped by it", name, data::type_name(field.type));
      once(name);
    }
    for (const auto& item : params_.order) {
      const auto order = data::OrderBy::parse(item, input);
      once(order.column);
      order_.push_back(order.column), falling_.push_back(order.falling);
    }
    data::Schema schema = input;
    for (const auto& [name, text] : params_.columns) {
      if (schema.has(name)) throw job_error("'columns' names '{}', but there is a column of that name", name).with_hint("choose another name; drop the old column with select");
      functions_.emplace_back(name, text, input);
      schema.add(functions_.back().result());
    }
    return schema;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names = params_.by;
    names.insert(names.end(), order_.begin(), order_.end());
    for (const auto& f : functions_)
      for (const auto& column : f.columns()) names.push_back(column);
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }
  graph::Names key() const override { return params_.by; }
  graph::Names order() const override { return order_; }
  std::vector<uint8_t> falling() const override { return falling_; }

  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    OrderedRows ordered{rows, starts, {}, {}, {}};
    const bool frames = std::any_of(functions_.begin(), functions_.end(), [](const auto& f) { return f.needs_frames(); });
    const bool ties = std::any_of(functions_.begin(), functions_.end(), [](const auto& f) { return f.needs_ties(); });
    if (ties || (frames && frame_.with_ties)) ordered.ties = ties_of(rows, starts);
    if (frames) ordered.set_frames(frame_);
    data::Batch out = rows;
    for (const auto& f : functions_) out = out.with(f.result(), f.evaluate(ordered));
    return out;
  }

 private:
  std::vector<int64_t> ties_of(const data::Batch& rows, std::span<const int64_t> starts) const {
    if (order_.empty()) return {starts.begin(), starts.end()};
    graph::Names names = params_.by;
    names.insert(names.end(), order_.begin(), order_.end());
    return data::group_starts(rows, names);
  }

  Over params_;
  graph::Names order_;
  std::vector<uint8_t> falling_;
  Frame frame_;
  std::vector<WindowFunction> functions_;
};

}  // namespace
}  // namespace throng::op

void register_over(throng::graph::Registry& registry) { registry.add<throng::op::Over, throng::op::OverOperator>(); }
