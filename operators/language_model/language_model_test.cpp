// language_model: what it learns, and that ranks, stops and shards have no part in it.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "framework/engine/run_directory.h"
#include "framework/train/safetensors.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using nlohmann::json;

/// Lines of tokens whose next is the one before plus one or two, by a coin: two choices, so that no model is below a perplexity of about two.
std::string made_up(int rows, int length) {
  std::string text;
  int word = 0;
  for (int r = 0; r < rows; ++r) {
    json tokens = json::array();
    for (int i = 0; i < length; ++i) {
      Random random{3, uint64_t(r), uint64_t(i)};
      word = (word + 1 + int(random.below(2))) % 7;
      tokens.push_back("w" + std::to_string(word));
    }
    text += json{{"user", "u"}, {"ts", 1'700'000'000 + r}, {"tokens", tokens}, {"text", r % 2 ? "\u4f60\u597d" : "\u4f60a"}}.dump() + "\n";
  }
  return text;
}

std::string job(const std::string& steps, int partitions = 5) {
  return "job: language\nsteps:\n  events: { op: read_events, path: events.jsonl, types: { tokens: list<string> }, partitions: " + std::to_string(partitions) +
         " }\n  split: { op: split, from: events, by: time, fraction: 0.25 }\n" + steps;
}
std::string step(const std::string& id, const std::string& more) {
  std::string parameters = more;
  for (const std::string usual : {"embedding: 6", "hidden: 6", "heads: 2", "batch: 8", "length: 5", "epochs: 2"})
    if ((", " + more).find(", " + usual.substr(0, usual.find(' '))) == std::string::npos) parameters += ", " + usual;
  return "  " + id + ": { op: language_model, from: split, " + parameters + " }\n";
}

std::filesystem::path weights_of(const testing::JobRun& run, const std::string& id) { return engine::RunDirectory(run.folder).state(id) / "model.safetensors"; }

std::string model_hash(const testing::JobRun& run, const std::string& id) {
  std::string all;
  for (const auto& [name, tensor] : train::load_safetensors(weights_of(run, id))) {
    data::ArrayStore store;
    store.put("values", tensor.values);
    all += name + store.content_hash();
  }
  return all;
}

TEST(LanguageModel, SameBitsOnAnyNumberOfRanksAndPartitions) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(60, 9));
  const std::string steps = step("lstm", "layers: 2, dropout: 0.2") + step("gru", "model: gru, optimizer: sgd, lr: 0.5, shards: 16, batch: 16, validation: 0.2, patience: 1") +
                            step("blocks", "model: transformer, tied: true, dropout: 0.1") + step("chars", "model: rnn, column: text, batch: 9");
  const auto one = testing::run_job(job(steps), folder, "one");
  const auto partitions = testing::run_job(job(steps, 11), folder, "partitions");
  for (const char* id : {"lstm", "gru", "blocks", "chars"}) EXPECT_EQ(model_hash(one, id), model_hash(partitions, id)) << id;
  for (int ranks : {1, 2, 3, 4, 5, 8}) {
    const auto other = testing::run_job(job(steps), folder, "other", {ranks, ranks <= 2 ? 2 : 1});
    for (const char* id : {"lstm", "gru", "blocks", "chars"}) {
      EXPECT_EQ(model_hash(one, id), model_hash(other, id)) << id << " on " << ranks;
      EXPECT_EQ(one.steps.at(id).content_hash, other.steps.at(id).content_hash) << id << " on " << ranks;
      for (const char* what : {"result", "curve"}) EXPECT_EQ(one.steps.at(id).metrics[what], other.steps.at(id).metrics[what]) << id << " on " << ranks;
    }
  }
  // 60 rows of 9 tokens and their ends, a quarter of them held out; the first token of the text is given.
  const json result = one.steps.at("lstm").metrics["result"];
  EXPECT_EQ(result["training_tokens"], 45 * 10);
  EXPECT_EQ(result["holdout"]["tokens"], 15 * 10 - 1);
  EXPECT_EQ(result["words"], 7);
  EXPECT_NEAR(result["holdout"]["perplexity"].get<double>(), std::exp(result["holdout"]["loss"].get<double>()), 1e-9);
  EXPECT_EQ(one.steps.at("gru").metrics["result"]["training_tokens"], 45 * 10 - 90) << "without the validation share";
  EXPECT_EQ(one.steps.at("gru").metrics["result"]["validation"]["tokens"], 89);
  const auto says = [&](const char* id, const std::string& part) { return one.steps.at(id).metrics["result"]["protocol"].get<std::string>().find(part) != std::string::npos; };
  EXPECT_TRUE(says("lstm", "; held out: rows that are marked, all newer than any training row (a split by time)"));
  EXPECT_TRUE(says("gru", "; validation: the last 90 of the 450 tokens of the training rows"));
  EXPECT_FALSE(says("lstm", "validation"));
  // Three characters, and the end of a row.
  EXPECT_EQ(one.steps.at("chars").metrics["result"]["words"], 3);
  EXPECT_EQ(one.steps.at("chars").metrics["result"]["training_tokens"], 45 * 3);
}

