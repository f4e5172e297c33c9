// What people talk about, and what rose.
#include <algorithm>
#include <mutex>

#include "framework/base/files.h"
#include "framework/base/units.h"
#include "framework/text/unicode.h"
#include "operators/report/findings.h"

namespace throng::op {

using data::Type;
using nlohmann::json;

namespace {

constexpr size_t kShownTopics = 12, kShownRisers = 12;

// Keeps the few best posts: highest score, then first in the dataset.
class BestPosts {
 public:
  explicit BestPosts(size_t wanted) : wanted_(wanted) {}
  bool would_take(double score, int64_t place) const { return wanted_ > 0 && (posts_.size() < wanted_ || std::pair(-score, place) < posts_.back().first); }
  void take(double score, int64_t place, json post) {
    std::pair key(-score, place);
    auto at = std::upper_bound(posts_.begin(), posts_.end(), key, [](const auto& k, const auto& p) { return k < p.first; });
    posts_.insert(at, {key, std::move(post)});
    if (posts_.size() > wanted_) posts_.pop_back();
  }
  json to_json() const {
    json j = json::array();
    for (const auto& [key, post] : posts_) j.push_back({{"score", -key.first}, {"place", key.second}, {"post", post}});
    return j;
  }
  void merge(const json& j) {
    for (const auto& p : j)
      if (would_take(p["score"], p["place"])) take(p["score"], p["place"], p["post"]);
  }
  json posts() const {
    json j = json::array();
    std::vector<std::string> seen;
    for (const auto& [key, post] : posts_) j.push_back(post);
    return j;
  }

 private:
  size_t wanted_;
  std::vector<std::pair<std::pair<double, int64_t>, json>> posts_;
};

std::string dumped(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

int64_t place_of(const data::Batch& batch, int64_t row) { return batch.origin.partition << 40 | row; }

}  // namespace

json find_action_posts(graph::CollectiveContext& context, const std::string& action, const Report& params, const data::TimeZone& zone) {
  BestPosts best{size_t(params.posts)};
  std::mutex mutex;
  if (!action.empty())
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      const auto& column = batch.column(params.action);
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        if (!column.is_valid(r) || column.type() != Type::kString || column.string(r) != action) continue;
        std::lock_guard lock(mutex);
        if (!best.would_take(0, place_of(batch, r))) break;  // later rows of the partition are no better
        best.take(0, place_of(batch, r), post_of(batch, r, params, zone));
      }
    });
  auto all = context.comm().gather(dumped(best.to_json()));
  if (context.comm().rank() != 0) return nullptr;
  BestPosts whole{size_t(params.posts)};
  for (const auto& text : all) whole.merge(json::parse(text));
  return whole.posts();
}

