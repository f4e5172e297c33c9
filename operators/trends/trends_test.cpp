// trends: counts, users, growth and z by window against a plain loop, over a change to and from summer time.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "framework/base/random.h"
#include "framework/data/time.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

struct Post {
  int64_t ts;
  std::string user;  // empty: none
  std::vector<std::string> words;
};

std::vector<Post> made_up(int n, int64_t from, int64_t seconds) {
  std::vector<Post> posts;
  for (int i = 0; i < n; ++i) {
    Random random(51, uint64_t(i));
    Post p{from + int64_t{random.below(uint32_t(seconds))}, random.below(6) ? fmt::format("u{}", random.below(20)) : "", {}};
    for (uint32_t k = random.below(6); k > 0; --k) p.words.push_back(fmt::format("w{}", random.below(random.below(30) + 1)));
    posts.push_back(p);
  }
  return posts;
}

struct Cell {
  int64_t count = 0;
  std::set<std::string> users;
};

void check(const std::string& zone_name, int64_t from, int64_t width_hours, int64_t history, int64_t min_history = 2) {
  SCOPED_TRACE(fmt::format("{} {} h, history {}", zone_name, width_hours, history));
  testing::TemporaryFolder folder;
  const int64_t days = 6, width = width_hours * 3'600'000'000;
  auto posts = made_up(900, from, days * 86'400);
  std::string text;
  for (const auto& p : posts)
    text += fmt::format("{{\"user\":{},\"ts\":{},\"action\":\"post\",\"text\":\"{}\"}}\n", p.user.empty() ? "null" : "\"" + p.user + "\"", p.ts, fmt::join(p.words, " "));
  folder.write("events.jsonl", text);
  const std::string yaml = fmt::format("job: j\nsteps:\n  events: {{ op: read_events, path: events.jsonl, partitions: 5, time_zone: {} }}\n  tokens: {{ op: tokenize, from: events }}\n"
                                                         "  trends: {{ op: trends, from: tokens, window: {}h, min_count: 12, history: {}, min_history: {}, top: 7 }}\n", zone_name, width_hours, history, min_history);
  auto run = zone_name == "UTC" ? testing::run_on_all_rank_counts(yaml, folder) : testing::run_job(yaml, folder, "out", {3, 1});
  const data::TimeZone zone(zone_name);
  std::map<std::string, std::map<int64_t, Cell>> cells;
  int64_t first = INT64_MAX, last = 0;
  for (const auto& p : posts)
    for (const auto& w : std::set<std::string>(p.words.begin(), p.words.end())) {
      int64_t window = zone.window_start(p.ts * 1'000'000, width);
      first = std::min(first, window), last = std::max(last, window);
      ++cells[w][window].count;
      if (!p.user.empty()) cells[w][window].users.insert(p.user);
    }
  std::set<int64_t> distinct;
  for (int64_t t = first; t <= last; t += 60'000'000) distinct.insert(zone.window_start(t, width));
  const std::vector<int64_t> windows(distinct.begin(), distinct.end());

  auto rows = run.rows("trends");
  int64_t expected_rows = 0;
  std::map<std::string, double> best;
  for (auto& [key, by_window] : cells) {
    int64_t total = 0;
    for (const auto& [window, cell] : by_window) total += cell.count;
    if (total < 12) by_window.clear();
    expected_rows += int64_t(by_window.size());
  }
  ASSERT_EQ(rows.num_rows(), expected_rows);
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    const std::string key(rows.column("key").string(r));
    const int64_t window = rows.column("window").as_int64(r);
    auto& by_window = cells.at(key);
    ASSERT_EQ(by_window.count(window), 1u) << key << ' ' << window;
    const Cell& cell = by_window[window];
    EXPECT_EQ(rows.column("count").as_int64(r), cell.count);
    EXPECT_EQ(rows.column("users").as_int64(r), int64_t(cell.users.size()));
    const size_t at = size_t(std::find(windows.begin(), windows.end(), window) - windows.begin());
    ASSERT_EQ(rows.column("z").is_valid(r), at > 0);
    if (at == 0) continue;
    std::vector<double> before;
    for (size_t i = history > 0 && at > size_t(history) ? at - size_t(history) : 0; i < at; ++i)
      before.push_back(by_window.count(windows[i]) ? double(by_window[windows[i]].count) : 0.0);
    double mean = 0, variance = 0;
    for (double b : before) mean += b / double(before.size());
    for (double b : before) variance += (b - mean) * (b - mean) / double(before.size());
    const double z = (double(cell.count) - mean) / std::max({std::sqrt(variance), std::sqrt(mean), 1.0});
    EXPECT_NEAR(rows.column("z").as_double(r), z, 1e-9) << key;
    EXPECT_NEAR(rows.column("growth").as_double(r), (double(cell.count) - before.back()) / std::max(before.back(), 1.0), 1e-12) << key;
    if (z > 0 && int64_t(at) >= min_history) best[key] = std::max(best[key], z);
  }
  std::vector<double> highest;
  for (const auto& [key, z] : best) highest.push_back(z);
  std::sort(highest.rbegin(), highest.rend());
  auto risers = run.rows("trends", "risers");
  ASSERT_EQ(risers.num_rows(), std::min<int64_t>(7, int64_t(highest.size())));
  for (int64_t r = 0; r < risers.num_rows(); ++r) {
    EXPECT_NEAR(risers.column("z").as_double(r), highest[size_t(r)], 1e-9);
    EXPECT_NEAR(best.at(std::string(risers.column("key").string(r))), highest[size_t(r)], 1e-9);
  }
}

TEST(Trends, EqualAPlainLoop) { check("UTC", 1'700'000'000, 24, 0); }
TEST(Trends, EqualAPlainLoopWithShortHistory) { check("Asia/Shanghai", 1'700'000'000, 6, 3, 1); }
TEST(Trends, RisersNeedWindowsBeforeThem) { check("UTC", 1'700'000'000, 24, 2, 4); }
// 2024-03-10 and 2024-11-03: days of 23 and 25 hours in New York.
TEST(Trends, EqualAPlainLoopWhenClocksAreChanged) {
  for (int64_t from : {1'709'850'000, 1'730'430'000})
    for (int64_t hours : {5, 24, 48}) check("America/New_York", from, hours, 0);
}

}  // namespace
}  // namespace throng
