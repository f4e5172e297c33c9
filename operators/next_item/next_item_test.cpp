// sasrec, gru4rec, popular: the same bits on any number of ranks and after a stop, ranks against a plain count, no look at held-out rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "framework/recommend/factor_scores.h"
#include "framework/train/safetensors.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kItems = 30;

struct Taken {
  int user, item;
};

// Everyone goes round a circle of items, from a place of their own, some for longer than others.
std::vector<Taken> walks(int users, int length) {
  std::vector<Taken> all;
  for (int i = 0; i < length; ++i)
    for (int u = 0; u < users; ++u) {
      Random random(11, uint64_t(u));
      const int start = int(random.below(kItems)), own = length - int(random.below(uint32_t(length) / 2));
      if (i < own) all.push_back({u, (start + i) % kItems});
    }
  return all;
}

std::string lines(const std::vector<Taken>& taken) {
  // Rows are long, so that a small file has many partitions.
  std::string text = "user,ts,item,note\n";
  int64_t ts = 1'700'000'000;
  for (const auto& t : taken) text += fmt::format("u{},{},{},{}\n", t.user, ts++, t.item, std::string(120, 'n'));
  return text;
}

std::string job(const std::string& steps) {
  return "job: j\nsteps:\n  events: { op: read_events, path: e.csv, partitions: 11 }\n  parts: { op: split, from: events, by: last }\n" + steps;
}

const std::string kSmall = "hidden: 8, max_length: 12, epochs: 2, batch: 16, lr: 0.01, k: 3";

std::string weights_of(const testing::JobRun& run, const std::string& step) { return hash128_hex(read_file(engine::RunDirectory(run.folder).state(step) / "model.safetensors")); }

TEST(NextItem, SameBitsOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(40, 14)));
  const std::string yaml = job("  pop: { op: popular, from: parts, rank_against: 7 }\n  knn: { op: item_knn, from: parts, neighbours: 4 }\n  bert: { op: bert4rec, from: parts, " + kSmall + " }\n  sas: { op: sasrec, from: parts, heads: 2, loss: bce, negatives: 2, norm: last, activation: gelu, inner: 12, " + kSmall +
                               " }\n  full: { op: sasrec, from: parts, blocks: 1, validation: false, wire: bfloat16, stored: bfloat16, batch_rows: 70, " + kSmall + " }\n  rows: { op: sasrec, from: parts, loss: bce, sparse: true, clip: 0.1, " + kSmall + " }\n  all: { op: sasrec, from: parts, sparse: true, clip: 0.2, " + kSmall + " }\n  gru: { op: gru4rec, from: parts, loss: sampled, sample_alpha: 0.7, sparse: true, optimizer: adagrad, negatives: 7, patience: 1, " + kSmall +
                               " }\n  max: { op: gru4rec, from: parts, loss: bpr_max, negatives: 4, layers: 2, filter_seen: false, " + kSmall + " }\n");
  const auto one = testing::run_job(yaml, folder, "ranks1");
  for (int ranks : {1, 2, 3, 4, 5, 8}) {
    const auto other = testing::run_job(yaml, folder, "other", {ranks, ranks == 1 ? 2 : ranks == 2 ? 3 : 1});
    for (const char* step : {"pop", "knn", "bert", "sas", "full", "rows", "all", "gru", "max"}) {
      EXPECT_EQ(one.steps.at(step).content_hash, other.steps.at(step).content_hash) << step << " on " << ranks;
      EXPECT_EQ(one.steps.at(step).metrics["result"], other.steps.at(step).metrics["result"]) << step << " on " << ranks;
      if (one.steps.at(step).metrics.contains("curve")) {
        EXPECT_EQ(one.steps.at(step).metrics["curve"], other.steps.at(step).metrics["curve"]) << step << " on " << ranks;
        EXPECT_EQ(weights_of(one, step), weights_of(other, step)) << step << " on " << ranks;
      }
    }
  }
}

TEST(NextItem, UsersBeyondTheBudgetLieOnDisk) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(40, 14)));
  const std::string yaml = job("  knn: { op: item_knn, from: parts, neighbours: 4 }\n  bert: { op: bert4rec, from: parts, " + kSmall + " }\n  sas: { op: sasrec, from: parts, loss: bce, " + kSmall + " }\n  gru: { op: gru4rec, from: parts, sparse: true, " + kSmall + " }\n");
  const auto plenty = testing::run_job(yaml, folder, "plenty"), tight = testing::run_job(yaml, folder, "tight", {3, 1, uint64_t{512} << 10});
  for (const char* step : {"knn", "bert", "sas", "gru"}) {
    EXPECT_EQ(plenty.steps.at(step).bytes_spilled, 0u) << step;
    EXPECT_GT(tight.steps.at(step).bytes_spilled, 0u) << step;
    EXPECT_EQ(plenty.steps.at(step).content_hash, tight.steps.at(step).content_hash) << step;
    EXPECT_EQ(plenty.steps.at(step).metrics["result"], tight.steps.at(step).metrics["result"]) << step;
    if (step != std::string("knn")) {
      EXPECT_EQ(weights_of(plenty, step), weights_of(tight, step)) << step;
    }
  }
}

