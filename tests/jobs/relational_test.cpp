// Relational and behavioural operators as whole jobs: the same rows on any number of ranks, and faults before any row is read. Their values
// are compared with pandas in scripts/fast_pandas.sh.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/base/random.h"
#include "framework/data/row_text.h"
#include "framework/data/text_input.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;

// One user in two is the same; nulls in every column but ts.
std::string events(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) {
    Random random(5, uint64_t(i));
    auto maybe = [&](const std::string& v) { return random.below(17) == 0 ? std::string("null") : v; };
    const char* actions[] = {"view", "like", "buy"};
    text += fmt::format("{{\"user\":{},\"ts\":{},\"action\":{},\"item\":{},\"value\":{}}}\n", maybe(fmt::format("\"u{}\"", random.below(2) ? 0 : random.below(40))),
                        1'700'000'000 + int64_t(random.below(400)) * 1800, maybe(fmt::format("\"{}\"", actions[random.below(3)])), maybe(fmt::format("\"i{}\"", random.below(9))),
                        maybe(fmt::format("{}", double(random.below(2000)) / 7 - 100)));
  }
  return text;
}

const std::string kEvents = "job: j\nsteps:\n  events: { op: read_events, path: e.jsonl, partitions: 11 }\n";

TEST(Relational, SameRowsOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(3000));
  testing::run_on_all_rank_counts(kEvents + R"yaml(
  agg: { op: aggregate, from: events, by: [action, "date_trunc('day', ts) as day"], aggregates: { n: count(), m: count(value), s: sum(value), a: mean(value), sd: stddev(value), vp: variance_pop(value), lo: min(value), hi: max(item), d: count_distinct(user), ad: approx_distinct(user), q: "quantile(value, 0.9)", md: median(value), t: "top_k(item, 3)", f: first(item), l: "last(value, ts)" } }
  whole: { op: aggregate, from: events, aggregates: { n: count(), s: sum(value) } }
  sorted: { op: sort, from: events, by: [-action, user] }
  lim: { op: limit, from: sorted, rows: 700, offset: 300 }
  dis: { op: distinct, from: events, on: [user, item], keep: last }
  top: { op: top_k, from: events, k: 3, order: [-value, ts], by: [action] }
  first: { op: top_k, from: events, k: 5, order: [ts] }
  per_user: { op: aggregate, from: events, by: [user], aggregates: { events: count() } }
  inner: { op: join, from: [events, per_user], on: [user] }
  full: { op: join, from: [dis, per_user], on: [user], how: full }
  asof: { op: join, from: [events, dis], on: [user], how: asof, tolerance: 2h }
  two: { op: union, from: [events, dis], source: which }
  some: { op: sample, from: events, rows: 321 }
  users: { op: sample, from: events, fraction: 0.4, by: user }
  sessions: { op: sessionize, from: events, gap: 2h, summary: true }
  windows: { op: window, from: events, kind: session, gap: 3h }
  sliding: { op: window, from: events, kind: sliding, size: 1d, slide: 12h }
  follow: { op: transitions, from: events, segment: item, within: 1d }
  steps: { op: funnel, from: events, steps: { saw: "action == 'view'", liked: "action == 'like'", bought: "action == 'buy'" } }
  back: { op: retention, from: events, period: 1d }
  wide: { op: pivot, from: events, index: [item], values: [view, buy], aggregate: mean(value), other: rest }
  last: { op: split, from: events, by: last }
)yaml", folder);
}

// A small right input held by every rank gives the rows that shuffling both gives.
TEST(Relational, BroadcastJoinGivesTheRowsOfTheShuffledOne) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(1500));
  std::string yaml = kEvents + "  some: { op: filter, from: events, where: \"value > 60\" }\n";
  for (const char* how : {"inner", "left", "semi", "anti"})
    for (const char* strategy : {"shuffle", "broadcast"})
      yaml += fmt::format("  {0}_{1}: {{ op: join, from: [events, some], on: [user, item], how: {0}, strategy: {1} }}\n", how, strategy);
  auto run = testing::run_on_all_rank_counts(yaml, folder);
  for (const char* how : {"inner", "left", "semi", "anti"}) {
    std::vector<std::vector<std::string>> found;
    for (const char* strategy : {"shuffle", "broadcast"}) {
      auto rows = run.rows(std::string(how) + "_" + strategy);
      auto& list = found.emplace_back();
      for (int64_t r = 0; r < rows.num_rows(); ++r) list.push_back(data::row_as_json(rows, r));
      std::sort(list.begin(), list.end());
    }
    EXPECT_GT(found[0].size(), 100u) << how;
    EXPECT_EQ(found[0], found[1]) << how;
  }
}

// Everything is in order over partition borders, and ties keep the input's order; the most frequent value fills several ranges.
TEST(Relational, SortIsGlobalAndStable) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(4000));
  auto run = testing::run_job(kEvents + "  numbered: { op: derive, from: events, columns: { x: value } }\n  s: { op: sort, from: numbered, by: [user, -ts] }\n", folder, "out", {3, 2});
  auto input = run.rows("numbered"), sorted = run.rows("s");
  ASSERT_EQ(sorted.num_rows(), 4000);
  std::vector<std::string> expected, got;
  std::vector<int64_t> order(4000);
  for (int64_t r = 0; r < 4000; ++r) order[size_t(r)] = r;
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const auto &user = input.column("user"), &ts = input.column("ts");
    if (user.is_valid(a) != user.is_valid(b)) return !user.is_valid(a);
    if (user.is_valid(a) && user.string(a) != user.string(b)) return user.string(a) < user.string(b);
    return ts.as_int64(a) > ts.as_int64(b);
  });
  for (int64_t r = 0; r < 4000; ++r) {
    expected.push_back(data::row_as_json(input, order[size_t(r)]));
    got.push_back(data::row_as_json(sorted, r));
  }
  EXPECT_EQ(expected, got);
  data::DatasetReader reader(engine::RunDirectory(run.folder).dataset("s"));
  int64_t largest = 0;
  for (const auto& p : reader.manifest().partitions) largest = std::max(largest, p.num_rows());
  EXPECT_LT(largest, 4000 / 11 * 2) << "half the rows have one user, and still no partition is large";
}

