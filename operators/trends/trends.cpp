#include "operators/trends/trends.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/hash.h"
#include "framework/data/time.h"
#include "framework/data/vocabulary.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

struct Point {
  int64_t window = 0, count = 0, users = 0;
  double growth = 0, z = 0, mean = 0;
  bool has_history = false;
  int64_t windows_before = 0;  // of the data, not only of the key
};

struct Riser {
  std::string key;
  Point best;
  int64_t total = 0;
};

bool rises_more(const Riser& a, const Riser& b) {
  if (a.best.z != b.best.z) return a.best.z > b.best.z;
  return a.key != b.key ? a.key < b.key : a.best.window < b.best.window;
}

class TrendsOperator : public graph::CollectiveOperator {
 public:
  explicit TrendsOperator(Trends params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const data::Schema& input = inputs[0];
    if (input.at("ts").type != Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(input.at("ts").type));
    by_ = params_.by;
    for (const char* choice : {"tokens", "item", "action"})
      if (by_.empty() && input.has(choice)) by_ = choice;
    if (by_.empty()) throw job_error("no column to count by").with_hint("name one: by: COLUMN");
    Type type = input.at(by_).type;
    if (type == Type::kListInt32 || type == Type::kListFloat32 || is_float(type))
      throw job_error("column '{}' is {}; it cannot be a key", by_, data::type_name(type));
    if (params_.window.microseconds <= 0) throw job_error("'window' is 0; expected a duration such as 1h or 1d");
    has_user_ = input.has(params_.user);
    zone_name_ = input.at("ts").time_zone;
    zone_ = data::TimeZone(zone_name_);
    return {{"key", Type::kString}, {"window", Type::kTimestamp, zone_name_}, {"count", Type::kInt64},
            {"users", Type::kInt64}, {"growth", Type::kFloat64},              {"z", Type::kFloat64}};
  }
  std::map<std::string, data::Schema> side_outputs() const override {
    return {{"risers", data::Schema{{"key", Type::kString}, {"window", Type::kTimestamp, zone_name_}, {"count", Type::kInt64},
                                    {"users", Type::kInt64}, {"mean_before", Type::kFloat64}, {"z", Type::kFloat64}, {"total", Type::kInt64}}}};
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override { return {"ts", by_, params_.user}; }

  // Rows to (key, window, user, count), summed within the batch, before anything travels.
  Contract contract(size_t) const override {
    Contract c;
    c.key = {"key"};
    c.order = {"window", "user"};
    c.prepared = {{"key", Type::kString}, {"window", Type::kTimestamp, zone_name_}, {"user", Type::kInt64}, {"count", Type::kInt64}};
    c.prepare = [this, schema = c.prepared](const data::Batch& batch) { return explode(batch, schema); };
    return c;
  }

  void run(graph::CollectiveContext& context) override {
    auto& comm = context.comm();
    int64_t first = INT64_MAX, last = INT64_MIN;
    std::mutex mutex;
    graph::for_each_partition(context, 0, {"window"}, [&](const data::Batch& batch) {
      auto w = batch.column("window").values<int64_t>();
      if (w.empty()) return;
      auto [low, high] = std::minmax_element(w.begin(), w.end());
      std::lock_guard lock(mutex);
      first = std::min(first, *low), last = std::max(last, *high);
    });
    first = comm.allreduce(first, comm::Op::kMin);
    last = comm.allreduce(last, comm::Op::kMax);
    windows_.clear();
    // Windows are listed, not computed: in a zone with summer time they have different lengths.
    if (first <= last) {
      const int64_t width = params_.window.microseconds;
      int64_t w = first;
      while (w <= last) {
        windows_.push_back(w);
        int64_t next = zone_.window_start(w + width, width);
        if (next <= w) next = zone_.window_start(w + width + width / 2, width);
        w = next;
        if (windows_.size() > 1'000'000)
          throw job_error("'window' of {} makes more than a million windows from {} to {}", format_duration(params_.window), zone_.format(first), zone_.format(last))
              .with_hint("choose a longer window; or are there wrong times in the data?");
      }
    }
    auto& output = context.output("", bind_schema(), context.num_partitions(0));
    std::vector<Riser> risers;
    graph::map_partitions(context, 0, {}, output, [&](const data::Batch& batch) {
      std::vector<Riser> found;
      data::Batch rows = measure(batch, found);
      std::lock_guard lock(mutex);
      std::move(found.begin(), found.end(), std::back_inserter(risers));
      return rows;
    });
    write_risers(context, std::move(risers));
    if (comm.rank() == 0) {
      context.metric("windows", std::to_string(windows_.size()));
      context.metric("by", nlohmann::json(by_).dump());
      context.metric("window", nlohmann::json(format_duration(params_.window)).dump());
    }
  }

 private:
  data::Schema bind_schema() const {
    return {{"key", Type::kString}, {"window", Type::kTimestamp, zone_name_}, {"count", Type::kInt64},
            {"users", Type::kInt64}, {"growth", Type::kFloat64},              {"z", Type::kFloat64}};
  }

  data::Batch explode(const data::Batch& batch, const data::Schema& schema) const {
    const auto& keys = batch.column(by_);
    auto ts = batch.column("ts").values<int64_t>();
    int user_at = has_user_ ? batch.schema().find(params_.user) : -1;
    std::vector<uint64_t> users(size_t(batch.num_rows()), 0);
    if (user_at >= 0) users = batch.hash_rows({params_.user});
    std::map<std::tuple<std::string, int64_t, int64_t>, int64_t> sums;
    std::set<std::string_view> seen;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (!keys.is_valid(r)) continue;
      int64_t window = zone_.window_start(ts[size_t(r)], params_.window.microseconds);
      bool anonymous = user_at < 0 || !batch.column(size_t(user_at)).is_valid(r);
      int64_t user = anonymous ? INT64_MIN : int64_t(users[size_t(r)]);
      if (keys.type() == Type::kListString) {
        seen.clear();
        for (int64_t i = 0; i < keys.list_size(r); ++i)
          if (seen.insert(keys.list_string(r, i)).second) ++sums[{std::string(keys.list_string(r, i)), window, user}];
      } else {
        ++sums[{keys.type() == Type::kString ? std::string(keys.string(r)) : std::to_string(keys.as_int64(r)), window, user}];
      }
    }
    data::Column key(Type::kString), window(Type::kTimestamp), user(Type::kInt64), count(Type::kInt64);
    for (const auto& [k, n] : sums) {
      key.append_string(std::get<0>(k));
      window.append(std::get<1>(k));
      user.append(std::get<2>(k));
      count.append(n);
    }
    std::vector<data::Column> columns;
    columns.push_back(std::move(key)), columns.push_back(std::move(window)), columns.push_back(std::move(user)), columns.push_back(std::move(count));
    return data::Batch(schema, std::move(columns), batch.origin);
  }