TEST(NextItem, LearnsWhereTheCircleGoes) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(120, 20)));
  const std::string more = ", hidden: 16, max_length: 20, batch: 16, lr: 0.01, epochs: 12, dropout: 0";
  const auto run = testing::run_job(job("  pop: { op: popular, from: parts }\n  sas: { op: sasrec, from: parts" + more + " }\n  one: { op: sasrec, from: parts, loss: bce" + more +
                                        " }\n  gru: { op: gru4rec, from: parts" + more + " }\n  knn: { op: item_knn, from: parts, recent: 1 }\n  bert: { op: bert4rec, from: parts, heads: 2, hidden: 16, max_length: 20, batch: 16, lr: 0.003, mask: 0.5, epochs: 50, dropout: 0 }\n  drawn: { op: sasrec, from: parts, loss: sampled, negatives: 6, sample_alpha: 1" + more + " }\n  bpr: { op: gru4rec, from: parts, loss: bpr, negatives: 4, sample_alpha: 0.5" + more + " }\n"),
                                    folder, "out");
  EXPECT_LT(run.steps.at("pop").metrics["result"]["hr"]["1"].get<double>(), 0.3);
  for (const char* step : {"sas", "gru"}) EXPECT_GT(run.steps.at(step).metrics["result"]["hr"]["1"].get<double>(), 0.9) << step;
  for (const char* step : {"one", "drawn", "bpr", "bert"}) EXPECT_GT(run.steps.at(step).metrics["result"]["ndcg"]["10"].get<double>(), 0.8) << step;
  EXPECT_EQ(run.steps.at("sas").metrics["result"]["users"], 120);
  EXPECT_THAT(run.steps.at("sas").metrics["result"]["protocol"].get<std::string>(), HasSubstr("whole catalogue"));
}

// The baseline by a plain count over the rows.
TEST(NextItem, PopularIsWhatAPlainCountSays) {
  testing::TemporaryFolder folder;
  std::vector<Taken> taken;
  for (int i = 0; i < 600; ++i) {
    Random random(3, uint64_t(i));
    taken.push_back({int(random.below(25)), int(random.below(20) * random.below(20) / 20)});
  }
  folder.write("e.csv", lines(taken));
  const auto run = testing::run_job(job("  pop: { op: popular, from: parts, validation: false, k: 2 }\n  all: { op: popular, from: parts, validation: false, filter_seen: false }\n"), folder, "out", {3, 1});
  std::map<int, std::vector<int>> items;
  for (const auto& t : taken) items[t.user].push_back(t.item);
  std::map<int, int> count;
  for (const auto& [user, list] : items)
    for (size_t i = 0; i + 1 < list.size(); ++i) ++count[list[i]];
  for (const bool filter : {true, false}) {
    const auto rows = run.rows(filter ? "pop" : "all");
    ASSERT_EQ(rows.num_rows(), int64_t(items.size()));
    double ndcg = 0, hits = 0;
    for (int64_t r = 0; r < rows.num_rows(); ++r) {
      const auto& list = items.at(std::stoi(std::string(rows.column("user").string(r)).substr(1)));
      const int target = list.back();
      int rank = 1;
      for (const auto& [item, n] : count)
        if (item != target && n >= count.at(target) && !(filter && std::find(list.begin(), list.end() - 1, item) != list.end() - 1)) ++rank;
      EXPECT_EQ(rows.column("rank").as_int64(r), rank);
      EXPECT_EQ(rows.column("actual").string(r), std::to_string(target));
      hits += rank <= 5, ndcg += rank <= 10 ? 1 / std::log2(rank + 1) : 0;
      if (!filter) continue;
      ASSERT_LE(rows.column("recommended").list_size(r), 2);
      for (int64_t i = 0; i < rows.column("recommended").list_size(r); ++i) {
        const int item = std::stoi(std::string(rows.column("recommended").list_string(r, i)));
        EXPECT_EQ(std::find(list.begin(), list.end() - 1, item), list.end() - 1) << "taken before";
      }
    }
    const json result = run.steps.at(filter ? "pop" : "all").metrics["result"];
    EXPECT_NEAR(result["hr"]["5"].get<double>(), hits / double(items.size()), 1e-12);
    EXPECT_NEAR(result["ndcg"]["10"].get<double>(), ndcg / double(items.size()), 1e-12);
  }
}

/// What scores come to that are seen `at_once` at a time.
recommend::ScoresSeen seen(std::span<const float> scores, int32_t target, std::vector<int32_t> left_out, size_t k, size_t at_once, std::optional<std::vector<int32_t>> among = {}) {
  recommend::ScoresSeen seen(target, target < 0 ? 0 : scores[size_t(target)], left_out, k);
  if (among) seen.rank_among(std::move(*among));
  for (size_t at = 0; at < scores.size(); at += at_once) seen.see(at, scores.subspan(at, std::min(at_once, scores.size() - at)));
  return seen;
}