TEST(Relational, FaultsAreFoundBeforeAnyRowIsRead) {
  struct Case {
    const char *step, *message;
  };
  for (const Case& c : std::vector<Case>{{"{ op: aggregate, from: events, aggregates: { s: sum(item) } }", "sum of a string; expected a number"},
                                         {"{ op: aggregate, from: events, aggregates: { s: sume(value) } }", "unknown function 'sume'"},
                                         {"{ op: aggregate, from: events, aggregates: { s: value } }", "expected function(column or expression)"},
                                         {"{ op: aggregate, from: events, aggregates: { q: \"quantile(value, 2)\" } }", "between 0 and 1"},
                                         {"{ op: aggregate, from: events, by: [usr], aggregates: { n: count() } }", "usr"},
                                         {"{ op: aggregate, from: events, by: [user], aggregates: { user: count() } }", "'user' is named twice"},
                                         {"{ op: aggregate, from: events, aggregates: { t: \"top_k(item, 0)\" } }", "whole one from 1"},
                                         {"{ op: sort, from: events, by: [-usr] }", "usr"},
                                         {"{ op: top_k, from: events, k: 0, order: [ts] }", "'k' is 0"},
                                         {"{ op: join, from: [events, events], on: [user], right_on: [ts] }", "column 'user' is string, but 'ts' of the right input is timestamp"},
                                         {"{ op: join, from: [events, events], on: [user], how: full, strategy: broadcast }", "expected inner, left, semi or anti"},
                                         {"{ op: join, from: events, on: [user] }", "op 'join' takes 2"},
                                         {"{ op: sample, from: events, fraction: 0.5, rows: 3 }", "either 'fraction' or 'rows'"},
                                         {"{ op: window, from: events, kind: sliding, size: 1d, slide: 7h }", "divides 'size'"},
                                         {"{ op: window, from: events, kind: hopping }", "hopping"},
                                         {"{ op: explode, from: events, column: user }", "expected a list"},
                                         {"{ op: funnel, from: events, steps: { one: \"action == 'view'\" } }", "expected at least 2"},
                                         {"{ op: retention, from: events, start: value }", "conditions"},
                                         {"{ op: pivot, from: events, index: [user], values: [user] }", "two columns would be named 'user'"},
                                         {"{ op: write, from: events, path: out.h5.gz }", "only .csv and .jsonl are compressed"},
                                         {"{ op: write, from: events, path: out.csv, compression: gzip }", "'compression' is of a dataset"},
                                         {"{ op: write, from: events, path: out, compression: zstd }", "'compression' is 'zstd'"},
                                         {"{ op: write, from: events, path: out, compression: gzip, level: 10 }", "'level' is 10"},
                                         {"{ op: limit, from: events, rows: -1 }", "'rows' is -1"}}) {
    testing::TemporaryFolder folder;
    folder.write("e.jsonl", events(20));
    try {
      testing::run_job(kEvents + "  s: " + c.step + "\n", folder, "out");
      ADD_FAILURE() << c.step;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kJob) << c.step;
      EXPECT_THAT(e.text(), HasSubstr(c.message)) << c.step;
    }
  }
}

TEST(Relational, WrittenFilesComeBackAndAreTheSameOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(500));
  const std::string yaml = kEvents + "  sorted: { op: sort, from: events, by: [ts] }\n"
                                     "  csv: { op: write, from: sorted, path: files/out.csv }\n  packed: { op: write, from: sorted, path: files/out.jsonl.gz }\n"
                                     "  folder: { op: write, from: sorted, path: files/table }\n";
  std::string csv;
  for (int ranks : {1, 4}) {
    const std::string out = "out" + std::to_string(ranks);
    testing::run_job(yaml, folder, out, {ranks, 2});
    std::string text = read_file(folder / (out + "/files/out.csv"));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 501);
    if (ranks == 1) csv = text;
    EXPECT_EQ(text, csv);
    EXPECT_EQ(data::DatasetReader(folder / (out + "/files/table")).manifest().num_rows(), 500);
    for (const auto& entry : std::filesystem::directory_iterator(folder / (out + "/files"))) EXPECT_FALSE(entry.path().filename().string().starts_with(".")) << entry.path();
    // The packed rows are read again as events.
    auto again = testing::run_job("job: again\nsteps:\n  e: { op: read_events, path: " + out + "/files/out.jsonl.gz }\n", folder, "again" + std::to_string(ranks));
    EXPECT_EQ(again.steps.at("e").rows, 500);
  }
  // A file that is gone is written again, though the step has not changed.
  std::filesystem::remove(folder / "out1/files/out.csv");
  testing::run_job(yaml, folder, "out1");
  EXPECT_EQ(read_file(folder / "out1/files/out.csv"), csv);
}

}  // namespace
}  // namespace throng
