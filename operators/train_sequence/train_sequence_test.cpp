// train_sequence: the same bits on any number of ranks and after a stop, no look at held-out rows, honest baselines.
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "framework/train/safetensors.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using nlohmann::json;

constexpr int64_t kStart = 1'700'000'000, kStep = 600;

struct Event {
  int user, action;
  double value;
  int64_t ts;
};

// Actions follow the sum of the two before, which the last alone does not tell.
std::vector<Event> made_up(int users, int length, double noise) {
  std::vector<Event> events;
  std::vector<std::array<int, 2>> last(size_t(users), {0, 0});
  for (int i = 0; i < length; ++i)
    for (int u = 0; u < users; ++u) {
      Random random(17, uint64_t(u), uint64_t(i));
      auto& [before, now] = last[size_t(u)];
      int next = i < 2 || random.uniform() < noise ? int(random.below(3)) : (before + now) % 3;
      before = now, now = next;
      events.push_back({u, next, next + random.normal(), kStart + i * kStep + u});
    }
  return events;
}

std::string name_of(int action) { return std::string(1, char('a' + action)); }

std::string lines(const std::vector<Event>& events) {
  std::string text;
  for (const auto& e : events)
    text += json{{"user", "u" + std::to_string(e.user)}, {"ts", e.ts}, {"action", name_of(e.action)}, {"value", e.value}}.dump() + "\n";
  return text;
}

std::string job(const std::string& steps, int64_t cut = 0) {
  return "job: learn\nsteps:\n  events: { op: read_events, path: events.jsonl }\n  split: { op: split, from: events, " +
         (cut ? "at: \"" + std::to_string(cut) + "\"" : std::string("fraction: 0.25")) + " }\n" + steps;
}

const std::string kSmall = "hidden: 6, embedding: 3, epochs: 2, batch: 16, max_length: 12, lr: 0.01";

std::string model_hash(const testing::JobRun& run, const std::string& step) {
  const auto folder = engine::RunDirectory(run.folder).state(step);
  return data::ArrayStore::load(folder / "model.h5").content_hash() + hash128_hex(read_file(folder / "model.safetensors"));
}

TEST(TrainSequence, SameBitsOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(30, 20, 0.1)));
  const std::string yaml = job("  rnn: { op: train_sequence, from: split, model: rnn, layers: 2, " + kSmall + " }\n" +
                               "  lstm: { op: train_sequence, from: split, model: lstm, target: value, weight_decay: 0.01, " + kSmall + " }\n" +
                               "  gru: { op: train_sequence, from: split, model: gru, event: b, within: 20m, " + kSmall + " }\n" +
                               "  back: { op: train_sequence, from: split, model: lstm, attention: true, heads: 2, dropout: 0.2, optimizer: rmsprop, momentum: 0.5, schedule: step, " + kSmall + " }\n" +
                               "  blocks: { op: train_sequence, from: split, model: transformer, heads: 2, layers: 2, dropout: 0.2, optimizer: adam, schedule: cosine, warmup: 4, " + kSmall + " }\n");
  auto one = testing::run_job(yaml, folder, "ranks1");
  EXPECT_EQ(one.steps.at("lstm").metrics["result"]["task"], "number");
  EXPECT_EQ(one.steps.at("gru").metrics["result"]["task"], "event");
  for (int ranks : {1, 2, 3, 4, 5, 8}) {
    auto other = testing::run_job(yaml, folder, "other", {ranks, ranks == 1 ? 2 : ranks == 2 ? 3 : 1});
    for (const char* step : {"rnn", "lstm", "gru", "back", "blocks"}) {
      EXPECT_EQ(one.steps.at(step).content_hash, other.steps.at(step).content_hash) << step << " on " << ranks;
      EXPECT_EQ(one.steps.at(step).metrics["result"], other.steps.at(step).metrics["result"]) << step << " on " << ranks;
      EXPECT_EQ(one.steps.at(step).metrics["curve"], other.steps.at(step).metrics["curve"]) << step << " on " << ranks;
      EXPECT_EQ(model_hash(one, step), model_hash(other, step)) << step << " on " << ranks;
    }
  }
}