  // Counts of one key by window, rows ordered by window and user, and what follows from them.
  data::Batch measure(const data::Batch& batch, std::vector<Riser>& risers) const {
    const auto& keys = batch.column("key");
    auto window = batch.column("window").values<int64_t>(), user = batch.column("user").values<int64_t>(), count = batch.column("count").values<int64_t>();
    data::Column key(Type::kString), out_window(Type::kTimestamp), counts(Type::kInt64), users(Type::kInt64), growth(Type::kFloat64), z(Type::kFloat64);
    for (int64_t begin = 0; begin < batch.num_rows();) {
      std::vector<Point> points;
      int64_t total = 0, r = begin;
      for (; r < batch.num_rows() && keys.string(r) == keys.string(begin); ++r) {
        if (points.empty() || points.back().window != window[size_t(r)]) points.push_back({.window = window[size_t(r)]});
        bool same_user = r > begin && points.back().count > 0 && user[size_t(r)] == user[size_t(r - 1)] && window[size_t(r)] == window[size_t(r - 1)];
        points.back().count += count[size_t(r)];
        points.back().users += !same_user && user[size_t(r)] != INT64_MIN;
        total += count[size_t(r)];
      }
      if (total >= params_.min_count) {
        compare_with_history(points);
        Riser riser{std::string(keys.string(begin)), {}, total};
        bool any = false;
        for (const auto& p : points) {
          key.append_string(riser.key);
          out_window.append(p.window), counts.append(p.count), users.append(p.users);
          if (p.has_history) growth.append(p.growth), z.append(p.z);
          else growth.append_null(), z.append_null();
          if (p.windows_before >= params_.min_history && (!any || p.z > riser.best.z)) riser.best = p, any = true;
        }
        if (any && riser.best.z > 0) risers.push_back(std::move(riser));
      }
      begin = r;
    }
    std::vector<data::Column> columns;
    for (auto* c : {&key, &out_window, &counts, &users, &growth, &z}) columns.push_back(std::move(*c));
    return data::Batch(bind_schema(), std::move(columns), batch.origin);
  }