TEST(NextItem, RanksCountTiesAgainstTheTarget) {
  const std::vector<float> scores{1, 5, 3, 3, 0};
  for (size_t at_once : {1, 2, 3, 5}) {
    const auto rank = [&](int32_t target, std::vector<int32_t> left_out) { return seen(scores, target, std::move(left_out), 0, at_once).rank(); };
    EXPECT_EQ(rank(1, {}), 1);
    EXPECT_EQ(rank(2, {}), 3);
    EXPECT_EQ(rank(2, {1, 1, 4}), 2);
    EXPECT_EQ(rank(2, {2, 3}), 2) << "the target itself counts though it was seen";
    EXPECT_EQ(rank(-1, {}), 0);
    EXPECT_EQ(seen(scores, -1, {1}, 3, at_once).best(), (std::vector<int32_t>{2, 3, 0}));
    EXPECT_EQ(seen(scores, -1, {}, 9, at_once).best().size(), 5u);
  }
  recommend::RankCounts counts;
  for (int64_t rank : {1, 3, 11, 0}) counts.add(rank);
  const json result = counts.result(0, 1);
  EXPECT_FALSE(result.contains("interval95"));
  EXPECT_EQ(result["users"], 4);
  EXPECT_EQ(result["targets_not_in_catalogue"], 1);
  EXPECT_EQ(result["hr"]["1"], 0.25);
  EXPECT_EQ(result["hr"]["10"], 0.5);
  EXPECT_EQ(result["hr"]["20"], 0.75);
  EXPECT_NEAR(result["ndcg"]["5"].get<double>(), (1 + 0.5) / 4, 1e-12);
  EXPECT_NEAR(result["mrr"].get<double>(), (1 + 1 / 3.0 + 1 / 11.0) / 4, 1e-12);
}

TEST(NextItem, TheBestAreThoseOfASort) {
  Random random(4, 2);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> scores(200);
    for (float& score : scores) score = float(random.below(40));  // many the same
    std::vector<int32_t> order(scores.size()), out;
    for (size_t i = 0; i < order.size(); ++i) order[i] = int32_t(i);
    for (int i = 0; i < 20; ++i) out.push_back(int32_t(random.below(200)));
    std::erase_if(order, [&](int32_t item) { return std::find(out.begin(), out.end(), item) != out.end(); });
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return std::pair(-scores[size_t(a)], a) < std::pair(-scores[size_t(b)], b); });
    const auto target = int32_t(random.below(200));
    int64_t rank = 1;
    for (int32_t item : order) rank += item != target && scores[size_t(item)] >= scores[size_t(target)];
    order.resize(17);
    for (size_t at_once : {7, 64, 200}) {
      const auto found = seen(scores, target, out, 17, at_once);
      EXPECT_EQ(found.best(), order);
      EXPECT_EQ(found.rank(), rank);
    }
  }
}

// Products with items that are not kept as they need them, and of one item alone, have the same bits.
TEST(NextItem, ScoresOfStretchesAndOfOne) {
  constexpr size_t kWidth = 40, kUsers = 13, kStretch = recommend::ItemScorer::kStretch, kItems = 2 * kStretch + 101;
  Random random(3, 1);
  std::vector<float> vectors(kItems * kWidth), bias(kItems), users(kUsers * kWidth);
  for (auto* numbers : {&vectors, &bias, &users})
    for (float& v : *numbers) v = float(random.uniform()) - 0.5f;
  const recommend::ItemFactors kept(vectors.data(), kItems, kWidth, bias), anew(vectors.data(), kItems, kWidth, bias, 0);
  const auto from_kept = kept.scores(users), from_anew = anew.scores(users);
  std::vector<float> scores(kUsers * kStretch), again(scores);
  for (size_t first = 0; first < kItems; first += kStretch) {
    const size_t n = std::min(kStretch, kItems - first);
    from_kept->get(first, n, scores.data()), from_anew->get(first, n, again.data());
    ASSERT_EQ(scores, again);
    for (size_t u = 0; u < kUsers; ++u)
      for (size_t i = u; i < n; i += 97) {
        const float score = scores[u * n + i];
        ASSERT_EQ(from_anew->one(u, int32_t(first + i)), score);
        double sum = bias[first + i];
        for (size_t k = 0; k < kWidth; ++k) sum += double(users[u * kWidth + k]) * double(vectors[(first + i) * kWidth + k]);
        ASSERT_NEAR(double(score), sum, 1e-5);
      }
  }
}

// Drawn items are never the user's own, none comes twice, and each is as likely as the others.
TEST(NextItem, RanksAmongDrawnItems) {
  const std::vector<float> scores{9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
  const std::vector<int32_t> taken{1, 3, 3};
  for (size_t at_once : {1, 4, 10}) EXPECT_EQ(seen(scores, 4, taken, 0, at_once, recommend::draw_others(10, 4, taken, 100, Random(1, 1))).rank(), 3) << "all free items: 0 and 2 are better";
  EXPECT_EQ(seen(scores, -1, {}, 0, 10, recommend::draw_others(10, -1, {}, 5, Random(1, 1))).rank(), 0);
  std::vector<double> better(10);
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i)
    // One item is drawn and beats the target where it is the one that scores more.
    for (int32_t item : {0, 2, 5, 6, 7, 8, 9}) {
      std::vector<float> one(10, 0.0f);
      one[4] = 1, one[size_t(item)] = 2;
      better[size_t(item)] += double(seen(one, 4, {}, 0, 10, recommend::draw_others(10, 4, taken, 3, Random(7, uint64_t(i)))).rank() - 1) / kDraws;
    }
  double sum = 0;
  for (int32_t item : {0, 2, 5, 6, 7, 8, 9}) {
    EXPECT_NEAR(better[size_t(item)], 3 / 7.0, 0.015) << item;
    sum += better[size_t(item)];
  }
  EXPECT_NEAR(sum, 3, 1e-9) << "three different items each time";
}

