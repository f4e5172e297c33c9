// A finished run's frozen steps on new rows: the same rows give the same results, and nothing is learned anew.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "framework/base/random.h"
#include "framework/comm/threads_backend.h"
#include "jobs/spec/yaml_job.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

const std::string kJob = R"(
job: frozen
steps:
  events: { op: read_events, path: events.jsonl, partitions: 5 }
  split:  { op: split, from: events, fraction: 0.25 }
  clean:  { op: clean, from: split, fill: { value: mean }, normalize: { value: zscore } }
  tokens: { op: tokenize, from: clean }
  words:  { op: vocabulary, from: tokens, min_count: 2 }
  topics: { op: topics, from: words, k: 4, iterations: 10, min_count: 2, max_share: 1 }
  seq:    { op: sequences, from: topics }
  next:   { op: train_sequence, from: seq, hidden: 4, embedding: 3, epochs: 1, batch: 16 }
)";

std::string lines(int n, const std::string& extra = "") {
  std::string text;
  for (int i = 0; i < n; ++i) {
    Random random(91, uint64_t(i));
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"action\":\"{}\",\"value\":{},\"text\":\"w{} w{} w{}\"}}\n", random.below(20), 1'700'000'000 + i * 60, "abc"[random.below(3)],
                        random.below(5) ? std::to_string(random.below(100)) + ".5" : "null", random.below(12), random.below(12), random.below(12));
  }
  return text + extra;
}

testing::JobRun apply(const testing::TemporaryFolder& folder, const std::string& events, int ranks) {
  testing::JobRun result;
  result.folder = folder / ("applied " + events);
  std::mutex mutex;
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    graph::Faults faults;
    graph::Job job = spec::read_job(folder / "job.yaml", {}, faults);
    faults.throw_if_any();
    graph::Job fresh = engine::job_for_new_events(job, (folder / events).string());
    engine::RunOptions options;
    options.out = result.folder;
    options.memory_bytes = uint64_t{256} << 20;
    options.learned_from = folder / "out";
    auto run = engine::run(fresh, engine::prepare(fresh, comm, graph::Faults(), true), comm, options);
    std::lock_guard lock(mutex);
    for (auto& step : run.steps) result.steps[step.id] = step;
  });
  return result;
}

// Every file below the states of a run.
std::map<std::string, std::string> states(const std::filesystem::path& run) {
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(run))
    if (entry.is_regular_file() && entry.path().string().find("/state/") != std::string::npos) {
      std::ifstream in(entry.path(), std::ios::binary);
      all[entry.path()] = {std::istreambuf_iterator<char>(in), {}};
    }
  return all;
}

int64_t counted(const testing::JobRun& run, const std::string& id, const std::string& counter) {
  for (const auto& [step, record] : run.steps)
    if (record.nodes.contains(id)) return record.nodes[id]["counters"].value(counter, int64_t{0});
  ADD_FAILURE() << "no step " << id;
  return -1;
}

TEST(Apply, TheTrainingFileGivesTheRowsOfTheRun) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(500));
  auto run = testing::run_job(kJob, folder, "out", {2, 1});
  auto before = states(run.folder);
  ASSERT_GE(before.size(), 5u);
  auto applied = apply(folder, "events.jsonl", 3);
  EXPECT_EQ(before, states(run.folder));
  auto expected = run.rows("seq"), got = applied.rows("next");
  ASSERT_EQ(got.num_rows(), expected.num_rows());
  for (const auto& field : expected.schema().fields()) {
    if (!got.schema().has(field.name)) continue;
    for (int64_t r = 0; r < got.num_rows(); ++r)
      ASSERT_EQ(data::Column::compare(expected.column(field.name), r, got.column(field.name), r), 0) << field.name << " in row " << r;
  }
  for (const char* name : {"holdout", "value", "token_ids", "topic", "topic_weight", "sequence"}) EXPECT_TRUE(got.schema().has(name)) << name;

  // What the run foretold of held-out rows, the frozen model foretells again.
  auto judged = run.rows("next");
  std::map<std::pair<std::string, int64_t>, std::string> predictions;
  for (int64_t r = 0; r < got.num_rows(); ++r)
    predictions[{std::string(got.column("user").string(r)), got.column("ts").as_int64(r)}] = got.column("predicted").string(r);
  ASSERT_GT(judged.num_rows(), 50);
  for (int64_t r = 0; r < judged.num_rows(); ++r)
    EXPECT_EQ(predictions.at({std::string(judged.column("user").string(r)), judged.column("ts").as_int64(r)}), judged.column("predicted").string(r)) << r;
}

TEST(Apply, UnseenValuesAreCounted) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(500));
  testing::run_job(kJob, folder, "out");
  folder.write("new.jsonl", lines(30, "{\"user\":\"stranger\",\"ts\":1800000000,\"action\":\"z\",\"value\":null,\"text\":\"never heard w1\"}\n"
                                     "{\"user\":\"stranger\",\"ts\":1800000060,\"action\":\"z\",\"value\":1,\"text\":\"\"}\n"));
  auto applied = apply(folder, "new.jsonl", 2);
  EXPECT_EQ(counted(applied, "words", "unseen_words"), 2);
  EXPECT_EQ(counted(applied, "topics", "unknown_words"), 2);
  EXPECT_EQ(counted(applied, "next", "unseen_action"), 2);
  auto rows = applied.rows("next");
  EXPECT_EQ(rows.num_rows(), 32);
  for (int64_t r = 0; r < rows.num_rows(); ++r)
    if (rows.column("user").string(r) == "stranger") {
      EXPECT_EQ(rows.column("holdout").as_int64(r), 1);  // later than the frozen cut
      EXPECT_EQ(rows.column("topic").is_valid(r), rows.column("position").as_int64(r) == 0);
    }
}

