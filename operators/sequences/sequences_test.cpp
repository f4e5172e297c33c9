// sequences: numbers, positions and gaps against a plain loop over random events with ties and missing users.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "framework/base/random.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using Row = std::tuple<std::string, int64_t, int64_t, int64_t, int64_t, double>;  // user, ts, number in the file, sequence, position, gap

TEST(Sequences, EqualAPlainLoop) {
  testing::TemporaryFolder folder;
  std::string text;
  std::map<std::string, std::vector<std::pair<int64_t, int64_t>>> users;  // (ts, number)
  for (int64_t i = 0; i < 600; ++i) {
    Random random(5, uint64_t(i));
    int64_t ts = 1'700'000'000 + random.below(3000) / 10 * 10, user = random.below(25);
    if (user == 0) {
      text += fmt::format("{{\"user\":null,\"ts\":{},\"action\":\"x\",\"n\":{}}}\n", ts, i);
    } else {
      text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"action\":\"x\",\"n\":{}}}\n", user, ts, i);
      users["u" + std::to_string(user)].emplace_back(ts, i);
    }
  }
  folder.write("events.jsonl", text);
  for (auto [gap, least, most] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{{0, 1, 0}, {120, 1, 0}, {60, 2, 0}, {120, 3, 4}, {0, 1, 3}}) {
    const std::string yaml = fmt::format("job: j\nsteps:\n  events: {{ op: read_events, path: events.jsonl, partitions: 5 }}\n"
                                                           "  seq: {{ op: sequences, from: events, session_gap: {}s, min_length: {}, max_length: {} }}\n", gap, least, most);
    auto run = gap == 0 ? testing::run_on_all_rank_counts(yaml, folder) : testing::run_job(yaml, folder, "out", {3, 1});
    std::vector<Row> expected, got;
    for (auto& [user, events] : users) {
      std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) { return a.first < b.first; });  // ties in file order
      std::vector<std::vector<std::pair<int64_t, int64_t>>> sessions;
      for (const auto& e : events) {
        if (sessions.empty() || (gap > 0 && e.first - sessions.back().back().first > gap)) sessions.emplace_back();
        sessions.back().push_back(e);
      }
      int64_t number = 0;
      for (auto& s : sessions) {
        if (int64_t(s.size()) < least) continue;
        if (most > 0 && int64_t(s.size()) > most) s.erase(s.begin(), s.end() - most);
        for (size_t i = 0; i < s.size(); ++i) expected.push_back({user, s[i].first * 1'000'000, s[i].second, number, int64_t(i), i ? double(s[i].first - s[i - 1].first) : 0.0});
        ++number;
      }
    }
    auto rows = run.rows("seq");
    for (int64_t r = 0; r < rows.num_rows(); ++r)
      got.push_back({std::string(rows.column("user").string(r)), rows.column("ts").as_int64(r), rows.column("n").as_int64(r), rows.column("sequence").as_int64(r),
                     rows.column("position").as_int64(r), rows.column("gap").as_double(r)});
    std::sort(expected.begin(), expected.end());
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, expected) << gap << ' ' << least << ' ' << most;
  }
}

}  // namespace
}  // namespace throng