// Of a share of n users the standard error is sqrt(p (1 - p) / n).
TEST(NextItem, BootstrapIntervalsAreThoseOfAShare) {
  recommend::RankCounts counts;
  for (int i = 0; i < 1000; ++i) counts.add(i % 5 == 0 ? 3 : 50 + i % 7);
  const json result = counts.result(4000, 3);
  EXPECT_EQ(result["hr"]["10"], 0.2);
  const double error = std::sqrt(0.2 * 0.8 / 1000);
  EXPECT_NEAR(result["interval95"]["hr10"][0].get<double>(), 0.2 - 1.96 * error, 0.2 * error);
  EXPECT_NEAR(result["interval95"]["hr10"][1].get<double>(), 0.2 + 1.96 * error, 0.2 * error);
  EXPECT_EQ(result, counts.result(4000, 3));
}

// Two halves of a minibatch, one after the other, are the whole one but for rounding.
TEST(NextItem, AccumulatedMinibatchesAreOneLargeOne) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(100, 14)));
  const std::string same = "from: parts, hidden: 8, max_length: 12, epochs: 3, lr: 0.01, dropout: 0, shards: 4, validation: false";
  const auto named = [&](const std::string& parameters) {
    const auto one = testing::run_job(job("  m: { op: sasrec, " + parameters + ", " + same + " }\n"), folder, "out");
    return one.steps.at("m").metrics["curve"];
  };
  const auto whole = named("batch: 32"), halves = named("batch: 16, accumulate: 2"), small = named("batch: 16");
  const auto rows = named("batch: 32, loss: bce, sparse: true"), half_rows = named("batch: 16, accumulate: 2, loss: bce, sparse: true");
  const auto over_ranks = named("batch: 32, sparse: true"), halves_over_ranks = named("batch: 16, accumulate: 2, sparse: true");
  for (size_t epoch = 0; epoch < 3; ++epoch) EXPECT_NEAR(halves_over_ranks[epoch]["loss"].get<double>(), over_ranks[epoch]["loss"].get<double>(), 1e-4) << epoch;
  EXPECT_NEAR(half_rows[0]["loss"].get<double>(), rows[0]["loss"].get<double>(), 0.05) << "other items are drawn";
  for (size_t epoch = 0; epoch < 3; ++epoch) EXPECT_NEAR(halves[epoch]["loss"].get<double>(), whole[epoch]["loss"].get<double>(), 1e-4) << epoch;
  EXPECT_GT(std::abs(small[2]["loss"].get<double>() - whole[2]["loss"].get<double>()), 1e-3) << "twice as many steps";
}

// A softmax that ranks compute together is the softmax, but for rounding.
TEST(NextItem, FullSoftmaxOverRanksLearnsTheSame) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(60, 14)));
  for (const char* op : {"sasrec", "gru4rec"}) {
    const auto run = [&](const std::string& more, int ranks) {
      return testing::run_job(job(std::string("  m: { op: ") + op + ", from: parts, hidden: 8, max_length: 12, batch: 16" + more + " }\n"), folder, "out", {.ranks = ranks});
    };
    // Rows of tables begin otherwise than those of matrices.
    const auto begun = run(", lr: 0, epochs: 1", 1);
    std::filesystem::copy_file(engine::RunDirectory(begun.folder).state("m") / "model.safetensors", folder / "begun.safetensors", std::filesystem::copy_options::overwrite_existing);
    const std::string start = ", epochs: 4, lr: 0.02, start: " + (folder / "begun.safetensors").string();
    const auto whole = run(start, 1).steps.at("m").metrics["curve"], together = run(start + ", sparse: true", 3).steps.at("m").metrics["curve"];
    ASSERT_EQ(whole.size(), 4u);
    EXPECT_LT(whole[3]["loss"].get<double>(), whole[0]["loss"].get<double>() - 0.1);
    for (size_t epoch = 0; epoch < 4; ++epoch) EXPECT_NEAR(together[epoch]["loss"].get<double>(), whole[epoch]["loss"].get<double>(), 2e-4) << op << " " << epoch;
    // Items that do not learn have no part in the gradient's length either.
    const std::string still = start + ", freeze: [items], clip: 0.001, optimizer: sgd";
    EXPECT_NEAR(run(still + ", sparse: true", 2).steps.at("m").metrics["curve"][3]["loss"].get<double>(), run(still, 1).steps.at("m").metrics["curve"][3]["loss"].get<double>(), 1e-6) << op;
    EXPECT_GT(std::abs(run(start + ", freeze: [items], optimizer: sgd", 1).steps.at("m").metrics["curve"][3]["loss"].get<double>() - run(still, 1).steps.at("m").metrics["curve"][3]["loss"].get<double>()), 1e-5) << "it is clipped";
  }
}

