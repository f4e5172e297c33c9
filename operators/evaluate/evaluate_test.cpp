// evaluate: every measure against plain sums over the rows, on all rank counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/random.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

struct Row {
  std::string actual, predicted, group;
  double p, y, f;
  bool held, empty;
};

std::vector<Row> rows_of(int n) {
  std::vector<Row> rows;
  for (int i = 0; i < n; ++i) {
    Random random(17, uint64_t(i));
    Row row;
    row.actual = std::string(1, "aaabbc"[random.below(6)]);
    row.predicted = random.uniform() < 0.6 ? row.actual : std::string(1, "abcd"[random.below(4)]);
    row.group = random.below(3) ? "x" : "y";
    row.p = std::round(100 * std::min(1.0, std::max(0.0, (row.actual == "a" ? 0.65 : 0.4) + 0.2 * random.normal()))) / 100;
    row.y = 3 + 2 * random.normal(), row.f = row.y + 0.5 + random.normal();
    row.held = random.below(2), row.empty = random.below(20) == 0;
    rows.push_back(row);
  }
  return rows;
}

std::string job(const std::vector<Row>& rows, const testing::TemporaryFolder& folder, const std::string& parameters) {
  std::string text = "ts,actual,predicted,group,p,y,f,holdout,number\n";
  int64_t ts = 1'700'000'000;
  for (const auto& r : rows) text += fmt::format("{},{},{},{},{},{:.6f},{:.6f},{},{}\n", ts, r.actual, r.empty ? "" : r.predicted, r.group, r.p, r.y, r.f, r.held, ts), ++ts;
  folder.write("p.csv", text);
  return "job: j\nsteps:\n  p: { op: read_events, path: p.csv, partitions: 7, types: { p: float64, y: float64, f: float64, holdout: bool } }\n  e: { op: evaluate, from: p" + parameters + " }\n";
}

struct Result {
  double value, low, high;
  int64_t rows;
};
// By group, measure, class.
std::map<std::string, Result> measured(const std::vector<Row>& rows, const std::string& parameters, json* result = nullptr) {
  testing::TemporaryFolder folder;
  const auto run = testing::run_on_all_rank_counts(job(rows, folder, parameters), folder);
  if (result) *result = run.steps.at("e").metrics["result"];
  const auto batch = run.rows("e");
  std::map<std::string, Result> all;
  auto text = [&](const char* name, int64_t r) { return batch.column(name).is_valid(r) ? std::string(batch.column(name).string(r)) : ""; };
  auto number = [&](const char* name, int64_t r) { return batch.column(name).is_valid(r) ? batch.column(name).as_double(r) : std::nan(""); };
  const bool grouped = parameters.find("by:") != std::string::npos;
  for (int64_t r = 0; r < batch.num_rows(); ++r)
    all[(grouped ? text("group", r) + " " : "") + text("measure", r) + (text("class", r).empty() ? "" : " " + text("class", r))] = {number("value", r), number("low", r), number("high", r), batch.column("rows").as_int64(r)};
  return all;
}

