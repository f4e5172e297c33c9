// The scores of train_sequence: labels and baselines against a plain recount of the events.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "framework/base/random.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using nlohmann::json;

constexpr int64_t kStart = 1'700'000'000, kCut = kStart + 20 * 600;
const std::string kSmall = "hidden: 4, embedding: 3, epochs: 1, batch: 16";

struct Event {
  int64_t ts;
  std::string action;
  double value;
  bool train() const { return ts < kCut; }
};
using Histories = std::map<std::string, std::vector<Event>>;  // by user, in time order

// Sticky actions of uneven frequency; `d` appears after the cut only.
Histories made_up(int users, int length) {
  Histories all;
  for (int u = 0; u < users; ++u)
    for (int i = 0; i < length; ++i) {
      Random random(23, uint64_t(u), uint64_t(i));
      int64_t ts = kStart + i * 600 + random.below(500);
      auto& history = all["u" + std::to_string(u)];
      std::string action = !history.empty() && random.uniform() < 0.4 ? history.back().action : std::string(1, "aaabbc"[random.below(6)]);
      if (ts >= kCut && random.uniform() < 0.1) action = "d";
      history.push_back({ts, action, std::round(100 * random.normal()) / 100});
    }
  return all;
}

std::string lines(const Histories& all) {
  std::string text;
  for (size_t i = 0; i < all.begin()->second.size(); ++i)
    for (const auto& [user, history] : all)
      text += json{{"user", user}, {"ts", history[i].ts}, {"action", history[i].action}, {"value", history[i].value}}.dump() + "\n";
  return text;
}

testing::JobRun learn(const Histories& all, const testing::TemporaryFolder& folder, const std::string& parameters, const std::string& out = "out",
                      const std::string& between = "") {
  folder.write("events.jsonl", lines(all));
  return testing::run_job("job: judge\nsteps:\n  events: { op: read_events, path: events.jsonl }\n  split: { op: split, from: events, at: \"" + std::to_string(kCut) +
                              "\" }\n" + between + "  next: { op: train_sequence, from: " + (between.empty() ? "split" : "cut") + ", " + kSmall + ", " + parameters + " }\n",
                          folder, out, {2, 1});
}

TEST(Judge, BaselinesOfCategoriesEqualARecount) {
  testing::TemporaryFolder folder;
  const Histories all = made_up(25, 30);
  auto run = learn(all, folder, "target: action");
  json result = run.steps.at("next").metrics["result"];

  std::map<std::string, int64_t> count;
  std::map<std::string, std::map<std::string, int64_t>> after;
  for (const auto& [user, h] : all)
    for (size_t i = 0; i < h.size(); ++i) {
      if (!h[i].train()) continue;
      ++count[h[i].action];
      if (i > 0) ++after[h[i - 1].action][h[i].action];
    }
  std::vector<std::string> classes;
  for (const auto& [action, n] : count) classes.push_back(action);
  std::stable_sort(classes.begin(), classes.end(), [&](const auto& a, const auto& b) { return count[a] > count[b]; });
  auto best_after = [&](const std::string& now, const std::string& except) {
    std::string best;
    for (const auto& c : classes)
      if (c != except && after.count(now) && after[now][c] > (best.empty() ? 0 : after[now][best])) best = c;
    if (!best.empty()) return best;
    return classes[0] != except ? classes[0] : classes[1];
  };
  double examples = 0, popular = 0, last = 0, markov = 0, switches = 0, popular_switch = 0, markov_switch = 0, unknown = 0, known = 0, loss = 0;
  for (const auto& [user, h] : all)
    for (size_t i = 0; i + 1 < h.size(); ++i) {
      const std::string &now = h[i].action, &next = h[i + 1].action;
      if (h[i + 1].train()) continue;
      ++examples;
      unknown += next == "d";
      popular += next == classes[0], last += next == now && next != "d", markov += next == best_after(now, "");
      if (next != "d") {
        double total = 0;
        for (const auto& [action, n] : after[now]) total += double(n);
        ++known, loss -= std::log((double(after[now][next]) + 1) / (total + double(classes.size())));
      }
      if (next == now) continue;
      ++switches, popular_switch += next == (classes[0] == now ? classes[1] : classes[0]), markov_switch += next == best_after(now, now);
    }
  ASSERT_GT(unknown, 5);
  EXPECT_EQ(result["holdout_examples"], examples);
  EXPECT_EQ(result["unknown_targets"], unknown);
  EXPECT_NEAR(result["accuracy"]["popular"], popular / examples, 1e-12);
  EXPECT_NEAR(result["accuracy"]["repeat_last"], last / examples, 1e-12);
  EXPECT_NEAR(result["accuracy"]["markov"], markov / examples, 1e-12);
  EXPECT_NEAR(result["log_loss"]["markov"], loss / known, 1e-9);
  EXPECT_EQ(result["switches"], switches);
  EXPECT_NEAR(result["switch_accuracy"]["popular"], popular_switch / switches, 1e-12);
  EXPECT_NEAR(result["switch_accuracy"]["markov"], markov_switch / switches, 1e-12);

  auto rows = run.rows("next");
  ASSERT_EQ(rows.num_rows(), examples);
  double right = 0;
  for (int64_t r = 0; r < rows.num_rows(); ++r)
    right += rows.column("actual").is_valid(r) && rows.column("actual").string(r) == rows.column("predicted").string(r);
  EXPECT_NEAR(result["accuracy"]["model"], right / examples, 1e-12);
}