TEST(LanguageModel, TokensBeyondTheBudgetLieOnDisk) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(60, 9));
  const std::string steps = step("lstm", "validation: 0.2") + step("all", "sparse: true, optimizer: adam");
  const auto plenty = testing::run_job(job(steps), folder, "plenty"), tight = testing::run_job(job(steps), folder, "tight", {3, 1, uint64_t{512} << 10});
  for (const char* id : {"lstm", "all"}) {
    EXPECT_EQ(plenty.steps.at(id).bytes_spilled, 0u) << id;
    EXPECT_GT(tight.steps.at(id).bytes_spilled, 0u) << id;
    EXPECT_EQ(model_hash(plenty, id), model_hash(tight, id)) << id;
    EXPECT_EQ(plenty.steps.at(id).content_hash, tight.steps.at(id).content_hash) << id;
  }
}

TEST(LanguageModel, StopsAndGoesOnOnOtherRankCounts) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(120, 12));
  for (const std::string model : {"lstm, layers: 2", "gru", "transformer, dropout: 0.2"}) {
    const std::string yaml = job(step("next", "epochs: 3, length: 4, checkpoint_every: 5, model: " + model));
    const auto whole = testing::run_job(yaml, folder, "whole " + model, {2, 1});
    testing::run_until(yaml, folder, "cut " + model, "epoch 2", {.ranks = 3});
    const auto resumed = testing::run_job(yaml, folder, "cut " + model, {.ranks = 4, .threads = 2, .resume = true});
    EXPECT_EQ(whole.steps.at("next").metrics["curve"], resumed.steps.at("next").metrics["curve"]) << model;
    EXPECT_EQ(model_hash(whole, "next"), model_hash(resumed, "next")) << model;
    EXPECT_EQ(whole.steps.at("next").content_hash, resumed.steps.at("next").content_hash) << model;
  }
}

TEST(LanguageModel, LearnsWhatComesNext) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(300, 20));
  std::string steps;
  const std::vector<std::string> models{"model: lstm, lr: 0.02", "model: gru, lr: 0.02", "model: transformer, lr: 0.01, length: 10", "model: rnn, lr: 0.01, tied: true"};
  for (size_t k = 0; k < models.size(); ++k) steps += step("m" + std::to_string(k), "hidden: 16, embedding: 16, epochs: 6, " + models[k]);
  const auto run = testing::run_job(job(steps), folder, "out", {1, 2});
  for (size_t k = 0; k < models.size(); ++k) {
    const auto& record = run.steps.at("m" + std::to_string(k));
    const json result = record.metrics["result"];
    // A coin for each of 20 tokens, none for the end of a row, where that is known: 2^(20/21) = 1.94; without it, it is one of three, with 1 in 21.
    EXPECT_LT(result["holdout"]["perplexity"].get<double>(), 2.6) << models[k];
    EXPECT_GT(result["holdout"]["perplexity"].get<double>(), 1.9) << models[k];
    EXPECT_LT(record.metrics["curve"].back()["loss"].get<double>(), 0.95 * record.metrics["curve"][0]["loss"].get<double>());
    const auto rows = run.rows("m" + std::to_string(k));
    ASSERT_EQ(rows.num_rows(), 75);
    double sum = 0;
    int64_t tokens = 0;
    for (int64_t r = 0; r < rows.num_rows(); ++r) sum += rows.column("log_likelihood").values<double>()[size_t(r)], tokens += rows.column("predicted_tokens").values<int64_t>()[size_t(r)];
    EXPECT_EQ(tokens, 75 * 21);
    EXPECT_NEAR(-sum / double(tokens), result["holdout"]["loss"].get<double>(), 0.1) << "rows by themselves are nearly as likely as in their text";
  }
}