// Vectors that lie over the ranks, and a softmax that they compute together, learn what whole matrices do, but for rounding.
TEST(TrainSequence, TablesOverRanksLearnTheSame) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(40, 20, 0.1)));
  for (const auto& [more, lr] : std::vector<std::pair<std::string, std::string>>{{"model: lstm, recent: 0, optimizer: sgd", "0.5"}, {"model: gru, recent: 2, optimizer: adagrad", "0.05"}, {"model: transformer, recent: 0, optimizer: adagrad, accumulate: 2, validation: 0.2", "0.02"},
                                                                                {"target: value, inputs: [action], optimizer: adagrad", "0.02"}, {"event: b, within: 20m, optimizer: sgd", "0.1"}}) {
    const auto yaml = [&, more = more](const std::string& last) { return job("  next: { op: train_sequence, from: split, hidden: 6, embedding: 3, batch: 16, max_length: 12, " + more + last + " }\n"); };
    const auto once = [&](const std::string& last, int ranks) {
      std::filesystem::remove_all(folder / "out");
      return testing::run_job(yaml(last), folder, "out", {.ranks = ranks, .threads = ranks == 2 ? 2 : 1});
    };
    // Rows of tables begin otherwise than those of matrices.
    const auto begun = once(", epochs: 1, lr: 0", 1);
    std::filesystem::copy_file(engine::RunDirectory(begun.folder).state("next") / "model.safetensors", folder / "begun.safetensors", std::filesystem::copy_options::overwrite_existing);
    const std::string start = ", epochs: 3, start: begun.safetensors, lr: " + lr;
    const json whole = once(start, 1).steps.at("next").metrics["curve"];
    const auto together = once(start + ", sparse: true", 3);
    const json curve = together.steps.at("next").metrics["curve"];
    EXPECT_LT(whole[2]["loss"].get<double>(), whole[0]["loss"].get<double>() - 0.001) << more;
    for (size_t epoch = 0; epoch < 3; ++epoch)
      for (const char* loss : {"loss", "holdout_loss"}) EXPECT_NEAR(curve[epoch][loss].get<double>(), whole[epoch][loss].get<double>(), 2e-4) << more << " " << epoch;
    const std::string hash = model_hash(together, "next"), content = together.steps.at("next").content_hash;
    for (int ranks : {1, 2, 5}) {
      const auto other = once(start + ", sparse: true", ranks);
      EXPECT_EQ(model_hash(other, "next"), hash) << more << " on " << ranks;
      EXPECT_EQ(other.steps.at("next").content_hash, content) << more << " on " << ranks;
    }
  }
  // Killed in the middle, with a best epoch.
  const std::string yaml = job("  next: { op: train_sequence, from: split, hidden: 5, embedding: 3, max_length: 4, batch: 8, epochs: 4, checkpoint_every: 5, recent: 0, sparse: true, optimizer: adam, validation: 0.2, patience: 3 }\n");
  const auto whole = testing::run_job(yaml, folder, "whole", {2, 1});
  testing::run_until(yaml, folder, "cut", "epoch 3", {.ranks = 3});
  const auto resumed = testing::run_job(yaml, folder, "cut", {.ranks = 5, .threads = 2, .resume = true});
  EXPECT_EQ(whole.steps.at("next").metrics["curve"], resumed.steps.at("next").metrics["curve"]);
  EXPECT_EQ(model_hash(whole, "next"), model_hash(resumed, "next"));
}

TEST(TrainSequence, RowsBeyondTheBudgetLieOnDisk) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(30, 20, 0.1)));
  const std::string yaml = job("  gru: { op: train_sequence, from: split, model: gru, recent: 2, validation: 0.2, " + kSmall + " }\n  number: { op: train_sequence, from: split, model: transformer, heads: 2, target: value, " + kSmall + " }\n");
  auto plenty = testing::run_job(yaml, folder, "plenty"), tight = testing::run_job(yaml, folder, "tight", {3, 1, uint64_t{512} << 10});
  for (const char* step : {"gru", "number"}) {
    EXPECT_EQ(plenty.steps.at(step).bytes_spilled, 0u) << step;
    EXPECT_GT(tight.steps.at(step).bytes_spilled, 0u) << step;
    EXPECT_EQ(plenty.steps.at(step).content_hash, tight.steps.at(step).content_hash) << step;
    EXPECT_EQ(plenty.steps.at(step).metrics["result"], tight.steps.at(step).metrics["result"]) << step;
    EXPECT_EQ(model_hash(plenty, step), model_hash(tight, step)) << step;
  }
}