  void compare_with_history(std::vector<Point>& points) const {
    std::vector<int64_t> series(windows_.size(), 0);
    std::vector<size_t> places;
    for (const auto& p : points) {
      places.push_back(size_t(std::lower_bound(windows_.begin(), windows_.end(), p.window) - windows_.begin()));
      series[places.back()] = p.count;
    }
    // Running sums of whole numbers: exact, so that the order of windows is the only order there is.
    std::vector<int64_t> sums(series.size() + 1), squares(series.size() + 1);
    for (size_t i = 0; i < series.size(); ++i) sums[i + 1] = sums[i] + series[i], squares[i + 1] = squares[i] + series[i] * series[i];
    for (size_t i = 0; i < points.size(); ++i) {
      size_t at = places[i], from = params_.history > 0 && at > size_t(params_.history) ? at - size_t(params_.history) : 0;
      points[i].windows_before = int64_t(at);
      if (at == from) continue;
      double n = double(at - from), mean = double(sums[at] - sums[from]) / n;
      double variance = std::max(0.0, double(squares[at] - squares[from]) / n - mean * mean);
      points[i].mean = mean;
      points[i].z = (double(points[i].count) - mean) / std::max({std::sqrt(variance), std::sqrt(mean), 1.0});
      points[i].growth = double(points[i].count - series[at - 1]) / double(std::max<int64_t>(series[at - 1], 1));
      points[i].has_history = true;
    }
  }

  void write_risers(graph::CollectiveContext& context, std::vector<Riser> mine) {
    auto& comm = context.comm();
    auto cut = [&](std::vector<Riser>& all) {
      std::sort(all.begin(), all.end(), rises_more);
      if (int64_t(all.size()) > params_.top) all.resize(size_t(params_.top));
    };
    cut(mine);
    auto schema = side_outputs().at("risers");
    auto to_batch = [&](const std::vector<Riser>& all) {
      data::Column key(Type::kString), window(Type::kTimestamp), count(Type::kInt64), users(Type::kInt64), mean(Type::kFloat64), z(Type::kFloat64), total(Type::kInt64);
      for (const auto& r : all) {
        key.append_string(r.key);
        window.append(r.best.window), count.append(r.best.count), users.append(r.best.users), mean.append(r.best.mean), z.append(r.best.z), total.append(r.total);
      }
      std::vector<data::Column> columns;
      for (auto* c : {&key, &window, &count, &users, &mean, &z, &total}) columns.push_back(std::move(*c));
      return data::Batch(schema, std::move(columns));
    };
    Buffer packed;
    to_batch(mine).serialize(packed);
    auto all = comm.gather(std::string(reinterpret_cast<const char*>(packed.data()), packed.size()));
    auto& output = context.output("risers", schema, 1);
    if (comm.rank() != 0) return;
    std::vector<Riser> merged;
    for (const auto& part : all) {
      auto batch = data::Batch::deserialize(std::as_bytes(std::span(part)), std::make_shared<data::Schema>(schema));
      for (int64_t r = 0; r < batch.num_rows(); ++r)
        merged.push_back({std::string(batch.column("key").string(r)),
                          {batch.column("window").as_int64(r), batch.column("count").as_int64(r), batch.column("users").as_int64(r), 0,
                           batch.column("z").as_double(r), batch.column("mean_before").as_double(r), true},
                          batch.column("total").as_int64(r)});
    }
    cut(merged);
    output.write(0, to_batch(merged));
  }

  Trends params_;
  std::string by_, zone_name_;
  bool has_user_ = false;
  data::TimeZone zone_;
  std::vector<int64_t> windows_;
};

}  // namespace
}  // namespace throng::op

void register_trends(throng::graph::Registry& registry) { registry.add<throng::op::Trends, throng::op::TrendsOperator>(); }