// The same of one with a bias for each item; with all items hidden, so that which are is no matter of chance.
TEST(NextItem, MaskedSoftmaxOverRanksLearnsTheSame) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(60, 14)));
  const auto run = [&](const std::string& more, int ranks) {
    return testing::run_job(job("  m: { op: bert4rec, from: parts, hidden: 8, max_length: 12, batch: 16, dropout: 0, mask: 1, mask_last: 0" + more + " }\n"), folder, "out", {.ranks = ranks});
  };
  const auto begun = run(", lr: 0, epochs: 1", 1);
  std::filesystem::copy_file(engine::RunDirectory(begun.folder).state("m") / "model.safetensors", folder / "begun.safetensors");
  const std::string start = ", epochs: 4, lr: 0.02, start: " + (folder / "begun.safetensors").string();
  for (const char* more : {"", ", freeze: [items]", ", freeze: [bias]", ", accumulate: 3"}) {
    const auto whole = run(start + more, 1).steps.at("m").metrics["curve"], together = run(start + more + ", sparse: true", 3).steps.at("m").metrics["curve"];
    EXPECT_LT(whole[3]["loss"].get<double>(), whole[0]["loss"].get<double>() - 1e-3) << more;
    for (size_t epoch = 0; epoch < 4; ++epoch) EXPECT_NEAR(together[epoch]["loss"].get<double>(), whole[epoch]["loss"].get<double>(), 2e-4) << more << " " << epoch;
  }
  EXPECT_EQ(weights_of(run(start + ", sparse: true", 1), "m"), weights_of(run(start + ", sparse: true", 3), "m"));
}

// Neighbours by a plain count over all pairs.
TEST(NextItem, ItemNeighboursAreWhatAPlainCountSays) {
  testing::TemporaryFolder folder;
  std::vector<Taken> taken;
  for (int i = 0; i < 500; ++i) {
    Random random(5, uint64_t(i));
    taken.push_back({int(random.below(30)), int(random.below(18) * random.below(18) / 18)});
  }
  folder.write("e.csv", lines(taken));
  std::map<int, std::vector<int>> items;
  for (const auto& t : taken) items[t.user].push_back(t.item);
  std::map<int, std::set<int>> users;
  for (auto& [user, list] : items)
    for (size_t i = 0; i + 1 < list.size(); ++i) users[list[i]].insert(user);
  for (const bool jaccard : {false, true}) {
    const auto run = testing::run_job(job(fmt::format("  knn: {{ op: item_knn, from: parts, validation: false, filter_seen: false, k: 100, shrink: 2, similarity: {}, recent: 2 }}\n", jaccard ? "jaccard" : "cosine")),
                                      folder, "out", {3, 1});
    const auto rows = run.rows("knn");
    ASSERT_EQ(rows.num_rows(), int64_t(items.size()));
    for (int64_t r = 0; r < rows.num_rows(); ++r) {
      std::vector<int> list = items.at(std::stoi(std::string(rows.column("user").string(r)).substr(1))), newest;
      const int target = list.back();
      list.pop_back();
      for (size_t i = list.size(); i-- > 0 && newest.size() < 2;)
        if (std::find(newest.begin(), newest.end(), list[i]) == newest.end()) newest.push_back(list[i]);
      std::map<int, float> score;
      for (int item : newest)
        for (const auto& [other, by] : users) {
          if (other == item) continue;
          double together = 0;
          for (int user : by) together += double(users.at(item).count(user));
          const double a = double(users.at(item).size()), b = double(by.size());
          score[other] += float(together / ((jaccard ? a + b - together : std::sqrt(a * b)) + 2));
        }
      int64_t rank = 1;
      for (const auto& [other, by] : users) rank += other != target && score[other] >= score[target];
      EXPECT_EQ(rows.column("rank").as_int64(r), rank) << rows.column("user").string(r);
    }
  }
}

// The table of items begins from a file of vectors, by name; what the file does not have begins at random.
TEST(NextItem, ItemsBeginFromVectors) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(40, 14)));
  folder.write("items.vec", "3 4\n5 1 2 3 4\n7 -1 0.5 0 2\nnobody 9 9 9 9\n");
  for (const std::string op : {"sasrec", "bert4rec", "gru4rec", "sasrec, sparse: true", "gru4rec, loss: sampled, sparse: true"}) {
    const auto run = testing::run_job(job("  m: { op: " + op + ", from: parts, hidden: 4, max_length: 12, epochs: 1, batch: 16, lr: 0, vectors: items.vec }\n"), folder, "out", {3, 1});
    const auto folder_of = engine::RunDirectory(run.folder).state("m");
    const auto items = data::Vocabulary::load(data::ArrayStore::load(folder_of / "catalogue.h5"), "items");
    const auto table = train::load_safetensors(folder_of / "model.safetensors").at("items.weight").values;
    const auto row = [&](const char* item) { return std::vector<float>(table.begin() + 4 * items.find(item), table.begin() + 4 * items.find(item) + 4); };
    EXPECT_EQ(row("5"), (std::vector<float>{1, 2, 3, 4})) << op;
    EXPECT_EQ(row("7"), (std::vector<float>{-1, 0.5f, 0, 2})) << op;
    EXPECT_LT(std::abs(row("9")[0]), 0.2f) << op;
  }
}

TEST(NextItem, ItemKnnParametersMatter) {
  testing::TemporaryFolder folder;
  std::vector<Taken> taken;
  for (int i = 0; i < 600; ++i) {
    Random random(9, uint64_t(i));
    taken.push_back({int(random.below(25)), int(random.below(30) * random.below(30) / 30)});
  }
  folder.write("e.csv", lines(taken));
  auto rows = [&](const std::string& more) { return testing::run_job(job("  m: { op: item_knn, from: parts" + more + " }\n"), folder, "out").steps.at("m").content_hash; };
  const std::string usual = rows("");
  for (const char* more : {", neighbours: 2", ", similarity: jaccard", ", shrink: 10", ", max_length: 2", ", recent: 1", ", rank_against: 5", ", validation: false", ", filter_seen: false", ", k: 3", ", min_count: 12"})
    EXPECT_NE(rows(more), usual) << more;
}

