// fill_gaps: the grid of every range, over changes of clocks, with what fills the gaps; the same on any number of ranks; faults. Compared
// with pandas in tests/scripts/fast_pandas.sh.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "framework/base/random.h"
#include "framework/data/row_text.h"
#include "framework/data/time.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;

const std::string kRead = "job: j\nsteps:\n  events: { op: read_events, path: e.jsonl, partitions: 5, types: { n: int32, price: float32, flag: bool, tags: list<string> } }\n";

// Hours that some of 12 items have, item i9 only one; now and then an hour twice.
std::string events() {
  std::string text;
  for (int k = 0; k < 300; ++k) {
    Random random(4, uint64_t(k));
    const uint32_t item = random.below(12);
    text += fmt::format("{{\"item\":{},\"ts\":{},\"n\":{},\"price\":{},\"flag\":true,\"text\":\"t{}\",\"tags\":[\"a\",\"b\"]}}\n", item == 11 ? std::string("null") : fmt::format("\"i{}\"", item),
                        1'700'006'400 + 3600 * int64_t(item == 9 ? 50 : 10 * item % 30 + random.below(90)), random.below(9), random.below(4) ? fmt::format("{}", random.below(99)) : "null", k);
  }
  return text;
}

std::string text_of(const data::Column& c, int64_t r) { return c.is_valid(r) ? std::string(c.string(r)) : "null"; }

// Hours of each key of a result, in order, and whether the hour was there before.
using Series = std::map<std::string, std::vector<int64_t>>;
Series series(const data::Batch& rows) {
  Series out;
  for (int64_t r = 0; r < rows.num_rows(); ++r) out[text_of(rows.column("item"), r)].push_back(rows.column("ts").as_int64(r) / 3'600'000'000);
  return out;
}

TEST(FillGaps, EveryRangeHasItsGridOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events());
  auto run = testing::run_on_all_rank_counts(kRead + R"yaml(
  seen: { op: filter, from: events, where: "true" }
  all: { op: fill_gaps, from: events, by: [item], every: 1h, fill: { n: 0, price: previous } }
  key: { op: fill_gaps, from: events, by: [item], every: 1h, range: key }
  given: { op: fill_gaps, from: events, by: [item], every: 1h, start: 2023-11-14T12:00:00Z, end: 2023-11-18 }
  until: { op: fill_gaps, from: events, by: [item], every: 1h, end: 2023-11-18 }
  one: { op: fill_gaps, from: events, every: 1h, fill: { text: none, flag: "false" } }
)yaml", folder);
  Series seen = series(run.rows("seen"));
  int64_t least = INT64_MAX, most = 0, from = 1'699'963'200 / 3600, to = 1'700'265'600 / 3600;
  for (auto& [item, hours] : seen) std::sort(hours.begin(), hours.end()), least = std::min(least, hours.front()), most = std::max(most, hours.back());
  auto expected = [&](const std::function<int64_t(const std::vector<int64_t>&)>& first, const std::function<int64_t(const std::vector<int64_t>&)>& end) {
    Series out;
    for (const auto& [item, hours] : seen)
      for (int64_t h = first(hours); h < end(hours); ++h) out[item].insert(out[item].end(), size_t(std::max<int64_t>(1, std::count(hours.begin(), hours.end(), h))), h);
    return out;
  };
  auto constant = [](int64_t h) { return [h](const std::vector<int64_t>&) { return h; }; };
  EXPECT_EQ(series(run.rows("all")), expected(constant(least), constant(most + 1)));
  EXPECT_EQ(series(run.rows("key")), expected([](const auto& h) { return h.front(); }, [](const auto& h) { return h.back() + 1; }));
  EXPECT_EQ(series(run.rows("given")), expected(constant(from), constant(to)));
  EXPECT_EQ(series(run.rows("until")), expected(constant(least), constant(to)));
  EXPECT_GT(run.rows("all").num_rows(), 900);
  int64_t outside = 0;
  for (const auto& [item, hours] : seen) outside += std::count_if(hours.begin(), hours.end(), [&](int64_t h) { return h >= to; });
  EXPECT_GT(outside, 50);
  for (const char* step : {"given", "until"}) EXPECT_EQ(run.steps.at(step).nodes[step]["counters"]["rows_outside_range"], outside) << step;

  // What fills: n is 0, price goes on, the rest is null; the rows that were there are as they were.
  std::set<std::string> before;
  auto rows = run.rows("seen");
  for (int64_t r = 0; r < rows.num_rows(); ++r) before.insert(data::row_as_json(rows, r));
  rows = run.rows("all");
  int64_t there = 0;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    if (rows.column("text").is_valid(r)) {
      there += int64_t(before.count(data::row_as_json(rows, r)));
      continue;
    }
    EXPECT_EQ(rows.column("n").as_int64(r), 0);
    EXPECT_TRUE(rows.column("n").is_valid(r));
    EXPECT_FALSE(rows.column("tags").is_valid(r));
    const bool first = r == 0 || text_of(rows.column("item"), r) != text_of(rows.column("item"), r - 1);
    if (first) EXPECT_FALSE(rows.column("price").is_valid(r));
    else EXPECT_EQ(data::Column::compare(rows.column("price"), r, rows.column("price"), r - 1), 0);
  }
  EXPECT_EQ(there, 300);
  rows = run.rows("one");
  std::set<int64_t> distinct;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    distinct.insert(rows.column("ts").as_int64(r));
    if (rows.column("n").is_valid(r)) continue;
    EXPECT_EQ(rows.column("text").string(r), "none");
    EXPECT_TRUE(rows.column("flag").is_valid(r) && rows.column("flag").as_int64(r) == 0);
  }
  EXPECT_EQ(int64_t(distinct.size()), most - least + 1);
}