json find_topics(graph::CollectiveContext& context, size_t input, const Report& params, const data::TimeZone& zone) {
  auto& comm = context.comm();
  const auto& schema = context.input_schema(input);
  const bool has_text = schema.has(params.text) && schema.at(params.text).type == Type::kString;
  data::DatasetReader summary(context.input_folder(input) / "summary"), words(context.input_folder(input) / "words");
  data::Batch shares = summary.read_all(), list = words.read_all();
  const size_t k = size_t(shares.num_rows());

  int64_t first = INT64_MAX, last = INT64_MIN;
  std::map<int64_t, std::vector<int64_t>> by_time;
  std::vector<BestPosts> best(k, BestPosts(size_t(params.posts)));
  std::mutex mutex;
  graph::for_each_partition(context, input, {"ts"}, [&](const data::Batch& batch) {
    auto ts = batch.column("ts").values<int64_t>();
    if (ts.empty()) return;
    auto [low, high] = std::minmax_element(ts.begin(), ts.end());
    std::lock_guard lock(mutex);
    first = std::min(first, *low), last = std::max(last, *high);
  });
  first = comm.allreduce(first, comm::Op::kMin), last = comm.allreduce(last, comm::Op::kMax);
  const int64_t width = first <= last ? std::max<int64_t>(bucket_width(first, last), (last - first) / 40) : 1;
  const int64_t rounded = width > 86'400'000'000 ? (width / 86'400'000'000) * 86'400'000'000 : width;
  graph::for_each_partition(context, input, {}, [&](const data::Batch& batch) {
    auto ts = batch.column("ts").values<int64_t>();
    const auto& topic = batch.column("topic");
    const auto& weight = batch.column("topic_weight");
    std::map<int64_t, std::vector<int64_t>> local;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (!topic.is_valid(r)) continue;
      auto& counts = local[zone.window_start(ts[size_t(r)], rounded)];
      counts.resize(k);
      ++counts[size_t(topic.as_int64(r))];
    }
    std::lock_guard lock(mutex);
    for (auto& [t, counts] : local) {
      auto& sum = by_time[t];
      sum.resize(k);
      for (size_t i = 0; i < k; ++i) sum[i] += counts[i];
    }
    if (!has_text) return;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (!topic.is_valid(r) || !batch.column(params.text).is_valid(r)) continue;
      auto& b = best[size_t(topic.as_int64(r))];
      if (b.would_take(weight.as_double(r), place_of(batch, r))) b.take(weight.as_double(r), place_of(batch, r), post_of(batch, r, params, zone));
    }
  });
  json mine{{"time", json::object()}, {"posts", json::array()}};
  for (const auto& [t, counts] : by_time) mine["time"][std::to_string(t)] = counts;
  for (const auto& b : best) mine["posts"].push_back(b.to_json());
  auto all = comm.gather(dumped(mine));
  if (comm.rank() != 0) return nullptr;
  by_time.clear();
  best.assign(k, BestPosts(size_t(params.posts)));
  for (const auto& text : all) {
    json part = json::parse(text);
    for (const auto& [t, counts] : part["time"].items()) {
      auto& sum = by_time[std::stoll(t)];
      sum.resize(k);
      for (size_t i = 0; i < k; ++i) sum[i] += counts[i].get<int64_t>();
    }
    for (size_t i = 0; i < k; ++i) best[i].merge(part["posts"][i]);
  }

  std::vector<size_t> order(k);
  for (size_t i = 0; i < k; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return shares.column("share").as_double(int64_t(a)) > shares.column("share").as_double(int64_t(b)); });
  json result{{"k", k}, {"list", json::array()}, {"times", json::array()}, {"series", json::array()}};
  for (const auto& [t, counts] : by_time) result["times"].push_back(zone.format_as(t, bucket_format(rounded)));
  for (size_t i : order) {
    if (result["list"].size() >= kShownTopics) break;
    json top = json::array();
    for (int64_t r = 0; r < list.num_rows(); ++r)
      if (size_t(list.column("topic").as_int64(r)) == i) top.push_back(std::string(list.column("word").string(r)));
    result["list"].push_back({{"topic", i}, {"share", shares.column("share").as_double(int64_t(i))}, {"label", std::string(shares.column("label").string(int64_t(i)))}, {"words", top}, {"posts", best[i].posts()}});
    json series = json::array();
    for (const auto& [t, counts] : by_time) {
      int64_t total = 0;
      for (int64_t n : counts) total += n;
      series.push_back(total > 0 ? double(counts[i]) / double(total) : 0.0);
    }
    result["series"].push_back(series);
  }
  return result;
}