TEST(TrainSequence, LearnsWhatTheLastActionDoesNotTell) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(60, 30, 0.1)));
  const std::vector<std::string> models{"model: gru", "model: lstm, attention: true", "model: transformer, heads: 2, schedule: cosine, max_length: 12", "model: rnn, optimizer: rmsprop, lr: 0.005"};
  std::string steps;
  for (size_t k = 0; k < models.size(); ++k)
    steps += fmt::format("  next{}: {{ op: train_sequence, from: split, hidden: 16, embedding: 8, epochs: 12, batch: 16, {} inputs: [action], {}{} }}\n", k,
                         models[k].find("lr:") == std::string::npos ? "lr: 0.02," : "", models[k].find("max_length") == std::string::npos ? "max_length: 20, " : "", models[k]);
  auto run = testing::run_job(job(steps), folder, "out");
  for (size_t k = 0; k < models.size(); ++k) {
    json result = run.steps.at(fmt::format("next{}", k)).metrics["result"];
    EXPECT_GT(result["accuracy"]["model"].get<double>(), 0.8) << models[k];
    EXPECT_LT(result["accuracy"]["markov"].get<double>(), 0.55);
    EXPECT_LT(result["log_loss"]["model"].get<double>(), result["log_loss"]["markov"].get<double>()) << models[k];
  }
}

TEST(TrainSequence, StopsAndGoesOnOnOtherRankCounts) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(60, 20, 0.1)));
  // 8 pieces a step of many (stops within an epoch), and all in one step (stops between epochs).
  for (const std::string size : {"batch: 8, epochs: 2", "batch: 512, epochs: 4", "batch: 8, epochs: 2, model: transformer, dropout: 0.3, optimizer: rmsprop, momentum: 0.5, schedule: cosine, lr: 0.001"}) {
    const std::string yaml = job("  next: { op: train_sequence, from: split, hidden: 5, embedding: 3, max_length: 4, checkpoint_every: 5, " + size + " }\n");
    auto whole = testing::run_job(yaml, folder, "whole " + size, {2, 1});
    testing::run_until(yaml, folder, "cut " + size, "epoch 2", {.ranks = 3});
    auto resumed = testing::run_job(yaml, folder, "cut " + size, {.ranks = 5, .threads = 2, .resume = true});
    EXPECT_EQ(whole.steps.at("next").content_hash, resumed.steps.at("next").content_hash) << size;
    EXPECT_EQ(whole.steps.at("next").metrics["curve"], resumed.steps.at("next").metrics["curve"]) << size;
    EXPECT_EQ(model_hash(whole, "next"), model_hash(resumed, "next")) << size;
  }
}

TEST(TrainSequence, CheckpointsStayAndRanksWithoutAShardAreAnError) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(60, 20, 0.1)));
  const std::string step = "  next: { op: train_sequence, from: split, hidden: 5, embedding: 3, max_length: 4, batch: 8, epochs: 2, ";
  auto kept = [&](const std::string& out) {
    int count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / out)) count += entry.path().filename().string().starts_with("checkpoint");
    return count;
  };
  auto plain = testing::run_job(job(step + "checkpoint_every: 5 }\n"), folder, "plain");
  EXPECT_EQ(kept("plain"), 0);
  const json profile = plain.steps.at("next").metrics["profile"];
  EXPECT_GT(profile["steps"], 10);
  EXPECT_GT(profile["gradients"], 0);
  auto other = testing::run_job(job(step + "keep_checkpoints: 2, checkpoint_every: 0, checkpoint_after: 1us }\n"), folder, "kept", {2, 1});
  EXPECT_EQ(kept("kept"), 2) << "the first and the last, at least: which come between depends on the disk";
  EXPECT_EQ(model_hash(plain, "next"), model_hash(other, "next")) << "when checkpoints are written has no part in what is learned";
  const std::string few = job(step + "shards: 4 }\n");
  try {
    testing::run_job(few, folder, "few", {5, 1});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "step 'next' (train_sequence): 'shards' is 4, fewer than the 5 ranks: some would do nothing");
    EXPECT_EQ(e.hint(), "set shards to 8, which changes the result, or start fewer ranks");
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "few" / "steps")) << "found before anything is done";
  testing::run_job(job(step + "shards: 4, reproducible: false }\n"), folder, "any", {5, 1});
}