// Days of 23 and 25 hours, and windows that are shorter before midnight: the grid is that of the window operator.
TEST(FillGaps, GridFollowsTheZone) {
  for (const char* every : {"1d", "1h", "7h", "7d"}) {
    SCOPED_TRACE(every);
    testing::TemporaryFolder folder;
    folder.write("e.jsonl", "{\"ts\":\"2024-03-08T05:00:00Z\",\"n\":1}\n{\"ts\":\"2024-03-14T04:00:00Z\",\"n\":1}\n{\"ts\":\"2024-11-01T04:00:00Z\",\"n\":1}\n{\"ts\":\"2024-11-05T05:00:00Z\",\"n\":1}\n");
    auto run = testing::run_job(fmt::format("job: j\nsteps:\n  events: {{ op: read_events, path: e.jsonl, time_zone: America/New_York }}\n  w: {{ op: window, from: events, size: {0} }}\n  t: {{ op: select, from: w, columns: [window_start, n] }}\n  g: {{ op: fill_gaps, from: t, ts: window_start, every: {0} }}\n", every), folder, "out");
    const data::TimeZone zone("America/New_York");
    const int64_t width = parse_duration(every)->microseconds;
    auto rows = run.rows("g");
    std::set<int64_t> expected, got;
    for (int64_t t = 1'709'874'000'000'000; t < 1'730'782'800'000'000 + 1; t += 1'800'000'000) expected.insert(zone.window_start(t, width));
    for (int64_t r = 0; r < rows.num_rows(); ++r) got.insert(rows.column("window_start").as_int64(r));
    EXPECT_EQ(got, expected);
    EXPECT_EQ(rows.schema().at("window_start").time_zone, "America/New_York");
  }
}

TEST(FillGaps, InputsWithoutRows) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events());
  auto run = testing::run_on_all_rank_counts(kRead + R"yaml(
  none: { op: filter, from: events, where: "n > 100" }
  all: { op: fill_gaps, from: none, by: [item], every: 1h }
  given: { op: fill_gaps, from: none, by: [item], every: 1h, start: 2024-01-01, end: 2024-01-02 }
  one: { op: fill_gaps, from: none, every: 1h, start: 2024-01-01, end: 2024-01-02, fill: { n: 7 } }
  own: { op: fill_gaps, from: none, every: 1h }
)yaml", folder);
  for (const char* step : {"all", "given", "own"}) EXPECT_EQ(run.rows(step).num_rows(), 0) << step;
  auto rows = run.rows("one");
  ASSERT_EQ(rows.num_rows(), 24);
  EXPECT_EQ(rows.column("n").as_int64(23), 7);
  EXPECT_FALSE(rows.column("item").is_valid(0));
}