TEST(LanguageModel, HeldOutRowsDoNotReachTheModel) {
  testing::TemporaryFolder folder;
  const std::string text = made_up(60, 9);
  const std::string steps = step("lstm", "validation: 0.2") + step("chars", "model: transformer, column: text");
  folder.write("events.jsonl", text);
  const auto before = testing::run_job(job(steps), folder, "before");
  // The newest quarter says something else, with words of its own.
  std::string other;
  std::istringstream rows(text);
  std::string row;
  for (int r = 0; std::getline(rows, row); ++r) {
    json j = json::parse(row);
    if (r >= 45) j["tokens"] = {"never", "before"}, j["text"] = "xyz";
    other += j.dump() + "\n";
  }
  folder.write("events.jsonl", other);
  const auto after = testing::run_job(job(steps), folder, "after");
  for (const char* id : {"lstm", "chars"}) {
    EXPECT_EQ(model_hash(before, id), model_hash(after, id)) << id;
    EXPECT_NE(before.steps.at(id).metrics["result"]["holdout"], after.steps.at(id).metrics["result"]["holdout"]) << id;
  }
}

TEST(LanguageModel, IntervalsHoldWhatTheyAreOf) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(200, 20));
  const auto result = [&](const std::string& more, int ranks) { return testing::run_job(job(step("m", "validation: 0.2" + more)), folder, "out", {.ranks = ranks}).steps.at("m").metrics["result"]; };
  const json usual = result("", 3), few = result(", bootstrap: 20", 3), none = result(", bootstrap: 0", 3);
  EXPECT_EQ(result("", 2), usual);
  for (const char* part : {"holdout", "validation"}) {
    const json &of = usual[part], &interval = of["interval95"];
    const double low = interval["loss"][0], high = interval["loss"][1], loss = of["loss"];
    EXPECT_LT(low, loss);
    EXPECT_GT(high, loss);
    EXPECT_NEAR(interval["perplexity"][1].get<double>(), std::exp(high), 1e-9);
    // Pieces of 5 tokens whose losses are about as far apart as those of coins.
    const double error = 0.7 / std::sqrt(of["tokens"].get<double>());
    EXPECT_GT(high - low, error);
    EXPECT_LT(high - low, 8 * error);
    EXPECT_NE(few[part]["interval95"], interval);
    EXPECT_FALSE(none[part].contains("interval95"));
    EXPECT_EQ(none[part]["loss"], of["loss"]);
  }
}

TEST(LanguageModel, IsUsedAgainOnOtherRows) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(100, 9));
  const auto run = testing::run_on_all_rank_counts(job(step("m", "model: gru") + "  again: { op: predict, from: [split, m] }\n  held: { op: filter, from: again, where: holdout }\n"), folder);
  const auto held = run.rows("held"), first = run.rows("m");
  ASSERT_EQ(held.num_rows(), 25);
  ASSERT_EQ(first.num_rows(), 25);
  for (int64_t r = 0; r < 25; ++r) {
    EXPECT_EQ(held.column("log_likelihood").as_double(r), first.column("log_likelihood").as_double(r));
    EXPECT_EQ(held.column("predicted_tokens").as_int64(r), 10);
  }
}