TEST(TrainSequence, HeldOutValuesDoNotReachTheModel) {
  testing::TemporaryFolder folder;
  auto events = made_up(30, 20, 0.1);
  const int64_t cut = kStart + 15 * kStep;
  const std::string yaml = job("  next: { op: train_sequence, from: split, " + kSmall + " }\n  number: { op: train_sequence, from: split, target: value, " + kSmall +
                               " }\n  event: { op: train_sequence, from: split, event: b, within: 30m, " + kSmall + " }\n", cut);
  folder.write("events.jsonl", lines(events));
  auto before = testing::run_job(yaml, folder, "before");
  for (auto& e : events)
    if (e.ts >= cut) e.action = 3 + (e.action + e.user) % 2, e.value *= -1000;
  folder.write("events.jsonl", lines(events));
  auto after = testing::run_job(yaml, folder, "after");
  for (const char* step : {"next", "number", "event"}) {
    EXPECT_EQ(model_hash(before, step), model_hash(after, step)) << step;
    EXPECT_NE(before.steps.at(step).content_hash, after.steps.at(step).content_hash) << step;
  }
}

// Each changes what is learned; what a run leaves is what the next can begin from.
TEST(TrainSequence, ParametersMatter) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(20, 15, 0.1)));
  const std::string sizes = "hidden: 6, embedding: 3, batch: 16, max_length: 12";
  auto step = [&](const std::string& id, const std::string& more) { return fmt::format("  {}: {{ op: train_sequence, from: split, {}, {} }}\n", id, sizes, more); };
  auto run = testing::run_job(job(step("plain", "epochs: 2, lr: 0.01")), folder, "plain");
  const std::string plain = model_hash(run, "plain");
  for (const char* more : {"optimizer: sgd", "optimizer: sgd, momentum: 0.9", "optimizer: adam, weight_decay: 0.1", "weight_decay: 0.1", "schedule: cosine", "schedule: step", "schedule: step, decay: 0.5", "schedule: step, decay_after: 0", "warmup: 3", "freeze: recurrent", "lr_factors: {recurrent: 0.5}", "weight_decay: 0.1, weight_decays: {output: 0}", "weight_decays: {output: 0.1}", "validation: 0.3", "batch_rows: 60", "wire: bfloat16", "stored: bfloat16", "dropout: 0.2",
                           "attention: true", "attention: true, heads: 2", "layers: 2", "clip: 0.01", "model: transformer", "model: transformer, heads: 3", "recent: 0", "gaps: false", "shards: 4", "reproducible: false", "accumulate: 2"}) {
    auto other = testing::run_job(job(step("plain", std::string("epochs: 2, lr: 0.01, ") + more)), folder, "other");
    EXPECT_NE(model_hash(other, "plain"), plain) << more;
  }
  for (const std::string model : {"model: transformer, layers: 2", "model: lstm, layers: 3", "model: gru, layers: 3, attention: true"}) {
    const std::string layers = "epochs: 2, lr: 0.01, dropout: 0.2, " + model;
    const auto kept = testing::run_job(job(step("plain", layers)), folder, "kept"), anew = testing::run_job(job(step("plain", layers + ", recompute: true")), folder, "anew");
    EXPECT_EQ(model_hash(kept, "plain"), model_hash(anew, "plain")) << model;
    EXPECT_LT(anew.steps.at("plain").metrics.at("profile").at("tape_bytes"), kept.steps.at("plain").metrics.at("profile").at("tape_bytes")) << model;
  }
  const std::string weights = (engine::RunDirectory(run.folder).state("plain") / "model.safetensors").string();
  auto start = testing::run_job(job(step("plain", "epochs: 1, lr: 0, start: \"" + weights + "\"")), folder, "start");
  EXPECT_EQ(model_hash(start, "plain"), plain) << "at a learning rate of 0 it stays what it was";
  // What is frozen stays as `start` brings it; the rest moves.
  auto frozen = testing::run_job(job(step("plain", "epochs: 1, freeze: [embedding, recurrent], start: \"" + weights + "\"")), folder, "frozen");
  const auto old = train::load_safetensors(weights), now = train::load_safetensors(engine::RunDirectory(frozen.folder).state("plain") / "model.safetensors");
  ASSERT_EQ(old.size(), now.size());
  for (const auto& [name, tensor] : old) {
    const bool stays = name.starts_with("embedding") || name.starts_with("recurrent");
    EXPECT_EQ(tensor.values == now.at(name).values, stays) << name;
  }
  // The same by a factor of 0; and only what is named comes from the file.
  auto slow = testing::run_job(job(step("plain", "epochs: 1, lr_factors: {\"\": 0, output: 1}, weight_decay: 0, start_names: {recurrent.l0: recurrent.l0, output.weight: output.weight}, start: \"" + weights + "\"")), folder, "slow");
  const auto slowly = train::load_safetensors(engine::RunDirectory(slow.folder).state("plain") / "model.safetensors");
  EXPECT_EQ(slowly.at("recurrent.l0").values, old.at("recurrent.l0").values);
  EXPECT_NE(slowly.at("output.weight").values, old.at("output.weight").values);
  EXPECT_NE(slowly.at("embedding0.weight").values, old.at("embedding0.weight").values) << "begins at random";
}