json find_trends(graph::CollectiveContext& context, size_t input, const Report& params, const data::TimeZone& zone) {
  auto& comm = context.comm();
  data::Batch risers = data::DatasetReader(context.input_folder(input) / "risers").read_all();
  json record = json::parse(read_file(context.input_folder(input) / "step.json"));
  const auto window = parse_duration(record["metrics"].value("window", "1d"));
  const std::string by = record["metrics"].value("by", "");
  const size_t shown = std::min<size_t>(kShownRisers, size_t(risers.num_rows()));
  std::map<std::string, size_t> keys;
  for (size_t i = 0; i < shown; ++i) keys[std::string(risers.column("key").string(int64_t(i)))] = i;

  std::vector<std::map<int64_t, int64_t>> series(shown);
  std::mutex mutex;
  graph::for_each_partition(context, input, {"key", "window", "count"}, [&](const data::Batch& batch) {
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      auto it = keys.find(std::string(batch.column("key").string(r)));
      if (it == keys.end()) continue;
      std::lock_guard lock(mutex);
      series[it->second][batch.column("window").as_int64(r)] = batch.column("count").as_int64(r);
    }
  });
  // Events that hold the riser in its best window: as the value of its column, or for words in the text.
  std::vector<BestPosts> best(shown, BestPosts(size_t(params.posts)));
  const auto& events = context.input_schema(0);
  const bool whole = by == params.item || by == params.action || by == params.user;
  const std::string& searched = whole ? by : params.text;
  if (window && events.has(searched) && (whole || events.at(searched).type == Type::kString))
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      auto ts = batch.column("ts").values<int64_t>();
      const auto& column = batch.column(searched);
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        if (!column.is_valid(r)) continue;
        std::string value, folded;
        for (size_t i = 0; i < shown; ++i) {
          int64_t start = risers.column("window").as_int64(int64_t(i));
          if (ts[size_t(r)] < start || ts[size_t(r)] >= start + window->microseconds) continue;
          if (value.empty()) {
            value = column.type() == Type::kString ? std::string(column.string(r)) : std::to_string(column.as_int64(r));
            if (!whole) folded = text::to_lower(text::fold_width(value));  // tokens are folded
          }
          auto key = risers.column("key").string(int64_t(i));
          if (whole ? value != key : folded.find(key) == std::string::npos && value.find(key) == std::string::npos) continue;
          std::lock_guard lock(mutex);
          if (best[i].would_take(0, place_of(batch, r))) best[i].take(0, place_of(batch, r), post_of(batch, r, params, zone));
        }
      }
    });
  json mine = json::array();
  for (size_t i = 0; i < shown; ++i) {
    json points = json::object();
    for (auto [t, n] : series[i]) points[std::to_string(t)] = n;
    mine.push_back({{"points", points}, {"posts", best[i].to_json()}});
  }
  auto all = comm.gather(dumped(mine));
  if (comm.rank() != 0) return nullptr;
  best.assign(shown, BestPosts(size_t(params.posts)));
  std::map<int64_t, std::vector<int64_t>> by_time;
  for (const auto& text : all) {
    json part = json::parse(text);
    for (size_t i = 0; i < shown; ++i) {
      for (const auto& [t, n] : part[i]["points"].items()) {
        auto& row = by_time[std::stoll(t)];
        row.resize(shown);
        row[i] = n.get<int64_t>();
      }
      best[i].merge(part[i]["posts"]);
    }
  }
  json result{{"by", by}, {"window", record["metrics"].value("window", "")}, {"risers", json::array()}, {"times", json::array()}};
  const std::string form = bucket_format(window ? window->microseconds : 1);
  for (const auto& [t, row] : by_time) result["times"].push_back(zone.format_as(t, form));
  for (size_t i = 0; i < shown; ++i) {
    int64_t r = int64_t(i);
    json counts = json::array();
    for (const auto& [t, row] : by_time) counts.push_back(row[i]);
    result["risers"].push_back({{"key", std::string(risers.column("key").string(r))},
                                {"window", zone.format_as(risers.column("window").as_int64(r), form)},
                                {"count", risers.column("count").as_int64(r)},
                                {"users", risers.column("users").as_int64(r)},
                                {"mean_before", risers.column("mean_before").as_double(r)},
                                {"z", risers.column("z").as_double(r)},
                                {"total", risers.column("total").as_int64(r)},
                                {"series", counts},
                                {"posts", best[i].posts()}});
  }
  return result;
}