TEST(Evaluate, ClassesAgainstPlainCounts) {
  const auto rows = rows_of(600);
  json result;
  const auto m = measured(rows, "", &result);
  std::map<std::string, double> there, foretold, right;
  std::set<std::string> classes;
  double n = 0, hits = 0;
  for (const auto& r : rows) {
    if (!r.held || r.empty) continue;
    n += 1, ++there[r.actual], ++foretold[r.predicted], classes.insert(r.actual), classes.insert(r.predicted);
    if (r.actual == r.predicted) ++right[r.actual], hits += 1;
  }
  double macro[3] = {}, weighted[3] = {};
  ASSERT_EQ(classes.size(), 4u) << "d is foretold, but never there";
  for (const auto& c : classes) {
    const double precision = right[c] / foretold[c], recall = there[c] > 0 ? right[c] / there[c] : 0, f1 = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
    const double three[] = {precision, recall, f1};
    for (int k = 0; k < 3; ++k) {
      EXPECT_NEAR(m.at(std::string(k == 0 ? "precision " : k == 1 ? "recall " : "f1 ") + c).value, three[k], 1e-12);
      macro[k] += three[k] / 4, weighted[k] += three[k] * there[c] / n;
    }
  }
  const char* names[] = {"precision_", "recall_", "f1_"};
  for (int k = 0; k < 3; ++k) {
    EXPECT_NEAR(m.at(std::string(names[k]) + "macro").value, macro[k], 1e-12);
    EXPECT_NEAR(m.at(std::string(names[k]) + "weighted").value, weighted[k], 1e-12);
    EXPECT_NEAR(m.at(std::string(names[k]) + "micro").value, hits / n, 1e-12);
  }
  EXPECT_NEAR(m.at("accuracy").value, hits / n, 1e-12);
  EXPECT_EQ(m.at("accuracy").rows, int64_t(n));
  const double error = std::sqrt(hits / n * (1 - hits / n) / n);
  EXPECT_NEAR(m.at("accuracy").low, hits / n - 1.96 * error, 0.3 * error);
  EXPECT_NEAR(m.at("accuracy").high, hits / n + 1.96 * error, 0.3 * error);
  EXPECT_EQ(result["accuracy"].get<double>(), m.at("accuracy").value);
  EXPECT_EQ(result["rows"], int64_t(n));
  EXPECT_THAT(result["protocol"].get<std::string>(), HasSubstr("held-out rows: those that are marked; classes"));
}

TEST(Evaluate, ScoresAgainstAllPairs) {
  const auto rows = rows_of(400);
  const auto m = measured(rows, ", score: p, positive: a, rows: all");
  std::vector<const Row*> used;
  for (const auto& r : rows)
    if (!r.empty) used.push_back(&r);
  double pairs = 0, won = 0, loss = 0, brier = 0;
  for (const Row* a : used) {
    const bool positive = a->actual == "a";
    const double kept = std::min(1 - 1e-15, std::max(1e-15, a->p));
    loss -= std::log(positive ? kept : 1 - kept), brier += std::pow(a->p - double(positive), 2);
    for (const Row* b : used)
      if (positive && b->actual != "a") pairs += 1, won += a->p > b->p ? 1 : a->p == b->p ? 0.5 : 0;
  }
  EXPECT_NEAR(m.at("auc").value, won / pairs, 1e-12);
  EXPECT_NEAR(m.at("log_loss").value, loss / double(used.size()), 1e-12);
  EXPECT_NEAR(m.at("brier").value, brier / double(used.size()), 1e-12);
  // Hanley and McNeil's error of an area is near DeLong's.
  const double area = won / pairs, q1 = area / (2 - area), q2 = 2 * area * area / (1 + area);
  double positives = 0;
  for (const Row* r : used) positives += r->actual == "a";
  const double negatives = double(used.size()) - positives;
  const double error = std::sqrt((area * (1 - area) + (positives - 1) * (q1 - area * area) + (negatives - 1) * (q2 - area * area)) / (positives * negatives));
  EXPECT_NEAR(m.at("auc").high - m.at("auc").low, 2 * 1.96 * error, 0.3 * error);
  EXPECT_TRUE(m.contains("accuracy"));
}

