// clean: what is dropped, filled and scaled, against a plain loop; held-out rows teach it nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

constexpr int64_t kCut = 1'700'000'000 + 300 * 60;

struct Row {
  std::string user;
  int64_t ts;
  std::optional<double> value, price;
  std::optional<std::string> city;
};

std::vector<Row> made_up(int n) {
  std::vector<Row> rows;
  for (int i = 0; i < n; ++i) {
    Random random(31, uint64_t(i));
    Row row{fmt::format("u{}", random.below(9)), 1'700'000'000 + i * 60, {}, {}, {}};
    if (random.below(5)) row.value = double(random.below(6)) - 2;
    if (random.below(6)) row.price = 1e6 + random.normal();
    if (random.below(4)) row.city = std::string(1, "xyz"[random.below(3)]);
    rows.push_back(row);
  }
  return rows;
}

std::string lines(const std::vector<Row>& rows) {
  std::string text;
  for (const auto& r : rows)
    text += fmt::format("{{\"user\":\"{}\",\"ts\":{},\"action\":\"x\",\"value\":{},\"price\":{},\"city\":{}}}\n", r.user, r.ts, r.value ? fmt::format("{:.17g}", *r.value) : "null",
                        r.price ? fmt::format("{:.17g}", *r.price) : "null", r.city ? "\"" + *r.city + "\"" : "null");
  return text;
}

const std::string kJob = "job: j\nsteps:\n  events: { op: read_events, path: events.jsonl, partitions: 5, types: {price: float64, city: string} }\n  split: { op: split, from: events, at: \"" +
                         std::to_string(kCut) + "\" }\n  clean: { op: clean, from: split, ";

TEST(Clean, EqualsAPlainLoop) {
  testing::TemporaryFolder folder;
  auto rows = made_up(500);
  folder.write("events.jsonl", lines(rows));
  auto run = testing::run_on_all_rank_counts(
      kJob + "required: [value], valid: \"value > -2\", duplicate_key: [user, value, city], fill: {city: none, price: mean}, normalize: {price: zscore, value: minmax} }\n", folder);

  std::vector<Row> kept;
  std::set<std::tuple<std::string, double, std::optional<std::string>>> seen;
  for (const auto& r : rows)
    if (r.value && *r.value > -2 && seen.insert({r.user, *r.value, r.city}).second) kept.push_back(r);
  double n = 0, sum = 0, squares = 0, low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& r : kept) {
    if (r.ts >= kCut) continue;
    low = std::min(low, *r.value), high = std::max(high, *r.value);
    if (r.price) ++n, sum += *r.price;
  }
  for (const auto& r : kept)
    if (r.ts < kCut && r.price) squares += std::pow(*r.price - sum / n, 2);
  auto got = run.rows("clean");
  ASSERT_EQ(got.num_rows(), int64_t(kept.size()));
  for (int64_t i = 0; i < got.num_rows(); ++i) {
    const Row& r = kept[size_t(i)];
    EXPECT_EQ(got.column("ts").as_int64(i), r.ts * 1'000'000);
    EXPECT_EQ(got.column("city").string(i), r.city.value_or("none"));
    EXPECT_NEAR(got.column("value").as_double(i), (*r.value - low) / (high - low), 1e-12);
    EXPECT_NEAR(got.column("price").as_double(i), r.price ? (*r.price - sum / n) / std::sqrt(squares / n) : 0, 1e-6);
  }
}

TEST(Clean, RowsThatAreEqualInAllColumnsAreDroppedOnce) {
  testing::TemporaryFolder folder;
  auto rows = made_up(60);
  auto twice = rows;
  for (size_t i = 0; i < rows.size(); i += 2) twice.push_back(rows[i]), twice.push_back(rows[i]);
  folder.write("events.jsonl", lines(twice));
  EXPECT_EQ(testing::run_on_all_rank_counts(kJob + "normalize: {value: log1p} }\n", folder).rows("clean").num_rows(), 60);
  testing::TemporaryFolder other;
  other.write("events.jsonl", lines(twice));
  auto kept = testing::run_on_all_rank_counts(kJob + "duplicates: keep, normalize: {value: log1p} }\n", other).rows("clean");
  ASSERT_EQ(kept.num_rows(), 120);
  for (int64_t i = 0; i < 120; ++i) {
    const auto& value = twice[size_t(i)].value;
    ASSERT_EQ(kept.column("value").is_valid(i), value.has_value());
    if (!value) continue;
    EXPECT_NEAR(kept.column("value").as_double(i), std::copysign(std::log1p(std::fabs(*value)), *value), 1e-12);
  }
}

TEST(Clean, HeldOutRowsTeachNothing) {
  testing::TemporaryFolder folder;
  const std::string yaml = kJob + "fill: {price: min, value: max}, normalize: {price: zscore, value: minmax} }\n";
  auto rows = made_up(500);
  auto state = [&](const std::string& out) {
    folder.write("events.jsonl", lines(rows));
    auto run = testing::run_job(yaml, folder, out, {3, 1});
    return data::ArrayStore::load(engine::RunDirectory(run.folder).state("clean") / "clean.h5").content_hash();
  };
  auto before = state("before");
  for (auto& r : rows)
    if (r.ts >= kCut) r.value = -1e9, r.price = 1e12;
  EXPECT_EQ(before, state("after"));
  rows[3].price = 5;
  EXPECT_NE(before, state("changed"));
}

}  // namespace
}  // namespace throng