TEST(LanguageModel, TokensBeginFromVectors) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(60, 9));
  folder.write("words.vec", "2 4\nw1 1 2 3 4\nelsewhere 9 9 9 9\n");
  for (const std::string more : {"", ", sparse: true"}) {
    const auto run = testing::run_job(job(step("m", "embedding: 4, lr: 0, epochs: 1, vectors: words.vec" + more)), folder, "out" + more, {.ranks = 3});
    const auto table = train::load_safetensors(weights_of(run, "m")).at("tokens.weight").values;
    int found = 0;
    for (size_t at = 0; at < table.size(); at += 4) found += table[at] == 1 && table[at + 1] == 2 && table[at + 2] == 3 && table[at + 3] == 4;
    EXPECT_EQ(found, 1) << more;
  }
}

TEST(LanguageModel, ParametersMatter) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(40, 9));
  const auto run = testing::run_job(job(step("m", "lr: 0.01")), folder, "plain");
  const std::string plain = model_hash(run, "m");
  for (const char* more : {"model: gru", "layers: 2", "dropout: 0.3", "tied: true", "max_words: 3", "min_count: 60", "length: 4", "batch: 10", "accumulate: 2", "epochs: 3", "validation: 0.2", "optimizer: sgd", "optimizer: sgd, momentum: 0.5",
                           "lr: 0.02", "schedule: cosine", "schedule: step, decay_after: 1", "schedule: step, decay_after: 1, decay: 0.1", "warmup: 3", "clip: 0.01", "weight_decay: 0.1", "init: 0.1", "freeze: tokens", "lr_factors: {recurrent: 0.3}", "weight_decays: {tokens: 0.1}", "wire: bfloat16", "stored: bfloat16", "reproducible: false", "sparse: true"}) {
    EXPECT_NE(model_hash(testing::run_job(job(step("m", std::string(more).find("lr:") == std::string::npos ? std::string("lr: 0.01, ") + more : more)), folder, "other"), "m"), plain) << more;
    std::filesystem::remove_all(folder / "other");
  }
  for (const std::string model : {"model: transformer, layers: 3", "model: lstm, layers: 3, dropout: 0.2", "model: gru, layers: 3"}) {
    const auto kept = testing::run_job(job(step("m", model)), folder, "kept"), anew = testing::run_job(job(step("m", model + ", recompute: true")), folder, "anew");
    EXPECT_EQ(model_hash(kept, "m"), model_hash(anew, "m")) << model;
    EXPECT_LT(anew.steps.at("m").metrics.at("profile").at("tape_bytes"), kept.steps.at("m").metrics.at("profile").at("tape_bytes")) << model;
    std::filesystem::remove_all(folder / "kept"), std::filesystem::remove_all(folder / "anew");
  }
  const std::string transformer = model_hash(testing::run_job(job(step("m", "model: transformer")), folder, "transformer"), "m");
  EXPECT_NE(transformer, model_hash(testing::run_job(job(step("m", "model: transformer, heads: 3")), folder, "heads"), "m"));
  // What a run leaves is what the next begins from; with a patience an epoch without a better validation is the last.
  EXPECT_EQ(model_hash(testing::run_job(job(step("m", "lr: 0, start: \"" + weights_of(run, "m").string() + "\"")), folder, "started"), "m"), plain);
  const auto patient = testing::run_job(job(step("m", "epochs: 9, lr: 0, validation: 0.2, patience: 2")), folder, "patient");
  EXPECT_EQ(patient.steps.at("m").metrics["curve"].size(), 3u);
}