TEST(Evaluate, LikelihoodsOfAnyNumberOfClasses) {
  auto rows = rows_of(300);
  for (size_t i = 0; i < rows.size(); ++i) rows[i].held = i >= 100;
  for (const bool none : {false, true}) {
    json result;
    const auto m = measured(rows, std::string(", likelihood: p") + (none ? ", predicted: \"\"" : ""), &result);
    std::vector<double> losses;
    for (const auto& r : rows)
      if (r.held && (none || !r.empty)) losses.push_back(-std::log(std::max(1e-15, r.p)));
    double sum = 0, squares = 0;
    for (double l : losses) sum += l, squares += l * l;
    const double n = double(losses.size()), mean = sum / n, error = std::sqrt((squares / n - mean * mean) / (n - 1));
    EXPECT_NEAR(m.at("log_loss").value, mean, 1e-12);
    EXPECT_NEAR(m.at("log_loss").high, mean + 1.96 * error, 1e-4 * error);
    EXPECT_NEAR(m.at("perplexity").value, std::exp(mean), 1e-12);
    EXPECT_EQ(m.at("perplexity").low, std::exp(m.at("log_loss").low));
    EXPECT_EQ(m.at("perplexity").rows, int64_t(n));
    EXPECT_EQ(m.contains("accuracy"), !none);
    EXPECT_FALSE(m.contains("auc"));
    EXPECT_THAT(result["protocol"].get<std::string>(), HasSubstr("held-out rows: those that are marked, all newer than any training row (a split by time); classes"));
  }
}

TEST(Evaluate, NumbersAgainstPlainSums) {
  const auto rows = rows_of(500);
  const auto m = measured(rows, ", actual: y, predicted: f, by: [group]");
  for (const std::string group : {"x", "y"}) {
    std::vector<double> errors, values;
    for (const auto& r : rows)
      if (r.held && r.group == group) errors.push_back(std::stod(fmt::format("{:.6f}", r.f)) - std::stod(fmt::format("{:.6f}", r.y))), values.push_back(std::stod(fmt::format("{:.6f}", r.y)));
    const double n = double(errors.size());
    auto mean_of = [&](const std::vector<double>& v, const auto& f) {
      double sum = 0;
      for (double x : v) sum += f(x);
      return sum / n;
    };
    const double mse = mean_of(errors, [](double e) { return e * e; }), mean = mean_of(values, [](double y) { return y; });
    EXPECT_NEAR(m.at(group + " mse").value, mse, 1e-9);
    EXPECT_NEAR(m.at(group + " rmse").value, std::sqrt(mse), 1e-9);
    EXPECT_NEAR(m.at(group + " mae").value, mean_of(errors, [](double e) { return std::abs(e); }), 1e-9);
    EXPECT_NEAR(m.at(group + " bias").value, mean_of(errors, [](double e) { return e; }), 1e-9);
    EXPECT_NEAR(m.at(group + " r2").value, 1 - mse / mean_of(values, [&](double y) { return (y - mean) * (y - mean); }), 1e-9);
    const double bias = mean_of(errors, [](double e) { return e; }), error = std::sqrt(mean_of(errors, [&](double e) { return (e - bias) * (e - bias); }) / (n - 1));
    EXPECT_NEAR(m.at(group + " bias").low, bias - 1.96 * error, 1e-3 * error);
    EXPECT_NEAR(m.at(group + " mse").high - mse, 1.96 * std::sqrt(mean_of(errors, [&](double e) { return std::pow(e * e - mse, 2); }) / (n - 1)), 1e-4);
    EXPECT_EQ(m.at(group + " mse").rows, int64_t(n));
  }
}

