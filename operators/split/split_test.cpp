// split: the share of rows that is held out, against plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "framework/base/random.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng {
namespace {

// Few distinct times, so that many rows share the one at the cut.
std::string lines(int n, std::vector<int64_t>& times) {
  std::string text;
  for (int i = 0; i < n; ++i) {
    times.push_back(1'700'000'000 + int64_t{Random(3, uint64_t(i)).below(40)} * 3600);
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"action\":\"view\"}}\n", i % 211, times.back());
  }
  return text;
}

data::Batch split(const std::string& parameters, const testing::TemporaryFolder& folder) {
  testing::TemporaryFolder out;
  out.write("events.jsonl", "");
  std::filesystem::copy_file(folder / "events.jsonl", out / "events.jsonl", std::filesystem::copy_options::overwrite_existing);
  return testing::run_on_all_rank_counts("job: j\nsteps:\n  events: { op: read_events, path: events.jsonl, partitions: 5 }\n  split: { op: split, from: events, " + parameters + " }\n", out).rows("split");
}

TEST(Split, ByTimeHoldsOutAtMostTheFraction) {
  testing::TemporaryFolder folder;
  std::vector<int64_t> times;
  folder.write("events.jsonl", lines(700, times));
  for (double fraction : {0.0, 0.2, 0.95}) {
    auto rows = split(fmt::format("fraction: {}", fraction), folder);
    // The earliest time with few enough rows at or after it.
    auto at_or_after = [&](int64_t t) { return std::count_if(times.begin(), times.end(), [&](int64_t x) { return x >= t; }); };
    int64_t cut = *std::max_element(times.begin(), times.end()) + 1;
    for (int64_t t : times)
      if (double(at_or_after(t)) <= fraction * 700) cut = std::min(cut, t);
    ASSERT_EQ(rows.num_rows(), 700);
    for (int64_t r = 0; r < 700; ++r) EXPECT_EQ(rows.column("holdout").as_int64(r), rows.column("ts").as_int64(r) >= cut * 1'000'000) << r << " with " << fraction;
  }
}

TEST(Split, AtIsReadInTheTimeZoneOfTheColumn) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl",
               "{\"user\":\"a\",\"ts\":\"2024-05-01T15:59:59Z\",\"action\":\"x\"}\n{\"user\":\"a\",\"ts\":\"2024-05-01T16:00:00Z\",\"action\":\"x\"}\n");
  for (auto [zone, first, second] : std::vector<std::tuple<std::string, int, int>>{{"Asia/Shanghai", 0, 1}, {"UTC", 0, 0}}) {
    auto run = testing::run_job("job: j\nsteps:\n  events: { op: read_events, path: events.jsonl, partitions: 5, time_zone: " + zone +
                                    " }\n  split: { op: split, from: events, at: \"2024-05-02\" }\n", folder, "out " + zone.substr(0, 3));
    EXPECT_EQ(run.rows("split").column("holdout").as_int64(0), first) << zone;
    EXPECT_EQ(run.rows("split").column("holdout").as_int64(1), second) << zone;
  }
}

TEST(Split, ByUserKeepsUsersWhole) {
  testing::TemporaryFolder folder;
  std::vector<int64_t> times;
  folder.write("events.jsonl", lines(700, times));
  auto rows = split("by: user, fraction: 0.3", folder);
  std::map<std::string, int64_t> held;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    auto [it, fresh] = held.emplace(std::string(rows.column("user").string(r)), rows.column("holdout").as_int64(r));
    EXPECT_EQ(it->second, rows.column("holdout").as_int64(r)) << it->first;
  }
  int64_t users = 0;
  for (const auto& [user, h] : held) users += h;
  EXPECT_NEAR(double(users) / double(held.size()), 0.3, 0.1);
}

// Each row, or each user, is held out in one fold; another fold_seed cuts others.
TEST(Split, FoldsPartRowsOrUsers) {
  testing::TemporaryFolder folder;
  std::vector<int64_t> times;
  folder.write("events.jsonl", lines(900, times));
  for (const std::string by : {"row", "user"}) {
    std::vector<int> held(900);
    std::map<std::string, std::set<int>> folds_of_user;
    for (int fold = 0; fold < 3; ++fold) {
      const auto rows = split(fmt::format("by: {}, folds: 3, fold: {}", by, fold), folder);
      int64_t count = 0;
      for (int64_t r = 0; r < 900; ++r)
        if (rows.column("holdout").as_int64(r)) ++count, ++held[size_t(r)], folds_of_user[std::string(rows.column("user").string(r))].insert(fold);
      EXPECT_NEAR(double(count), 300, by == "row" ? 50 : 120) << by << fold;
    }
    EXPECT_EQ(std::count(held.begin(), held.end(), 1), 900) << by;
    if (by == "user") {
      for (const auto& [user, folds] : folds_of_user) EXPECT_EQ(folds.size(), 1u) << user;
    }
    const auto other = split("by: " + by + ", folds: 3, fold_seed: 2", folder), same = split("by: " + by + ", folds: 3", folder);
    int64_t moved = 0;
    for (int64_t r = 0; r < 900; ++r) moved += other.column("holdout").as_int64(r) != same.column("holdout").as_int64(r);
    EXPECT_GT(moved, 100) << by;
  }
  const auto share = split("by: row, fraction: 0.3", folder);
  int64_t count = 0;
  for (int64_t r = 0; r < 900; ++r) count += share.column("holdout").as_int64(r);
  EXPECT_NEAR(double(count), 270, 50);
  for (const char* bad : {"by: time, folds: 3", "by: row, folds: 1", "by: user, folds: 3, fold: 3", "by: row, fold: 1"})
    EXPECT_EQ(testing::error_of([&] { split(bad, folder); }).fault(), Fault::kJob) << bad;
}

}  // namespace
}  // namespace throng