// Everyone does again what they did three events before: a model that looks back must look there.
TEST(TrainSequence, WritesWhichEventsItLookedAt) {
  testing::TemporaryFolder folder;
  std::vector<Event> events;
  for (int u = 0; u < 200; ++u) {
    Random random(5, uint64_t(u));
    std::vector<int> done;
    for (int i = 0; i < 12; ++i) {
      done.push_back(i < 3 || random.uniform() < 0.2 ? int(random.below(8)) : done[size_t(i - 3)]);
      events.push_back({u, done.back(), 0, kStart + i * kStep + u});
    }
  }
  folder.write("events.jsonl", lines(events));
  const std::string usual = "inputs: action, gaps: false, recent: 0, hidden: 16, embedding: 8, batch: 16, lr: 0.02, attended: 4, ";
  const auto run = testing::run_on_all_rank_counts(job("  blocks: { op: train_sequence, from: events, model: transformer, max_length: 16, epochs: 12, " + usual +
                                                       " }\n  few: { op: train_sequence, from: events, model: gru, attention: true, heads: 2, max_length: 6, epochs: 2, " + usual +
                                                       " }\n  again: { op: predict, from: [events, blocks] }\n  short: { op: predict, from: [events, few] }\n"), folder);
  int64_t there = 0, rows = 0;
  for (const char* step : {"blocks", "few", "again", "short"}) {
    const data::Batch found = run.rows(step);
    const auto &back = found.column("attended"), &weights = found.column("attention");
    ASSERT_GT(found.num_rows(), 60);
    for (int64_t r = 0; r < found.num_rows(); ++r) {
      const auto b = back.list<int32_t>(r);
      const auto w = weights.list<float>(r);
      ASSERT_EQ(b.size(), w.size());
      const int64_t at = (found.column("ts").values<int64_t>()[size_t(r)] / 1'000'000 - kStart) / kStep;
      ASSERT_GE(int64_t(b.size()), std::min<int64_t>(at + 1, 3)) << step;
      double sum = 0;
      for (size_t i = 0; i < w.size(); ++i) {
        sum += double(w[i]);
        ASSERT_TRUE(b[i] >= 0 && b[i] <= at) << step << ": " << b[i] << " events back of " << at;
        ASSERT_TRUE(i == 0 || w[i] < w[i - 1] || (w[i] == w[i - 1] && b[i] > b[i - 1])) << step;
      }
      EXPECT_NEAR(sum, at < 4 ? 1 : 0.5, at < 4 ? 1e-5 : 0.5 + 1e-5) << step;
      if (step == std::string("blocks") && at >= 3) ++rows, there += b[0] == 2;
    }
  }
  EXPECT_GT(double(there), 0.9 * double(rows));
}