// Categories: the first cases where a change was foretold right. Numbers and events: the cases where most was foretold.
json find_next(graph::CollectiveContext& context, size_t input, const Report& params) {
  json record = json::parse(read_file(context.input_folder(input) / "step.json"));
  json next{{"step", context.input_step(input)}, {"result", record["metrics"]["result"]}, {"curve", record["metrics"]["curve"]}};
  BestPosts best{size_t(params.posts)};
  for (int64_t p = 0; p < context.num_partitions(input); ++p) {
    data::Batch batch = context.read(input, p, {});
    const auto &by = batch.column(0), &actual = batch.column("actual"), &predicted = batch.column("predicted"), &last = batch.column("last");
    const data::TimeZone zone(batch.schema().at("ts").time_zone);
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (!actual.is_valid(r) || !predicted.is_valid(r)) continue;
      std::string text;
      double score = 0;
      if (actual.type() == Type::kString) {
        if (!last.is_valid(r) || actual.string(r) == last.string(r) || actual.string(r) != predicted.string(r)) continue;
        text = fmt::format("{} → {} ({:.0f} %)", last.string(r), actual.string(r), 100 * batch.column("probability").as_double(r));
      } else {
        score = predicted.as_double(r);
        text = fmt::format("{:.4g} → {:.4g}", score, actual.as_double(r));
      }
      if (!best.would_take(score, place_of(batch, r))) continue;
      best.take(score, place_of(batch, r), {{"user", by.type() == Type::kString ? std::string(by.string(r)) : std::to_string(by.as_int64(r))}, {"time", zone.format(batch.column("ts").as_int64(r))}, {"text", text}});
    }
  }
  next["examples"] = best.posts();
  return next;
}

namespace {
// The steps that the report's events came through, from the graph in state.json.
std::vector<std::string> lineage(const std::filesystem::path& run, const std::string& step) {
  json state = json::parse(read_file(run / "state.json"));
  std::vector<std::string> found{step};
  for (size_t i = 0; i < found.size(); ++i)
    for (const auto& node : state["graph"])
      if (node["id"] == found[i])
        for (const auto& input : node["inputs"])
          if (std::find(found.begin(), found.end(), input.get<std::string>()) == found.end()) found.push_back(input);
  return found;
}
}  // namespace

json find_quality(graph::CollectiveContext& context) {
  json steps = json::array();
  const auto run = context.folder().parent_path().parent_path().parent_path();
  const auto came_through = lineage(run, context.input_step(0));
  std::map<std::string, json> by_name;  // a folder's order is not the same everywhere
  for (const auto& entry : std::filesystem::directory_iterator(run / "steps")) {
    auto path = entry.path() / "step.json";
    if (std::filesystem::exists(path)) by_name[entry.path().filename().string()] = json::parse(read_file(path));
  }
  for (const auto& [name, record] : by_name)
    for (const auto& [id, node] : record["nodes"].items())
      if (!node["counters"].empty() && std::find(came_through.begin(), came_through.end(), id) != came_through.end())
        steps.push_back({{"step", id}, {"op", node["op"]}, {"counters", node["counters"]}, {"examples", node.value("examples", json::object())}});
  return steps;
}

json find_bad_rows(const json& quality, const Report& params) {
  json rows = json::array();
  for (const auto& step : quality)
    for (const auto& [name, examples] : step["examples"].items())
      for (const auto& e : examples) {
        if (int(rows.size()) == params.posts) return rows;
        std::string reason = name, place = e[3];
        std::replace(reason.begin(), reason.end(), '_', ' ');
        rows.push_back({{"text", e[2]}, {"time", fmt::format("{}: {}{}{}", step["step"].get<std::string>(), reason, place.empty() ? "" : ", ", place)}});
      }
  return rows;
}

}  // namespace throng::op
