// topics: planted topics come back; held-out rows teach nothing; a stop does not change the result.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/data/array_store.h"
#include "jobs/cli/behaviour_generator.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using nlohmann::json;

// Posts of the generator, in time order, and the truth about them.
std::vector<json> posts(int64_t events, json& truth) {
  std::vector<json> all;
  truth = json::parse(cli::generate_behaviour({.users = 50, .events = events, .seed = 3, .days = 10}, [&](const std::string& line) {
    json event = json::parse(line);
    if (event.contains("text")) all.push_back(event);
  }));
  return all;
}

std::string lines(const std::vector<json>& events) {
  std::string text;
  for (const auto& e : events) text += e.dump() + "\n";
  return text;
}

std::string job(int64_t cut, int iterations, int k = 8) {
  return fmt::format("job: j\nsteps:\n  events: {{ op: read_events, path: events.jsonl, partitions: 5 }}\n  split: {{ op: split, from: events, at: \"{}\" }}\n"
                     "  tokens: {{ op: tokenize, from: split }}\n  topics: {{ op: topics, from: tokens, k: {}, iterations: {}, min_count: 3 }}\n", cut, k, iterations);
}

std::string state(const testing::JobRun& run) { return data::ArrayStore::load(engine::RunDirectory(run.folder).state("topics") / "topics.h5").content_hash(); }

TEST(Topics, PlantedTopicsComeBack) {
  testing::TemporaryFolder folder;
  json truth;
  auto events = posts(6000, truth);
  folder.write("events.jsonl", lines(events));
  auto run = testing::run_job(job(events[events.size() * 4 / 5]["ts"], 60, 12), folder, "out", {2, 1});
  std::map<std::string, std::string> planted;  // word -> topic
  for (const auto& t : truth["topics"])
    for (const auto& w : t["words"]) planted[w] = t["name"];
  // Each learned topic lists words of one planted topic, and each planted topic is found (it may be found twice).
  auto words = run.rows("topics", "words");
  std::map<int64_t, std::map<std::string, int>> listed;
  for (int64_t r = 0; r < words.num_rows(); ++r)
    if (auto it = planted.find(std::string(words.column("word").string(r))); it != planted.end()) ++listed[words.column("topic").as_int64(r)][it->second];
  std::map<int64_t, std::string> meaning;
  std::set<std::string> found;
  for (const auto& [topic, by_name] : listed) {
    auto best = std::max_element(by_name.begin(), by_name.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    meaning[topic] = best->first;
    if (best->second < 5) continue;  // of ten; long Chinese words come as several tokens
    found.insert(best->first);
    for (const auto& [name, n] : by_name) EXPECT_TRUE(name == best->first || n <= 2) << name << " beside " << best->first;
  }
  EXPECT_EQ(found.size(), 8u);
  // Rows, the held-out ones too, get a topic of their words.
  auto rows = run.rows("topics");
  int64_t right = 0, all = 0;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    std::set<std::string> of_row;
    const auto& tokens = rows.column("tokens");
    for (int64_t i = 0; i < tokens.list_size(r); ++i)
      if (auto it = planted.find(std::string(tokens.list_string(r, i))); it != planted.end()) of_row.insert(it->second);
    if (of_row.size() != 1) continue;
    ++all, right += meaning[rows.column("topic").as_int64(r)] == *of_row.begin();
  }
  EXPECT_GT(all, 800);
  EXPECT_GT(double(right), 0.95 * double(all));
}

TEST(Topics, HeldOutRowsTeachNothing) {
  testing::TemporaryFolder folder;
  json truth;
  auto events = posts(1500, truth);
  const int64_t cut = events[events.size() * 3 / 4]["ts"];
  folder.write("events.jsonl", lines(events));
  auto before = state(testing::run_job(job(cut, 12), folder, "before"));
  for (auto& e : events)
    if (e["ts"] >= cut) e["text"] = "goal goal goal other other other";
  folder.write("events.jsonl", lines(events));
  EXPECT_EQ(before, state(testing::run_job(job(cut, 12), folder, "after")));
}

TEST(Topics, SameBitsOnAnyRankCountAndAfterAStop) {
  testing::TemporaryFolder folder;
  json truth;
  auto events = posts(1500, truth);
  folder.write("events.jsonl", lines(events));
  const std::string yaml = job(events[events.size() * 3 / 4]["ts"], 25);
  auto whole = testing::run_on_all_rank_counts(yaml, folder);
  testing::run_until(yaml, folder, "cut", "sweep 8/25", {.ranks = 3});
  auto resumed = testing::run_job(yaml, folder, "cut", {.ranks = 2, .resume = true});
  EXPECT_EQ(whole.steps.at("topics").content_hash, resumed.steps.at("topics").content_hash);
  EXPECT_EQ(whole.steps.at("topics").metrics["curve"], resumed.steps.at("topics").metrics["curve"]);
  EXPECT_EQ(state(whole), state(resumed));
}

}  // namespace
}  // namespace throng
