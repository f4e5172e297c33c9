#include "operators/retention/retention.h"

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/data/expression.h"
#include "framework/data/time.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

class RetentionOperator : public graph::CollectiveOperator {
 public:
  explicit RetentionOperator(Retention params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& input = inputs[0];
    input.at(params_.by);
    const auto& ts = input.at(params_.ts);
    if (ts.type != Type::kTimestamp) throw job_error("column '{}' is {}; expected timestamp", ts.name, data::type_name(ts.type));
    if (params_.period.microseconds <= 0) throw job_error("'period' is 0; expected a duration such as 7d");
    zone_ = data::TimeZone(ts.time_zone);
    start_.emplace(params_.start, input), active_.emplace(params_.active, input);
    for (const auto* e : {&*start_, &*active_})
      if (e->type() != Type::kBool) throw job_error("'start' and 'active' are conditions, not a {}", data::type_name(e->type()));
    return output_ = {{"cohort", Type::kTimestamp, ts.time_zone}, {"cohort_users", Type::kInt64}, {"period", Type::kInt64}, {"users", Type::kInt64}, {"share", Type::kFloat64}};
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override {
    graph::Names names{params_.by, params_.ts};
    for (const auto* e : {&*start_, &*active_})
      for (const auto& name : e->columns()) names.push_back(name);
    return names;
  }
  Contract contract(size_t) const override { return {{params_.by}, {params_.ts}, {}, {}}; }

  void run(graph::CollectiveContext& context) override {
    std::map<int64_t, int64_t> sizes;                           // cohort -> users
    std::map<std::pair<int64_t, int64_t>, int64_t> users;       // cohort, period -> users
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      auto starts = start_->evaluate_filter(batch), active = active_->evaluate_filter(batch);
      const auto &by = batch.column(params_.by), &times = batch.column(params_.ts);
      auto ts = times.values<int64_t>();
      std::optional<int64_t> cohort;
      std::set<int64_t> periods;
      auto end_user = [&] {
        if (cohort) {
          std::lock_guard lock(mutex);
          ++sizes[*cohort];
          for (int64_t p : periods) ++users[{*cohort, p}];
        }
        cohort.reset(), periods.clear();
      };
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        if (r > 0 && data::Column::compare(by, r - 1, by, r) != 0) end_user();
        if (!by.is_valid(r) || !times.is_valid(r)) continue;
        if (!cohort && starts[size_t(r)]) cohort = zone_.window_start(ts[size_t(r)], params_.period.microseconds);
        if (cohort && active[size_t(r)]) periods.insert(periods_between(*cohort, ts[size_t(r)]));
      }
      end_user();
    });
    json mine{{"sizes", json::array()}, {"users", json::array()}};
    for (auto [cohort, n] : sizes) mine["sizes"].push_back({cohort, n});
    for (auto [key, n] : users) mine["users"].push_back({key.first, key.second, n});
    auto& output = context.output("", output_, 1);
    auto all = context.comm().gather(mine.dump());
    if (context.comm().rank() != 0) return;
    sizes.clear(), users.clear();
    int64_t last = INT64_MIN;  // the newest period in which anybody began or was active
    for (const auto& text : all) {
      json part = json::parse(text);
      for (const auto& e : part["sizes"]) {
        sizes[e[0]] += e[1].get<int64_t>();
        last = std::max(last, e[0].get<int64_t>());
      }
      for (const auto& e : part["users"]) {
        users[{e[0], e[1]}] += e[2].get<int64_t>();
        last = std::max(last, e[0].get<int64_t>() + e[1].get<int64_t>() * params_.period.microseconds);
      }
    }
    data::Column cohort(Type::kTimestamp), size(Type::kInt64), period(Type::kInt64), count(Type::kInt64), share(Type::kFloat64);
    for (auto [c, n] : sizes) {
      // Every period up to the newest one, also those without anybody of this cohort.
      int64_t most = (last - c + params_.period.microseconds / 2) / params_.period.microseconds;
      if (params_.periods > 0) most = std::min(most, params_.periods);
      for (int64_t p = 0; p <= most; ++p) {
        auto it = users.find({c, p});
        const int64_t back = it == users.end() ? 0 : it->second;
        cohort.append(c), size.append(n), period.append(p), count.append(back), share.append(double(back) / double(n));
      }
    }
    std::vector<data::Column> columns;
    for (auto* c : {&cohort, &size, &period, &count, &share}) columns.push_back(std::move(*c));
    output.write(0, data::Batch(output_, std::move(columns)));
  }

 private:
  // Whole periods from the cohort's begin; rounded, since days with a change of clocks differ in length.
  int64_t periods_between(int64_t cohort, int64_t ts) const {
    const int64_t width = params_.period.microseconds;
    return (zone_.window_start(ts, width) - cohort + width / 2) / width;
  }

  Retention params_;
  data::Schema output_;
  data::TimeZone zone_;
  std::optional<data::Expression> start_, active_;
};

}  // namespace
}  // namespace throng::op

void register_retention(throng::graph::Registry& registry) { registry.add<throng::op::Retention, throng::op::RetentionOperator>(); }