// Rows of a user are not independent: the interval is that of a ratio of sums over users.
TEST(Judge, IntervalsAreThoseOfUsers) {
  testing::TemporaryFolder folder;
  const Histories all = made_up(80, 30);
  const auto run = learn(all, folder, "target: action"), none = learn(all, folder, "target: action, bootstrap: 0", "none");
  const json result = run.steps.at("next").metrics["result"];
  std::map<std::string, std::pair<double, double>> users;  // examples, right ones
  double loss = 0, with_loss = 0;
  const auto rows = run.rows("next");
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    auto& [n, right] = users[std::string(rows.column("user").string(r))];
    const bool known = rows.column("actual").is_valid(r), hit = known && rows.column("actual").string(r) == rows.column("predicted").string(r);
    n += 1, right += hit;
    ASSERT_EQ(rows.column("likelihood").is_valid(r), known);
    if (!known) continue;
    const double likelihood = rows.column("likelihood").as_double(r), best = rows.column("probability").as_double(r);
    loss -= std::log(likelihood), with_loss += 1;
    EXPECT_TRUE(hit ? likelihood == best : likelihood <= best);
  }
  EXPECT_NEAR(result["log_loss"]["model"], loss / with_loss, 1e-9);
  const double n = double(rows.num_rows()), share = result["accuracy"]["model"];
  double variance = 0;
  for (const auto& [user, counts] : users) variance += std::pow(counts.second - share * counts.first, 2) / (n * n);
  const double error = std::sqrt(variance);
  ASSERT_GT(error, 0.005);
  EXPECT_NEAR(result["interval95"]["accuracy"][0], share - 1.96 * error, 0.3 * error);
  EXPECT_NEAR(result["interval95"]["accuracy"][1], share + 1.96 * error, 0.3 * error);
  for (const char* name : {"log_loss", "hit_rate_at_5"}) {
    const double value = name == std::string("log_loss") ? result[name]["model"].get<double>() : result[name].get<double>();
    EXPECT_LE(result["interval95"][name][0], value) << name;
    EXPECT_GE(result["interval95"][name][1], value) << name;
  }
  EXPECT_THAT(result["protocol"].get<std::string>(), ::testing::HasSubstr("intervals: percentiles of 1000 Poisson bootstrap samples"));
  EXPECT_THAT(result["protocol"].get<std::string>(), ::testing::HasSubstr("held out: rows that are marked, all newer than any training row (a split by time)"));
  const json without = none.steps.at("next").metrics["result"];
  EXPECT_FALSE(without.contains("interval95"));
  EXPECT_EQ(without["accuracy"], result["accuracy"]);
  EXPECT_THAT(without["protocol"].get<std::string>(), ::testing::Not(::testing::HasSubstr("intervals")));
  const json event = learn(all, folder, "event: b, within: 20m", "event").steps.at("next").metrics["result"];
  EXPECT_THAT(event["protocol"].get<std::string>(), ::testing::HasSubstr("after each held-out row whose whole wait lies within the data"));
  EXPECT_LT(event["interval95"]["log_loss"][0], event["log_loss"]["model"]);
  EXPECT_GT(event["interval95"]["accuracy"][1], event["accuracy"]["model"]);
  const json number = learn(all, folder, "target: value", "number").steps.at("next").metrics["result"];
  EXPECT_LT(number["interval95"]["rmse"][0], number["rmse"]["model"]);
  EXPECT_GT(number["interval95"]["rmse"][1], number["rmse"]["model"]);
}