TEST(NextItem, StopsAndGoesOnOnOtherRankCounts) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(40, 14)));
  for (const std::string model : {"op: sasrec", "op: sasrec, loss: bce, negatives: 2", "op: sasrec, sparse: true", "op: gru4rec, loss: sampled, negatives: 5, sparse: true, optimizer: adagrad", "op: gru4rec, loss: bpr_max, negatives: 3", "op: bert4rec", "op: bert4rec, sparse: true"}) {
    const std::string yaml = job("  m: { " + model + ", from: parts, hidden: 8, max_length: 12, batch: 8, epochs: 5, lr: 0.01, checkpoint_every: 3 }\n");
    const auto whole = testing::run_job(yaml, folder, "whole", {2, 1});
    std::filesystem::remove_all(folder / "cut");
    testing::run_until(yaml, folder, "cut", "epoch 3", {.ranks = 3});
    const auto resumed = testing::run_job(yaml, folder, "cut", {.ranks = 5, .threads = 2, .resume = true});
    EXPECT_EQ(whole.steps.at("m").content_hash, resumed.steps.at("m").content_hash) << model;
    EXPECT_EQ(whole.steps.at("m").metrics["curve"], resumed.steps.at("m").metrics["curve"]) << model;
    EXPECT_EQ(weights_of(whole, "m"), weights_of(resumed, "m")) << model;
  }
}

// What is written beside a recommendation: items of the user's past, with weights that fall, and all of them together are 1.
TEST(NextItem, WritesWhichItemsItLookedAt) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(40, 14)));
  const std::string yaml = job("  sas: { op: sasrec, from: parts, heads: 2, attended: 50, " + kSmall + " }\n  few: { op: sasrec, from: parts, attended: 3, " + kSmall + " }\n  bert: { op: bert4rec, from: parts, attended: 50, " + kSmall +
                               " }\n  none: { op: sasrec, from: parts, " + kSmall + " }\n  now: { op: recommend, from: [events, sas] }\n");
  const auto run = testing::run_on_all_rank_counts(yaml, folder);
  EXPECT_EQ(run.rows("none").schema().find("attended"), -1);
  std::map<std::string, std::vector<std::string>> taken;
  for (const auto& t : walks(40, 14)) taken[fmt::format("u{}", t.user)].push_back(std::to_string(t.item));
  for (const char* step : {"sas", "few", "bert", "now"}) {
    const auto rows = run.rows(step);
    ASSERT_EQ(rows.num_rows(), 40);
    for (int64_t r = 0; r < rows.num_rows(); ++r) {
      auto past = taken.at(std::string(rows.column("user").string(r)));
      if (step != std::string("now")) past.pop_back();  // held out
      const auto weights = rows.column("attention").list<float>(r);
      const int64_t n = rows.column("attended").list_size(r);
      ASSERT_EQ(size_t(n), weights.size());
      EXPECT_EQ(size_t(n), std::min(step == std::string("few") ? size_t{3} : past.size(), std::min(past.size(), step == std::string("bert") ? size_t{11} : size_t{12}))) << step;
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        EXPECT_NE(std::find(past.begin(), past.end(), rows.column("attended").list_string(r, i)), past.end()) << step;
        EXPECT_TRUE(i == 0 || weights[size_t(i)] <= weights[size_t(i) - 1]);
        sum += double(weights[size_t(i)]);
      }
      if (step == std::string("sas")) {
        EXPECT_NEAR(sum, 1, 1e-5);
      } else {
        EXPECT_LT(sum, 1 + 1e-5);
        EXPECT_GT(sum, 0);
      }
    }
  }
}

// Everyone takes again what they took three items before: the model must look there.
TEST(NextItem, LooksAtTheItemThatTells) {
  testing::TemporaryFolder folder;
  std::vector<Taken> taken;
  for (int i = 0; i < 10; ++i)
    for (int u = 0; u < 300; ++u) taken.push_back({u, 8 * (i % 3) + int(Random(7, uint64_t(u), uint64_t(i % 3)).below(8))});
  folder.write("e.csv", lines(taken));
  const auto run = testing::run_job(job("  m: { op: sasrec, from: parts, blocks: 1, hidden: 24, max_length: 10, epochs: 40, batch: 32, lr: 0.01, dropout: 0, validation: false, filter_seen: false, attended: 1, k: 1 }\n"), folder, "out", {2, 1});
  EXPECT_GT(run.steps.at("m").metrics["result"]["hr"]["1"].get<double>(), 0.95);
  const auto rows = run.rows("m");
  int tells = 0;
  for (int64_t r = 0; r < rows.num_rows(); ++r) tells += rows.column("attended").list_string(r, 0) == rows.column("actual").string(r);
  EXPECT_GT(tells, 250);
}

