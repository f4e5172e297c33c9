#include "operators/funnel/funnel.h"

#include <mutex>
#include <nlohmann/json.hpp>

#include "framework/data/expression.h"
#include "framework/data/sketches.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

class FunnelOperator : public graph::CollectiveOperator {
 public:
  explicit FunnelOperator(Funnel params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& input = inputs[0];
    input.at(params_.by);
    if (input.at(params_.ts).type != Type::kTimestamp) throw job_error("column '{}' is {}; expected timestamp", params_.ts, data::type_name(input.at(params_.ts).type));
    if (params_.steps.size() < 2) throw job_error("'steps' has {}; expected at least 2", params_.steps.size());
    conditions_.clear();
    for (const auto& [name, text] : params_.steps) {
      conditions_.emplace_back(text, input);
      if (conditions_.back().type() != Type::kBool) throw job_error("step '{}' gives a {}; expected a condition", name, data::type_name(conditions_.back().type()));
    }
    return output_ = {{"step", Type::kInt64}, {"name", Type::kString}, {"users", Type::kInt64}, {"share", Type::kFloat64}, {"share_of_previous", Type::kFloat64}, {"median_seconds", Type::kFloat64}};
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override {
    graph::Names names{params_.by, params_.ts};
    for (const auto& c : conditions_)
      for (const auto& name : c.columns()) names.push_back(name);
    return names;
  }
  Contract contract(size_t) const override { return {{params_.by}, {params_.ts}, {}, {}}; }

  void run(graph::CollectiveContext& context) override {
    const size_t n = conditions_.size();
    std::vector<int64_t> users(n);
    data::CompressedEntries<data::DdSketch::Entry> seconds;  // group: step
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      std::vector<std::vector<uint8_t>> holds;
      for (const auto& c : conditions_) holds.push_back(c.evaluate_filter(batch));
      const auto &by = batch.column(params_.by), &times = batch.column(params_.ts);
      auto ts = times.values<int64_t>();
      std::vector<int64_t> began(n), reached(n);  // of the newest chain that came to a step: its begin; and of the user's first: its seconds
      std::vector<uint8_t> open(n), came(n);
      auto end_user = [&] {
        std::lock_guard lock(mutex);
        for (size_t k = 0; k < n && came[k]; ++k) ++users[k], seconds.add({uint32_t(k), data::DdSketch::bin(double(reached[k]) / 1e6), 1});
        std::fill(open.begin(), open.end(), 0), std::fill(came.begin(), came.end(), 0);
      };
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        if (r > 0 && data::Column::compare(by, r - 1, by, r) != 0) end_user();
        if (!by.is_valid(r) || !times.is_valid(r)) continue;
        const int64_t now = ts[size_t(r)];
        for (size_t k = n; k-- > 0;) {  // the last step first: an event takes each chain one step on, and may begin another
          if (!holds[k][size_t(r)]) continue;
          if (k > 0 && (!open[k - 1] || (params_.within.microseconds > 0 && now - began[k - 1] > params_.within.microseconds))) continue;
          began[k] = k == 0 ? now : began[k - 1];
          open[k] = 1;
          if (!came[k]) came[k] = 1, reached[k] = now - began[k];
        }
      }
      end_user();
    });
    seconds.compress();
    json mine{{"users", users}, {"bins", json::array()}};
    for (const auto& e : seconds.list) mine["bins"].push_back({e.group, e.bin, e.count});
    auto& output = context.output("", output_, 1);
    auto all = context.comm().gather(mine.dump());
    if (context.comm().rank() != 0) return;
    users.assign(n, 0), seconds = {};
    for (const auto& text : all) {
      json part = json::parse(text);
      for (size_t k = 0; k < n; ++k) users[k] += part["users"][k].get<int64_t>();
      for (const auto& e : part["bins"]) seconds.add({e[0], e[1], e[2]});
    }
    write(users, seconds, output);
  }

 private:
  void write(const std::vector<int64_t>& users, data::CompressedEntries<data::DdSketch::Entry>& seconds, data::DatasetWriter& output) const {
    data::Column step(Type::kInt64), name(Type::kString), count(Type::kInt64), share(Type::kFloat64), previous(Type::kFloat64), median(Type::kFloat64);
    for (size_t k = 0; k < users.size(); ++k) {
      step.append(int64_t(k + 1)), name.append_string(params_.steps[k].first), count.append(users[k]);
      users[0] ? share.append(double(users[k]) / double(users[0])) : share.append_null();
      const int64_t before = k == 0 ? users[0] : users[k - 1];
      before ? previous.append(double(users[k]) / double(before)) : previous.append_null();
    }
    seconds.for_each_group(users.size(), [&](std::span<const data::DdSketch::Entry> set) { set.empty() ? median.append_null() : median.append(data::DdSketch::quantile(set, 0.5)); });
    std::vector<data::Column> columns;
    for (auto* c : {&step, &name, &count, &share, &previous, &median}) columns.push_back(std::move(*c));
    output.write(0, data::Batch(output_, std::move(columns)));
  }

  Funnel params_;
  data::Schema output_;
  std::vector<data::Expression> conditions_;
};

}  // namespace
}  // namespace throng::op

void register_funnel(throng::graph::Registry& registry) { registry.add<throng::op::Funnel, throng::op::FunnelOperator>(); }