TEST(Judge, BaselinesOfNumbersEqualARecount) {
  testing::TemporaryFolder folder;
  const Histories all = made_up(25, 30);
  auto run = learn(all, folder, "target: value");
  double sum = 0, n = 0;
  for (const auto& [user, h] : all)
    for (const auto& e : h)
      if (e.train()) sum += e.value, ++n;
  double mean_error = 0, last_error = 0, examples = 0;
  for (const auto& [user, h] : all)
    for (size_t i = 1; i < h.size(); ++i)
      if (!h[i].train()) ++examples, mean_error += std::pow(h[i].value - sum / n, 2), last_error += std::pow(h[i].value - h[i - 1].value, 2);
  json result = run.steps.at("next").metrics["result"];
  EXPECT_EQ(result["holdout_examples"], examples);
  EXPECT_NEAR(result["rmse"]["mean"], std::sqrt(mean_error / examples), 1e-6);
  EXPECT_NEAR(result["rmse"]["repeat_last"], std::sqrt(last_error / examples), 1e-6);
}

// Only rows whose whole wait lies before the end of what is known have a label; else early ends would count only when it happened.
void check_events(const std::string& between, int64_t within) {
  testing::TemporaryFolder folder;
  const Histories all = made_up(25, 30);
  auto run = learn(all, folder, fmt::format("event: c, within: {}s", within), "out", between);
  int64_t end = 0, end_training = 0;
  for (const auto& [user, h] : all)
    for (const auto& e : h) {
      end = std::max(end, e.ts);
      if (e.train()) end_training = std::max(end_training, e.ts);
    }
  std::map<std::pair<std::string, int64_t>, double> expected;
  int64_t training = 0, happened = 0;
  for (const auto& [user, h] : all)
    for (size_t i = 0; i < h.size(); ++i) {
      if ((h[i].train() ? end_training : end) - h[i].ts < within) continue;
      training += h[i].train();
      if (h[i].train()) continue;
      bool comes = false;
      for (size_t j = i + 1; j < h.size(); ++j) comes |= h[j].action == "c" && h[j].ts - h[i].ts <= within;
      expected[{user, h[i].ts * 1'000'000}] = comes;
      happened += comes;
    }
  json result = run.steps.at("next").metrics["result"];
  auto rows = run.rows("next");
  std::map<std::pair<std::string, int64_t>, double> got;
  for (int64_t r = 0; r < rows.num_rows(); ++r) got[{std::string(rows.column("user").string(r)), rows.column("ts").as_int64(r)}] = rows.column("actual").as_double(r);
  EXPECT_EQ(got, expected);
  EXPECT_EQ(result["training_examples"], training);
  EXPECT_NEAR(result["base_rate"], double(happened) / double(std::max<size_t>(1, expected.size())), 1e-12);
}

TEST(Judge, EventLabelsEqualARecount) {
  check_events("", 1800);
}
TEST(Judge, EventLabelsLookBeyondTheSession) {
  check_events("  cut: { op: sequences, from: split, session_gap: 10m }\n", 1800);
}

}  // namespace
}  // namespace throng