// A softmax that ranks compute together is the softmax, but for rounding.
TEST(LanguageModel, SoftmaxOverRanksLearnsTheSame) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(120, 12));
  for (const std::string model : {"model: lstm, layers: 2, optimizer: sgd, lr: 0.5", "model: gru, tied: true, hidden: 6, lr: 0.02", "model: transformer, lr: 0.01, optimizer: adagrad", "model: transformer, tied: true, lr: 0.01, accumulate: 2"}) {
    const auto run = [&](const std::string& more, int ranks) { return testing::run_job(job(step("m", "dropout: 0, " + model + more)), folder, "out", {.ranks = ranks}); };
    // Rows of tables begin otherwise than those of matrices.
    const auto begun = testing::run_job(job(step("m", model.substr(0, model.find(", lr:")) + ", lr: 0, epochs: 1")), folder, "begun");
    std::filesystem::copy_file(weights_of(begun, "m"), folder / "begun.safetensors", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::remove_all(folder / "begun");
    const std::string start = ", epochs: 4, start: " + (folder / "begun.safetensors").string();
    const auto whole = run(start, 1), together = run(start + ", sparse: true", 3);
    const auto one = whole.steps.at("m").metrics["curve"], three = together.steps.at("m").metrics["curve"];
    EXPECT_LT(one[3]["loss"].get<double>(), one[0]["loss"].get<double>() - 0.02) << model;
    for (size_t epoch = 0; epoch < 4; ++epoch) EXPECT_NEAR(three[epoch]["loss"].get<double>(), one[epoch]["loss"].get<double>(), 2e-4) << model << " " << epoch;
    EXPECT_NEAR(three[3]["holdout_loss"].get<double>(), one[3]["holdout_loss"].get<double>(), 2e-4) << model;
    EXPECT_EQ(model_hash(run(start + ", sparse: true", 1), "m"), model_hash(together, "m")) << model;
  }
  // Killed in the middle, with recurrent states that go on.
  const std::string yaml = job(step("next", "epochs: 3, length: 4, checkpoint_every: 5, layers: 2, sparse: true, dropout: 0.2"));
  const auto whole = testing::run_job(yaml, folder, "whole", {2, 1});
  testing::run_until(yaml, folder, "cut", "epoch 2", {.ranks = 3});
  const auto resumed = testing::run_job(yaml, folder, "cut", {.ranks = 4, .threads = 2, .resume = true});
  EXPECT_EQ(whole.steps.at("next").metrics["curve"], resumed.steps.at("next").metrics["curve"]);
  EXPECT_EQ(model_hash(whole, "next"), model_hash(resumed, "next"));
}

TEST(LanguageModel, WhatCannotBeLearnedIsAnError) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", made_up(4, 3));
  const auto expect = [&](const std::string& steps, const std::string& message) {
    try {
      testing::run_job(job(steps), folder, "out");
      ADD_FAILURE() << message;
    } catch (const Error& e) {
      EXPECT_NE((e.message() + e.hint()).find(message), std::string::npos) << e.message();
    }
  };
  expect(step("m", "batch: 100"), "the training rows have 12 tokens; 100 streams need at least 200");
  expect(step("m", "batch: 4"), "'batch' is 4; expected at least 'shards', 8");
  expect(step("m", "shards: 3"), "expected a power of two");
  expect(step("m", "tied: true, hidden: 8"), "'tied' needs an 'embedding' of 'hidden', 8, not 6");
  expect(step("m", "model: transformer, heads: 4"), "expected a multiple of 'heads', 4");
  expect(step("m", "patience: 1"), "'patience' needs a 'validation' share");
  expect(step("m", "batch: 8, length: 2, shards: 1, validation: 0.001"), "raise 'validation'");
  expect(step("m", "sparse: true, optimizer: sgd, momentum: 0.5"), "'sparse' goes without 'momentum'");
  expect(step("m", "sparse: true, weight_decay: 0.5"), "'sparse' goes without 'weight_decay'");
  expect(step("m", "sparse: true, weight_decays: {tokens: 0.5}"), "'sparse' goes without 'weight_decays'");
  expect(step("m", "sparse: true, optimizer: adamw"), "'sparse' goes with optimizer sgd, adagrad or adam, not adamw");
  expect(step("m", "column: ts"), "expected list<string> or string");
  try {
    testing::run_job(job(step("m", "shards: 2")), folder, "out", {.ranks = 3});
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("'shards' is 2, fewer than the 3 ranks"), std::string::npos) << e.message();
  }
}

}  // namespace
}  // namespace throng