TEST(NextItem, TheProtocolSaysHowRowsAreHeldOut) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(40, 14)));
  auto result = [&](const std::string& split, const std::string& more) {
    const std::string yaml = "job: j\nsteps:\n  events: { op: read_events, path: e.csv, partitions: 11 }\n  parts: { op: split, from: events, " + split + " }\n  m: { op: popular, from: parts" + more + " }\n";
    return testing::run_job(yaml, folder, "out", {3, 1}).steps.at("m").metrics["result"];
  };
  const json last = result("by: last", ", cutoffs: [2, 7]"), late = result("by: time, fraction: 0.3", ", bootstrap: 0");
  EXPECT_THAT(last["protocol"].get<std::string>(), HasSubstr("leave-one-out: the one held-out item of each 'user'; ranked against the whole catalogue"));
  EXPECT_THAT(last["protocol"].get<std::string>(), Not(HasSubstr("split by time")));
  EXPECT_THAT(late["protocol"].get<std::string>(), HasSubstr("the first held-out item of each 'user'"));
  EXPECT_THAT(late["protocol"].get<std::string>(), HasSubstr("all newer than any training row (a split by time)"));
  EXPECT_EQ(last["hr"].size(), 2u);
  EXPECT_LE(last["hr"]["2"].get<double>(), last["hr"]["7"].get<double>());
  for (const char* name : {"hr2", "hr7", "ndcg2", "ndcg7", "mrr"}) {
    const auto& interval = last["interval95"][name];
    const double value = name == std::string("mrr") ? last["mrr"].get<double>() : last[name[0] == 'h' ? "hr" : "ndcg"][std::string(1, name[std::string(name).size() - 1])].get<double>();
    EXPECT_LE(interval[0].get<double>(), value) << name;
    EXPECT_GE(interval[1].get<double>(), value) << name;
  }
  EXPECT_EQ(result("by: last", "")["hr"].size(), 4u);
  const auto none = testing::run_job("job: j\nsteps:\n  events: { op: read_events, path: e.csv, partitions: 11 }\n  m: { op: popular, from: events }\n", folder, "none");
  EXPECT_THAT(none.steps.at("m").metrics["result"]["protocol"].get<std::string>(), HasSubstr("no 'user' has a held-out item"));
}

TEST(NextItem, HeldOutItemsDoNotReachTheModel) {
  testing::TemporaryFolder folder;
  auto taken = walks(30, 12);
  const std::string yaml = job("  sas: { op: sasrec, from: parts, " + kSmall + " }\n  bert: { op: bert4rec, from: parts, " + kSmall + " }\n  gru: { op: gru4rec, from: parts, loss: sampled, negatives: 5, sample_alpha: 1, " + kSmall + " }\n  bpr: { op: gru4rec, from: parts, loss: bpr, " + kSmall + " }\n");
  folder.write("e.csv", lines(taken));
  const auto before = testing::run_job(yaml, folder, "before");
  std::map<int, size_t> last;
  for (size_t i = 0; i < taken.size(); ++i) last[taken[i].user] = i;
  for (const auto& [user, i] : last) taken[i].item = 1000 + user;
  folder.write("e.csv", lines(taken));
  const auto after = testing::run_job(yaml, folder, "after");
  for (const char* step : {"sas", "bert", "gru", "bpr"}) EXPECT_EQ(weights_of(before, step), weights_of(after, step)) << step;
  EXPECT_EQ(after.steps.at("sas").metrics["result"]["targets_not_in_catalogue"], 30);
  EXPECT_EQ(after.steps.at("sas").metrics["result"]["hr"]["20"], 0);
}

