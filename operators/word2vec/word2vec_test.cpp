// word2vec: words of the same contexts end up near; held-out rows teach nothing; a stop does not change the result.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "operators/word2vec/skip_gram.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

constexpr int64_t kStart = 1'700'000'000;

// Two worlds of words that never meet. In the first, `tea` and `coffee` take the same place, and never stand together.
std::string lines(int n, int64_t cut_at = -1) {
  std::string text;
  for (int i = 0; i < n; ++i) {
    Random random(61, uint64_t(i));
    std::string words;
    if (cut_at >= 0 && i >= cut_at) {
      words = "tea goal other other goal tea other";
    } else if (i % 2) {
      const char* drink = random.below(2) ? "tea" : "coffee";
      words = fmt::format("cup{} {} milk{} sugar{}", random.below(4), drink, random.below(4), random.below(4));
    } else {
      words = fmt::format("ball{} goal team{} coach{}", random.below(4), random.below(4), random.below(4));
    }
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"action\":\"post\",\"text\":\"{}\"}}\n", i % 5, kStart + i, words);
  }
  return text;
}

std::string job(int64_t cut, const std::string& parameters) {
  return fmt::format("job: j\nsteps:\n  events: {{ op: read_events, path: events.jsonl, partitions: 8 }}\n  split: {{ op: split, from: events, at: \"{}\" }}\n"
                     "  tokens: {{ op: tokenize, from: split }}\n  vectors: {{ op: word2vec, from: tokens, dim: 16, min_count: 2, {} }}\n", kStart + cut, parameters);
}

std::string state(const testing::JobRun& run) { return data::ArrayStore::load(engine::RunDirectory(run.folder).state("vectors") / "word2vec.h5").content_hash(); }

double cosine(const data::Batch& rows, const std::string& a, const std::string& b) {
  std::span<const float> x, y;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    if (rows.column("word").string(r) == a) x = rows.column("vector").list<float>(r);
    if (rows.column("word").string(r) == b) y = rows.column("vector").list<float>(r);
  }
  EXPECT_FALSE(x.empty() || y.empty()) << a << ' ' << b;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) xy += double(x[i]) * double(y[i]), xx += double(x[i]) * double(x[i]), yy += double(y[i]) * double(y[i]);
  return xy / std::sqrt(xx * yy);
}

TEST(Word2vec, WordsOfTheSameContextsAreNear) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(1600));
  // Averaging makes shorter steps than adding, so the fast mode gets more epochs. With so few words, added changes of long
  // blocks overshoot: hence short ones.
  struct Case { const char* mode; int ranks, threads; };
  for (auto [mode, ranks, threads] : {Case{"mode: exact, block: 20, epochs: 10", 2, 1}, Case{"mode: fast, epochs: 15", 1, 3}, Case{"mode: fast, block: 100, epochs: 30", 2, 2}}) {
    auto rows = testing::run_job(job(1600, std::string("lr: 0.05, sample: 0, ") + mode), folder, mode, {ranks, threads}).rows("vectors");
    EXPECT_GT(cosine(rows, "tea", "coffee"), std::max(cosine(rows, "tea", "goal"), cosine(rows, "coffee", "team1")) + 0.3) << mode;
    EXPECT_GT(cosine(rows, "tea", "coffee"), 0.6) << mode;
  }
}

TEST(Word2vec, HeldOutRowsTeachNothing) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(400));
  auto before = state(testing::run_job(job(300, "epochs: 1"), folder, "before"));
  folder.write("events.jsonl", lines(400, 300));
  EXPECT_EQ(before, state(testing::run_job(job(300, "epochs: 1"), folder, "after")));
}

TEST(Word2vec, SameBitsOnAnyRankCountAndAfterAStop) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(400));
  const std::string yaml = job(350, "epochs: 3, block: 10");
  auto whole = testing::run_on_all_rank_counts(yaml, folder);
  testing::run_until(yaml, folder, "cut", "epoch 2/3", {.ranks = 3});
  auto resumed = testing::run_job(yaml, folder, "cut", {.ranks = 2, .resume = true});
  EXPECT_EQ(whole.steps.at("vectors").content_hash, resumed.steps.at("vectors").content_hash);
  EXPECT_EQ(whole.steps.at("vectors").metrics["curve"], resumed.steps.at("vectors").metrics["curve"]);
  EXPECT_EQ(state(whole), state(resumed));
}

TEST(Word2vec, AliasTableDrawsByWeight) {
  const std::vector<double> weights{5, 0, 1, 0.25, 100, 1, 33};
  const op::AliasTable table(weights);
  Random random(71, 1);
  const int draws = 200'000;
  std::vector<int> drawn(weights.size());
  for (int i = 0; i < draws; ++i) ++drawn.at(size_t(table.draw(random)));
  double total = 0;
  for (double w : weights) total += w;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double p = weights[i] / total;
    EXPECT_NEAR(drawn[i], draws * p, 5 * std::sqrt(draws * p * (1 - p)) + 1e-9) << i;
  }
}

// The end of a step gives new minus old of the rows it touched, and leaves the base as it was.
TEST(Word2vec, ChangesAreOfTouchedRowsOnly) {
  op::Matrices base{4, std::vector<float>(10 * 4, 0.1f), std::vector<float>(10 * 4, 0.0f)};
  const op::AliasTable negatives(std::vector<double>(10, 1.0));
  op::SkipGram worker(10, 4, {.window = 2, .negative = 3});
  std::vector<op::Changes> twice;
  for (int time = 0; time < 2; ++time) {
    Random random(81, 1);
    worker.begin(base);
    worker.sentence(std::vector<int32_t>{2, 5, 7}, 0.1f, random, negatives);
    twice.push_back(worker.end());
    EXPECT_GE(worker.pairs(), 4);
  }
  EXPECT_EQ(twice[0].rows, twice[1].rows);  // nothing stays behind between steps
  EXPECT_EQ(twice[0].deltas, twice[1].deltas);
  for (int32_t row : twice[0].rows)
    EXPECT_TRUE(row >= 10 || row == 2 || row == 5 || row == 7) << row;
  for (float x : base.in) EXPECT_EQ(x, 0.1f);
}

}  // namespace
}  // namespace throng