// Groups may hold anything; a class may be an empty text; far from 0 the spread is still right.
TEST(Evaluate, OddValues) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 40; ++i)
    text += fmt::format("{{\"ts\":{},\"actual\":\"{}\",\"predicted\":\"x\",\"g\":{},\"y\":{:.4f},\"f\":{:.4f}}}\n", 1'700'000'000 + i, i % 4 ? "x" : "", i % 3 == 0 ? "null" : i % 3 == 1 ? "\"a:1-\\u001f\"" : "\"\"", 1e8 + i % 5, 1e8 + i % 5 + 0.5 * (i % 2));
  folder.write("p.jsonl", text);
  const auto run = testing::run_on_all_rank_counts("job: j\nsteps:\n  p: { op: read_events, path: p.jsonl, partitions: 7 }\n  c: { op: evaluate, from: p, by: [g] }\n  all: { op: evaluate, from: p }\n  n: { op: evaluate, from: p, actual: y, predicted: f }\n", folder);
  const auto rows = run.rows("c");
  std::map<std::string, int64_t> groups;
  for (int64_t r = 0; r < rows.num_rows(); ++r)
    if (rows.column("measure").string(r) == "accuracy") groups[rows.column("g").is_valid(r) ? "=" + std::string(rows.column("g").string(r)) : "null"] = rows.column("rows").as_int64(r);
  EXPECT_EQ(groups, (std::map<std::string, int64_t>{{"null", 14}, {"=a:1-\x1f", 13}, {"=", 13}}));
  const json all = run.steps.at("all").metrics["result"], numbers = run.steps.at("n").metrics["result"];
  EXPECT_EQ(all["accuracy"], 0.75);
  EXPECT_FALSE(all.contains("precision")) << "that of the class without letters is not of all";
  double squares = 0;
  for (int i = 0; i < 40; ++i) squares += std::pow(i % 5 - 2, 2);
  EXPECT_NEAR(numbers["r2"].get<double>(), 1 - 20 * 0.25 / squares, 1e-6);
}

TEST(Evaluate, ParametersAndEdges) {
  const auto rows = rows_of(200);
  const auto none = measured(rows, ", bootstrap: 0"), usual = measured(rows, "");
  EXPECT_EQ(none.at("accuracy").value, usual.at("accuracy").value);
  EXPECT_TRUE(std::isnan(none.at("accuracy").low));
  EXPECT_NE(measured(rows, ", bootstrap: 20").at("accuracy").low, usual.at("accuracy").low);
  EXPECT_NE(measured(rows, ", rows: all").at("accuracy").rows, usual.at("accuracy").rows);
  EXPECT_TRUE(measured(rows, ", actual: y, predicted: f, task: regression").contains("rmse"));
  auto one_class = rows;
  for (auto& r : one_class) r.actual = "a";
  json result;
  EXPECT_TRUE(std::isnan(measured(one_class, ", score: p, positive: a, predicted: \"\"", &result).at("auc").value));
  EXPECT_FALSE(result.contains("accuracy"));
  EXPECT_FALSE(result.contains("auc"));
  auto nothing = rows;
  for (auto& r : nothing) r.held = false;
  EXPECT_TRUE(measured(nothing, "", &result).empty());
  EXPECT_EQ(result["rows"], 0);
}

TEST(Evaluate, BadParametersAndDataAreErrors) {
  testing::TemporaryFolder folder;
  const auto rows = rows_of(300);
  auto error = [&](const std::string& more) { return testing::error_of([&] { testing::run_job(job(rows, folder, more), folder, "out"); }); };
  for (const char* more : {", predicted: none", ", actual: y, predicted: f, task: classification", ", actual: actual, task: regression", ", score: p", ", positive: a", ", score: group, positive: a", ", actual: y, predicted: f, score: p, positive: a",
                           ", likelihood: group", ", likelihood: p, score: p, positive: a", ", actual: y, predicted: f, likelihood: p", ", by: [p]", ", rows: some", ", predicted: \"\"", ", predicted: foretold, score: p, positive: a"})
    EXPECT_EQ(error(more).fault(), Fault::kJob) << more;
  EXPECT_THAT(error(", score: p, positive: A").text(), HasSubstr("no row has 'A'"));
  EXPECT_THAT(error(", actual: number, predicted: number, rows: all, bootstrap: 100000").text(), HasSubstr("lower 'bootstrap'"));
  for (const char* more : {", score: y, positive: a", ", likelihood: y"}) EXPECT_THAT(error(more).text(), HasSubstr("expected probabilities from 0 to 1")) << more;
}

}  // namespace
}  // namespace throng