TEST(NextItem, ParametersMatter) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(40, 14)));
  auto weights = [&](const std::string& op, const std::string& more) {
    std::string parameters = more;
    for (const char* usual : {"hidden: 8", "max_length: 12", "epochs: 2", "batch: 16", "lr: 0.01"})
      if ((", " + more).find(", " + std::string(usual).substr(0, std::string(usual).find(':') + 1)) == std::string::npos) parameters += (parameters.empty() ? "" : ", ") + std::string(usual);
    return weights_of(testing::run_job(job("  m: { op: " + op + ", from: parts, " + parameters + " }\n"), folder, "out"), "m");
  };
  const std::string sas = weights("sasrec", ""), gru = weights("gru4rec", "");
  for (const char* more : {"blocks: 1", "heads: 2", "inner: 20", "norm: last", "activation: gelu", "scaled: false", "init: normal", "max_length: 5", "dropout: 0", "loss: bce", "loss: sampled", "loss: bce, negatives: 3", "min_count: 13", "batch: 8",
                           "validation: false", "optimizer: sgd", "lr: 0.02", "weight_decay: 0.1", "clip: 0.01", "shards: 4", "schedule: cosine", "schedule: step", "schedule: step, decay: 0.5", "warmup: 4", "freeze: block", "accumulate: 2", "batch_rows: 60", "wire: bfloat16", "stored: bfloat16"})
    EXPECT_NE(weights("sasrec", more), sas) << more;
  // Rows that a step does not touch stay: with adagrad and sgd they would anyhow, with adam not.
  for (const char* op : {"sasrec", "gru4rec"}) {
    for (const char* loss : {"loss: bce, negatives: 2", "loss: sampled, negatives: 5"}) {
      const std::string usual = std::string(loss) + ", min_count: 1, dropout: 0, clip: 0";
      EXPECT_NE(weights(op, usual + ", sparse: true"), weights(op, usual)) << op << " " << loss;
    }
  }
  const auto bytes = [&](const std::string& more, const std::string& op = "sasrec, blocks: 4") {
    return testing::run_job(job("  m: { op: " + op + ", from: parts, hidden: 8, epochs: 1, " + more + " }\n"), folder, "bytes").steps.at("m").metrics.at("profile").at("tape_bytes").get<int64_t>();
  };
  EXPECT_EQ(weights("sasrec", "recompute: true"), sas);
  EXPECT_LT(bytes("recompute: true"), bytes("recompute: false"));
  EXPECT_EQ(weights("gru4rec", "layers: 4, recompute: true"), weights("gru4rec", "layers: 4"));
  EXPECT_LT(bytes("recompute: true", "gru4rec, layers: 4"), bytes("recompute: false", "gru4rec, layers: 4"));
  EXPECT_NE(weights("sasrec", "optimizer: sgd"), weights("sasrec", "optimizer: sgd, momentum: 0.9"));
  std::filesystem::copy_file(engine::RunDirectory(testing::run_job(job("  m: { op: sasrec, from: parts, hidden: 8, max_length: 12, epochs: 2, batch: 16, lr: 0.01 }\n"), folder, "begun").folder).state("m") / "model.safetensors", folder / "begun.safetensors");
  EXPECT_EQ(weights("sasrec", "lr: 0, start: " + (folder / "begun.safetensors").string()), sas) << "at a learning rate of 0 it stays what it was";
  const std::string bert = weights("bert4rec", "");
  for (const char* more : {"mask: 0.7", "mask_last: 1", "heads: 2", "norm: first", "inner: 20", "sparse: true"}) EXPECT_NE(weights("bert4rec", more), bert) << more;
  EXPECT_NE(weights("gru4rec", "loss: bpr_max"), weights("gru4rec", "loss: bpr_max, regularization: 0"));
  for (const char* loss : {"loss: sampled, negatives: 5", "loss: bce"})
    for (const char* op : {"sasrec", "gru4rec"}) EXPECT_NE(weights(op, loss), weights(op, std::string(loss) + ", sample_alpha: 0.75")) << op << " " << loss;
  for (const char* more : {"layers: 2", "hidden: 6", "loss: bpr", "loss: bpr_max", "loss: bpr, negatives: 2", "dropout: 0"}) EXPECT_NE(weights("gru4rec", more), gru) << more;
  EXPECT_NE(weights("sasrec", "validation: false"), weights("sasrec", "validation: false, epochs: 3"));
  // After so many epochs without a better one it ends.
  const auto run = testing::run_job(job("  m: { op: sasrec, from: parts, hidden: 8, max_length: 12, batch: 16, lr: 0, k: 3, epochs: 9, patience: 2 }\n"), folder, "patience");
  EXPECT_EQ(run.steps.at("m").metrics["curve"].size(), 3u);
}

TEST(NextItem, BadParametersAndDataAreErrors) {
  testing::TemporaryFolder folder;
  folder.write("e.csv", lines(walks(5, 6)));
  auto error = [&](const std::string& step) { return testing::error_of([&] { testing::run_job(job("  m: { " + step + " }\n"), folder, "out"); }); };
  for (const char* step : {"op: sasrec, from: parts, heads: 3", "op: sasrec, from: parts, shards: 6", "op: sasrec, from: parts, batch: 4", "op: sasrec, from: parts, item: ts", "op: sasrec, from: parts, item: nothing",
                           "op: sasrec, from: parts, loss: bpr", "op: sasrec, from: parts, loss: bce, sparse: true, optimizer: adamw", "op: gru4rec, from: parts, loss: bce, sparse: true, weight_decay: 0.1", "op: sasrec, from: parts, patience: 3, validation: false", "op: sasrec, from: parts, momentum: 0.5", "op: sasrec, from: parts, batch_rows: 7", "op: sasrec, from: parts, start: nothing.safetensors", "op: sasrec, from: parts, freeze: nothing", "op: gru4rec, from: parts, loss: bce, sparse: true, optimizer: sgd, momentum: 0.5", "op: gru4rec, from: parts, loss: hinge", "op: popular, from: parts, k: 0",
                           "op: gru4rec, from: parts, optimizer: adma", "op: popular, from: parts, cutoffs: []", "op: popular, from: parts, cutoffs: [5, 5]", "op: popular, from: parts, cutoffs: [0, 5]", "op: sasrec, from: parts, attended: -1"})
    EXPECT_EQ(error(step).fault(), Fault::kJob) << step;
  for (const char* op : {"sasrec", "bert4rec", "gru4rec"})
    EXPECT_THAT(testing::error_of([&] { testing::run_job(job(std::string("  m: { op: ") + op + ", from: parts, shards: 2 }\n"), folder, "out", {3}); }).text(), HasSubstr("'shards' is 2, fewer than the 3 ranks")) << op;
  folder.write("e.csv", lines({{0, 1}, {0, 2}, {0, 3}, {1, 1}, {1, 2}, {1, 3}}));
  EXPECT_THAT(error("op: sasrec, from: parts, epochs: 1").text(), HasSubstr("switch 'validation' off"));
  EXPECT_THAT(error("op: popular, from: parts, min_count: 1000").text(), HasSubstr("a catalogue needs at least 2"));
}

}  // namespace
}  // namespace throng