// Held-out items of the run rank as they did, new users get recommendations by all they took. Where users have vectors they get new ones; ratings have no list.
TEST(Apply, RecommendersRecommendToNewUsers) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int n = 0; n < 12; ++n)
    for (int u = 0; u < 40; ++u)
      if (n < 6 + u % 7) text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"item\":\"i{}\",\"stars\":{}.5}}\n", u, 1'700'000'000 + n * 100 + u, (u * 7 + n) % 30, n % 5);
  folder.write("events.jsonl", text);
  const std::string small = ", hidden: 8, epochs: 2, batch: 16, lr: 0.01 }\n";
  const std::string job = "job: j\nsteps:\n  events: { op: read_events, path: events.jsonl, partitions: 5 }\n  parts: { op: split, from: events, by: last }\n  pop: { op: popular, from: parts }\n"
                          "  knn: { op: item_knn, from: parts, recent: 3 }\n  mf: { op: matrix_factorization, from: parts, factors: 4, epochs: 2 }\n  stars: { op: matrix_factorization, from: parts, rating: stars, factors: 4, epochs: 2 }\n  sas: { op: sasrec, from: parts" + small +
                          "  bert: { op: bert4rec, from: parts" + small + "  gru: { op: gru4rec, from: parts" + small;
  const auto run = testing::run_job(job, folder, "out", {2, 1});
  const auto before = states(run.folder);
  const auto again = apply(folder, "events.jsonl", 3);
  EXPECT_EQ(before, states(run.folder));
  EXPECT_FALSE(again.steps.contains("stars"));
  folder.write("new.jsonl", R"({"user":"stranger","ts":1800000000,"item":"i3"}
{"user":"stranger","ts":1800000001,"item":"never"}
{"user":"stranger","ts":1800000002,"item":"i4"}
{"user":"stranger","ts":1800000003,"item":"i5"}
{"user":"guest","ts":1800000003,"item":"unheard"}
)");
  const auto fresh = apply(folder, "new.jsonl", 2);
  for (const char* step : {"pop", "knn", "mf", "sas", "bert", "gru"}) {
    const bool same = step != std::string("mf");
    const auto expected = run.rows(step), got = again.rows(step);
    ASSERT_EQ(got.num_rows(), expected.num_rows()) << step;
    for (int64_t r = 0; r < got.num_rows(); ++r)
      for (const char* name : {"user", "actual", same ? "rank" : "user"}) EXPECT_EQ(data::Column::compare(expected.column(name), r, got.column(name), r), 0) << step << ", " << name << " in row " << r;
    // What was held out has been taken, too: it is not recommended again.
    for (int64_t r = 0; r < got.num_rows(); ++r)
      for (int64_t i = 0; i < got.column("recommended").list_size(r); ++i) EXPECT_NE(got.column("recommended").list_string(r, i), got.column("actual").string(r)) << step;
    if (same) {
      EXPECT_EQ(again.steps.at(step).metrics["result"]["hr"], run.steps.at(step).metrics["result"]["hr"]) << step;
    }
    EXPECT_EQ(counted(again, step, "unseen_items"), 0) << step;
    EXPECT_EQ(counted(fresh, step, "unseen_items"), 1) << step << ": the guest's is held out";
    const auto rows = fresh.rows(step);
    ASSERT_EQ(rows.num_rows(), 2) << step;
    for (int64_t r = 0; r < 2; ++r) {
      const bool stranger = rows.column("user").string(r) == "stranger";
      EXPECT_EQ(rows.column("recommended").list_size(r), 10) << step;
      EXPECT_EQ(rows.column("rank").is_valid(r), stranger) << step << ": an item not in the catalogue has no rank";
      for (int64_t i = 0; stranger && i < 10; ++i) EXPECT_FALSE((std::set<std::string_view>{"i3", "i4", "i5"}.contains(rows.column("recommended").list_string(r, i)))) << step;
    }
  }
}

// A step that uses what another learned gives what that one gives, in the run that learns and in one that replays it.
TEST(Apply, PredictIsTheLearnedStepOnOtherRows) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", lines(400)), folder.write("new.jsonl", lines(90));
  const std::string yaml = kJob + "  again: { op: predict, from: [words, topics] }\n";
  const auto run = testing::run_job(yaml, folder, "out", {2, 1});
  EXPECT_EQ(run.steps.at("again").content_hash, run.steps.at("topics").content_hash);
  for (int ranks : {1, 3}) {
    const auto applied = apply(folder, "new.jsonl", ranks);
    EXPECT_GT(applied.steps.at("again").rows, 0);
    EXPECT_EQ(applied.steps.at("again").content_hash, applied.steps.at("topics").content_hash) << ranks;
  }
}

}  // namespace
}  // namespace throng