// Users set aside are not trained on; the epoch with the least loss there is kept, on any number of ranks.
TEST(TrainSequence, ValidatesOnUsersAndStopsEarly) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(40, 15, 0.4)));
  for (const char* task : {"", ", target: value", ", event: b, within: 30m"}) {
    // Much too eager, so that it gets worse soon.
    const std::string step = std::string("  m: { op: train_sequence, from: split, hidden: 16, batch: 16, max_length: 12, lr: 0.05, validation: 0.25, patience: 2, epochs: 30") + task + " }\n";
    const auto one = testing::run_job(job(step), folder, "one"), three = testing::run_job(job(step), folder, "three", {.ranks = 3});
    EXPECT_EQ(model_hash(one, "m"), model_hash(three, "m")) << task;
    const auto& curve = one.steps.at("m").metrics["curve"];
    ASSERT_LT(curve.size(), 30u) << task;
    size_t best = 0;
    for (size_t i = 0; i < curve.size(); ++i)
      if (curve[i]["validation_loss"] < curve[best]["validation_loss"]) best = i;
    EXPECT_EQ(best + 3, curve.size()) << task;
    // What is kept is that epoch: its loss on held-out rows is the result's.
    const auto short_run = testing::run_job(job(fmt::format("  m: {{ op: train_sequence, from: split, hidden: 16, batch: 16, max_length: 12, lr: 0.05, validation: 0.25, epochs: {}{} }}\n", best + 1, task)), folder, "short");
    EXPECT_EQ(model_hash(one, "m"), model_hash(short_run, "m")) << task;
    const auto& result = one.steps.at("m").metrics["result"];
    const auto all = testing::run_job(job(std::string("  m: { op: train_sequence, from: split, hidden: 16, batch: 16, max_length: 12, epochs: 1") + task + " }\n"), folder, "all");
    const auto& whole = all.steps.at("m").metrics["result"];
    EXPECT_EQ(result["training_examples"].get<int64_t>() + result["validation_examples"].get<int64_t>(), whole["training_examples"].get<int64_t>()) << task;
    EXPECT_GT(result["validation_examples"], 0) << task;
    EXPECT_EQ(result.at("holdout_examples"), whole.at("holdout_examples")) << "held-out rows stay what they are" << task;
    EXPECT_FALSE(std::filesystem::exists(engine::RunDirectory(one.folder).state("m") / "best.h5"));
  }
}

TEST(TrainSequence, BadParametersAreJobErrors) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(made_up(3, 5, 0.1)));
  for (const char* bad : {"shards: 6", "batch: 4", "target: nothing", "model: mamba", "heads: 3", "momentum: 0.5", "model: transformer, attention: true", "optimizer: adma", "schedule: linear", "start: nothing.safetensors", "freeze: [nothing]", "lr_factors: {nothing: 2}", "lr_factors: {output: -1}", "lr_factors: {output: much}", "weight_decays: {output.bias: 1}", "weight_decays: {output: -0.1}", "start_names: {output.weight: x}", "attended: 3", "sparse: true", "sparse: true, optimizer: sgd, momentum: 0.5", "batch_rows: 7", "patience: 2", "validation: 0.6", "task: event", "task: number, target: action", "event: b, within: 0s",
                          "inputs: [nothing]", "hidden: 0", "epochs: 0", "task: category, target: value", "by: nobody"}) {
    try {
      testing::run_job(job(std::string("  next: { op: train_sequence, from: split, ") + bad + " }\n"), folder, "out");
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kJob) << bad << ": " << error.text();
    }
  }
}

}  // namespace
}  // namespace throng
