// What ranges say of an expression, against the rows themselves; pieces that a filter need not read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/random.h"
#include "framework/data/expression.h"
#include "framework/engine/run.h"
#include "tests/support/batches.h"

namespace throng::data {
namespace {

Batch random_piece(uint64_t seed) {
  Random random(seed, 0, 0);
  const int64_t base = int64_t(random.below(20)) - 10;
  Column i(Type::kInt64), f(Type::kFloat64), s(Type::kString), t(Type::kTimestamp);
  for (int r = 0; r < 5; ++r) {
    const int64_t v = base + int64_t(random.below(6));
    const bool null = random.below(5) == 0 || seed % 17 == 3;
    null ? i.append_null() : i.append(v);
    random.below(5) == 0 ? f.append_null() : f.append(random.below(12) == 0 ? std::nan("") : double(v) / 2);
    null ? s.append_null() : s.append_string(seed % 11 == 2 ? std::string(100, 'x') : "k" + std::to_string(v + 50));
    t.append(int64_t{1'700'000'000'000'000} + v * 1'000'000);
  }
  std::vector<Column> columns;
  for (auto* c : {&i, &f, &s, &t}) columns.push_back(std::move(*c));
  return Batch(Schema{{"i", Type::kInt64}, {"f", Type::kFloat64}, {"s", Type::kString}, {"t", Type::kTimestamp}}, std::move(columns));
}

// Never false where a row holds; and false for what clearly lies outside.
TEST(Statistics, AnExpressionThatMayNotHoldDoesNot) {
  const Schema schema = random_piece(0).schema();
  int spared = 0, held = 0;
  for (const char* text : {"i == 3", "i != 3", "i < -4", "i <= -4", "i > 4", "5 <= i", "3 > i", "i == 2.5", "f > 2", "f < -2", "f == 1.5", "f >= 3.0", "f != 1", "i in (7, 8, null)", "f in (4.5)", "i between 5 and 7",
                           "s == 'k55'", "s < 'k45'", "s in ('k40', 'k41')", "s between 'k55' and 'k56'", "i is null", "i is not null", "s is null", "not (s is null)", "i > 3 and f < 0", "i > 8 or s == 'k41'",
                           "i + 1 > 4", "abs(i) > 8", "not (i > 3)", "t > '2023-11-14T22:13:25Z'", "t < '2023-11-14T22:13:15Z'", "i in (f, 3)", "i not in (1, 2)", "case when i > 3 then true else false end"}) {
    const Expression e(text, schema);
    for (uint64_t seed = 0; seed < 200; ++seed) {
      const Batch rows = random_piece(seed);
      std::map<std::string, ColumnStatistics> statistics;
      for (size_t c = 0; c < schema.size(); ++c) {
        const Column& column = rows.column(c);
        statistics[schema[c].name] = {ColumnRange::of(column), rows.num_rows(), std::count(column.valid().begin(), column.valid().end(), 0)};
      }
      const bool may = e.may_hold([&](const std::string& name) { return &statistics.at(name); });
      const auto keep = e.evaluate_filter(rows);
      const bool does = std::find(keep.begin(), keep.end(), 1) != keep.end();
      ASSERT_TRUE(may || !does) << text << ", seed " << seed;
      spared += !may, held += does;
      EXPECT_TRUE(e.may_hold([](const std::string&) { return nullptr; })) << "nothing is known";
    }
  }
  EXPECT_GT(spared, 1500);
  EXPECT_GT(held, 1500);
}

TEST(Statistics, SurviveTheManifest) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Batch rows = random_piece(seed);
    for (const auto& c : rows.columns()) {
      const ColumnRange range = ColumnRange::of(*c), back = ColumnRange::from_json(range.to_json());
      EXPECT_EQ(range.least, back.least);
      EXPECT_EQ(range.greatest, back.greatest);
    }
  }
  Column infinite(Type::kFloat64);
  infinite.append(double(-INFINITY)), infinite.append(double(INFINITY));
  const ColumnRange range = ColumnRange::from_json(ColumnRange::of(infinite).to_json());
  EXPECT_EQ(std::get<double>(range.least), -INFINITY);
  EXPECT_EQ(std::get<double>(range.greatest), INFINITY);
  Column broken(Type::kString);
  broken.append_string("\xff\xfe");
  EXPECT_TRUE(ColumnRange::of(broken).to_json().is_null());
}

TEST(Statistics, AFilterReadsOnlyWhatItMayKeep) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int r = 0; r < 20000; ++r) text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"n\":{}}}\n", r % 7, 1700000000 + r, r);
  folder.write("e.jsonl", text);
  testing::run_job("job: j\nsteps:\n  e: { op: read_events, path: e.jsonl, types: { n: int64 } }\nsave: { e: stored }\n", folder, "first");
  auto run = testing::run_on_all_rank_counts(R"(job: j
steps:
  stored: { op: read_dataset, path: first/stored }
  late: { op: filter, from: stored, where: "n >= 15000 and user != 'x'" }
  few: { op: filter, from: late, where: "user == 'u3'" }
  shared: { op: select, from: few, columns: [n] }
  again: { op: filter, from: shared, where: "n between 16000 and 16999" }
  count: { op: aggregate, from: again, by: [], aggregates: { rows: count(), least: min(n) } }
  all: { op: aggregate, from: shared, by: [], aggregates: { rows: count() } }
)", folder);
  int64_t expected = 0, least = -1;
  for (int r = 16000; r < 17000; ++r)
    if (r % 7 == 3) ++expected, least = least < 0 ? r : least;
  EXPECT_EQ(run.rows("count").column("rows").as_int64(0), expected);
  EXPECT_EQ(run.rows("count").column("least").as_int64(0), least);
  const auto& shared = run.steps.at("shared").nodes;
  EXPECT_EQ(shared["stored"]["rows"], 20000);
  EXPECT_EQ(shared["late"]["counters"]["rows_dropped"], 15000);
  const int64_t unread = shared["late"]["counters"]["rows_not_read"];
  EXPECT_GT(unread, 10000);
  EXPECT_LE(unread, 15000);
  EXPECT_GT(run.steps.at("count").nodes["again"]["counters"]["rows_not_read"], 0) << "also of what a step of this run stored";
}

}  // namespace
}  // namespace throng::data
