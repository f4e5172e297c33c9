// Who acts, when and what comes after what.
#include <algorithm>
#include <cstring>
#include <mutex>

#include "framework/data/vocabulary.h"
#include "framework/text/unicode.h"
#include "operators/report/findings.h"

namespace throng::op {

using data::Type;
using nlohmann::json;

int64_t bucket_width(int64_t first, int64_t last) {
  constexpr int64_t hour = 3'600'000'000, day = 24 * hour;
  for (int64_t width : {hour / 60, hour / 4, hour, 6 * hour, day, 7 * day, 28 * day})
    if ((last - first) / width < 120) return width;
  return 28 * day * ((last - first) / (28 * day * 120) + 1);
}

std::string bucket_format(int64_t width) { return width % 86'400'000'000 == 0 ? "%Y-%m-%d" : "%Y-%m-%d %H:%M"; }

json post_of(const data::Batch& batch, int64_t row, const Report& params, const data::TimeZone& zone) {
  constexpr int64_t kLongest = 400;  // characters
  auto shown = [&](const std::string& column) -> std::string {
    int at = batch.schema().find(column);
    if (at < 0 || !batch.column(size_t(at)).is_valid(row)) return "";
    const data::Column& c = batch.column(size_t(at));
    return c.type() == Type::kString ? std::string(text::substring(c.string(row), 0, kLongest)) : is_integer(c.type()) ? std::to_string(c.as_int64(row)) : "";
  };
  std::string text = shown(params.text);
  if (text.empty()) {
    std::string action = shown(params.action), item = shown(params.item);
    text = (action.empty() ? "" : "[" + action + "]") + (action.empty() || item.empty() ? "" : " ") + item;
  }
  json post{{"text", text}, {"time", zone.format(batch.column("ts").as_int64(row))}};
  if (auto user = shown(params.user); !user.empty()) post["user"] = user;
  return post;
}

namespace {

constexpr size_t kShownActions = 12;

struct Counts {
  std::map<int64_t, int64_t> by_time;
  std::vector<int64_t> by_hour_of_week = std::vector<int64_t>(7 * 24);
  data::TextMap<data::ValueCount> actions, transitions;
  std::vector<int64_t> events_per_user;  // one for each user
  int64_t rows = 0, without_user = 0;
  int64_t first = INT64_MAX, last = INT64_MIN;
  int64_t busiest = 0;  // events of the user with most, and rows of that user to show
  json busiest_posts = json::array();

  void merge(Counts& o) {
    for (auto [t, n] : o.by_time) by_time[t] += n;
    for (size_t i = 0; i < by_hour_of_week.size(); ++i) by_hour_of_week[i] += o.by_hour_of_week[i];
    for (auto& [k, v] : o.actions) actions[k].count += v.count;
    for (auto& [k, v] : o.transitions) transitions[k].count += v.count;
    events_per_user.insert(events_per_user.end(), o.events_per_user.begin(), o.events_per_user.end());
    rows += o.rows, without_user += o.without_user;
    first = std::min(first, o.first), last = std::max(last, o.last);
    keep_busiest(o.busiest, o.busiest_posts);
  }
  // Of users with equally many events, the one whose first post comes first in text order.
  void keep_busiest(int64_t events, const json& posts) {
    if (events > busiest || (events == busiest && posts.dump(-1, ' ', false, json::error_handler_t::replace) < busiest_posts.dump(-1, ' ', false, json::error_handler_t::replace)))
      busiest = events, busiest_posts = posts;
  }
};

// The first rows of [begin, end) as posts.
json rows_to_show(const data::Batch& batch, int64_t begin, int64_t end, const Report& params, const data::TimeZone& zone) {
  json posts = json::array();
  for (int64_t r = begin; r < end && int(posts.size()) < params.posts; ++r) posts.push_back(post_of(batch, r, params, zone));
  return posts;
}

}  // namespace

json find_people(graph::CollectiveContext& context, const Report& params, const data::TimeZone& zone) {
  const auto& schema = context.input_schema(0);
  const bool has_user = schema.has(params.user);
  const bool has_action = schema.has(params.action) && schema.at(params.action).type == Type::kString;
  auto& comm = context.comm();
  // The span of time first: it decides the width of the buckets.
  int64_t first = INT64_MAX, last = INT64_MIN;
  std::mutex mutex;
  graph::for_each_partition(context, 0, {"ts"}, [&](const data::Batch& batch) {
    auto ts = batch.column("ts").values<int64_t>();
    if (ts.empty()) return;
    auto [low, high] = std::minmax_element(ts.begin(), ts.end());
    std::lock_guard lock(mutex);
    first = std::min(first, *low), last = std::max(last, *high);
  });
  first = comm.allreduce(first, comm::Op::kMin);
  last = comm.allreduce(last, comm::Op::kMax);
  if (first > last) first = last = 0;
  const int64_t width = bucket_width(first, last);

  Counts all;
  graph::for_each_partition(context, 0, {"ts", params.user, params.action, params.text}, [&](const data::Batch& batch) {
    Counts c;
    auto ts = batch.column("ts").values<int64_t>();
    const data::Column* user = has_user ? &batch.column(params.user) : nullptr;
    const data::Column* action = has_action ? &batch.column(params.action) : nullptr;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      ++c.rows;
      ++c.by_time[zone.window_start(ts[size_t(r)], width)];
      auto parts = zone.parts(ts[size_t(r)]);
      ++c.by_hour_of_week[size_t((parts.weekday - 1) * 24 + parts.hour)];
      const bool known = user && user->is_valid(r);
      c.without_user += user && !known;
      const bool same_user = known && r > 0 && user->is_valid(r - 1) && data::Column::compare(*user, r - 1, *user, r) == 0;
      if (known && !same_user) c.events_per_user.push_back(0);
      if (known) ++c.events_per_user.back();
      if (!action || !action->is_valid(r)) continue;
      ++c.actions[std::string(action->string(r))].count;
      if (same_user && action->is_valid(r - 1)) ++c.transitions[std::string(action->string(r - 1)) + '\n' + std::string(action->string(r))].count;
    }
    if (user && !is_list(user->type()) && !is_float(user->type())) {
      int64_t begin = 0, best_begin = 0, best_end = 0;
      for (int64_t r = 1; r <= batch.num_rows(); ++r) {
        if (r < batch.num_rows() && data::Column::compare(*user, r - 1, *user, r) == 0) continue;
        if (user->is_valid(begin) && r - begin > best_end - best_begin) best_begin = begin, best_end = r;
        begin = r;
      }
      c.busiest = best_end - best_begin;
      c.busiest_posts = rows_to_show(batch, best_begin, best_end, params, zone);
    }
    std::lock_guard lock(mutex);
    all.merge(c);
  });

  json result;
  const int64_t rows = comm.allreduce(all.rows), without_user = comm.allreduce(all.without_user), users = comm.allreduce(int64_t(all.events_per_user.size()));
  comm.allreduce(std::span(all.by_hour_of_week));
  auto actions = data::Vocabulary::build(comm, all.actions, 1, 0), transitions = data::Vocabulary::build(comm, all.transitions, 1, 0);
  json mine = json::object();
  for (auto [t, n] : all.by_time) mine[std::to_string(t)] = n;
  std::map<int64_t, int64_t> by_time;
  for (const auto& text : comm.allgather(mine.dump())) {
    const json part = json::parse(text);
    for (const auto& [t, n] : part.items()) by_time[std::stoll(t)] += n.get<int64_t>();
  }
  json busiest{{"events", all.busiest}, {"posts", all.busiest_posts}};
  auto all_busiest = comm.gather(busiest.dump(-1, ' ', false, json::error_handler_t::replace));
  // How concentrated activity is: all ranks' counts, sorted.
  std::string packed(reinterpret_cast<const char*>(all.events_per_user.data()), all.events_per_user.size() * 8);
  std::vector<int64_t> per_user;
  for (const auto& part : comm.gather(packed)) {
    size_t at = per_user.size();
    per_user.resize(at + part.size() / 8);
    if (!part.empty()) std::memcpy(per_user.data() + at, part.data(), part.size());
  }
  if (comm.rank() != 0) return nullptr;
  std::sort(per_user.rbegin(), per_user.rend());

  result["rows"] = rows, result["users"] = users, result["without_user"] = without_user;
  result["first"] = zone.format(first), result["last"] = zone.format(last), result["bucket_seconds"] = width / 1'000'000;
  json series = json::array();
  // Empty buckets are part of the picture.
  int64_t previous = INT64_MIN;
  for (auto [t, n] : by_time) {
    int guard = 0;
    for (int64_t gap = previous; previous != INT64_MIN && guard < 1000; ++guard) {
      gap = zone.window_start(gap + width + width / 2, width);
      if (gap >= t) break;
      series.push_back({zone.format_as(gap, bucket_format(width)), 0});
    }
    series.push_back({zone.format_as(t, bucket_format(width)), n});
    previous = t;
  }
  result["activity"] = series;
  result["hour_of_week"] = all.by_hour_of_week;
  json mix = json::array(), matrix = json::array();
  for (size_t i = 0; i < std::min(actions.size(), kShownActions); ++i) mix.push_back({actions.word(i), actions.count(i)});
  result["num_actions"] = actions.size();
  for (const auto& from : mix) {
    json row = json::array();
    for (const auto& to : mix) {
      int32_t at = transitions.find(from[0].get<std::string>() + '\n' + to[0].get<std::string>());
      row.push_back(at >= 0 ? transitions.count(size_t(at)) : 0);
    }
    matrix.push_back(row);
  }
  result["actions"] = mix, result["transitions"] = matrix;

  json distribution = json::array();
  for (int64_t low = 1; !per_user.empty() && low <= per_user[0]; low *= 2) {
    int64_t n = std::count_if(per_user.begin(), per_user.end(), [&](int64_t x) { return x >= low && x < 2 * low; });
    distribution.push_back({low == 1 ? "1" : fmt::format("{}-{}", low, 2 * low - 1), n});
  }
  result["distribution"] = distribution;
  size_t top = std::max<size_t>(1, per_user.size() / 100);
  int64_t by_top = 0;
  for (size_t i = 0; i < std::min(top, per_user.size()); ++i) by_top += per_user[i];
  result["top_users"] = per_user.empty() ? 0 : top;
  result["top_share"] = rows > 0 ? double(by_top) / double(rows) : 0.0;

  Counts most;
  for (const auto& part : all_busiest) {
    json one = json::parse(part);
    most.keep_busiest(one["events"], one["posts"]);
  }
  result["busiest_posts"] = most.busiest_posts;
  return result;
}

}  // namespace throng::op