TEST(FillGaps, FaultsAreFoundBeforeAnyRowIsRead) {
  struct Case {
    const char *parameters, *message;
  };
  for (const Case& c : std::vector<Case>{{"by: [item]", "op 'fill_gaps' needs the parameter 'every'"},
                                         {"every: 0s", "'every' is 0; expected a duration such as 1h"},
                                         {"every: 1h, ts: n", "column 'n' is int32; expected timestamp"},
                                         {"every: 1h, by: [itm]", "did you mean 'item'"},
                                         {"every: 1h, by: [item, ts]", "'ts' is named twice"},
                                         {"every: 1h, by: [tags]", "rows cannot be grouped by it"},
                                         {"every: 1h, start: soon", "'start' is not a time: 'soon'"},
                                         {"every: 1h, start: 2024-01-01T00:30:00Z", "'start' is 2024-01-01T00:30:00Z, which is no start of 1h windows\n  hint: the one before it is 2024-01-01T00:00:00Z"},
                                         {"every: 1h, start: 2024-01-02, end: 2024-01-02", "the grid is empty"},
                                         {"every: 1s, start: 2024-01-01, end: 2025-01-01", "makes more than a million times"},
                                         {"every: 1h, range: keys", "'range' is 'keys'\n  hint: did you mean 'key'"},
                                         {"every: 1h, fill: { n: zero }", "'fill' of 'n' is 'zero'; expected a whole number (int32) or previous"},
                                         {"every: 1h, fill: { n: 3000000000 }", "expected a whole number (int32) or previous"},
                                         {"every: 1h, fill: { price: a lot }", "'fill' of 'price' is 'a lot'; expected a number or previous"},
                                         {"every: 1h, fill: { flag: 1 }", "expected true, false or previous"},
                                         {"every: 1h, fill: { tags: a }", "it can be filled by 'previous' only"},
                                         {"every: 1h, fill: { ts: previous }", "'fill' names 'ts', which is part of the key or the time"},
                                         {"every: 1h, fill: { txt: none }", "did you mean 'text'"}}) {
    testing::TemporaryFolder folder;
    folder.write("e.jsonl", events());
    try {
      testing::run_job(kRead + "  s: { op: fill_gaps, from: events, " + c.parameters + " }\n", folder, "out");
      ADD_FAILURE() << c.parameters;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kJob) << c.parameters;
      EXPECT_THAT(e.text(), HasSubstr(c.message)) << c.parameters;
    }
  }
}

TEST(FillGaps, ARowOffTheGridIsAnError) {
  for (const char* range : {"all", "key"}) {
    testing::TemporaryFolder folder;
    folder.write("e.jsonl", events() + "{\"item\":\"i1\",\"ts\":\"2023-11-15T00:00:01Z\",\"n\":1}\n");
    try {
      testing::run_job(kRead + fmt::format("  s: {{ op: fill_gaps, from: events, by: [item], every: 1h, range: {} }}\n", range), folder, "out", {2, 1});
      ADD_FAILURE() << range;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kData);
      EXPECT_THAT(e.text(), HasSubstr("'ts' is 2023-11-15T00:00:01Z, which is no start of 1h windows\n  hint: bring times to the grid first"));
    }
  }
}

// Times a million steps apart are more likely wrong than meant.
TEST(FillGaps, AGridOfTheDataIsNotEndless) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", "{\"item\":\"a\",\"ts\":\"1970-01-02T00:00:00Z\",\"n\":1}\n{\"item\":\"b\",\"ts\":\"2024-01-01T00:00:00Z\",\"n\":1}\n");
  const std::string source = "job: j\nsteps:\n  events: { op: read_events, path: e.jsonl }\n  s: { op: fill_gaps, from: events, by: [item], every: 1m, range: ";
  EXPECT_EQ(testing::run_job(source + "key }\n", folder, "key").steps.at("s").rows, 2);
  try {
    testing::run_job(source + "all }\n", folder, "all");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("makes more than a million times from 1970-01-02T00:00:00Z to 2024-01-01T00:00:00"));
  }
}

}  // namespace
}  // namespace throng
