// report: the five sentences, their numbers and the posts behind them, the same on any number of ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// 600 posts of 20 users on two subjects, one word in a burst; one line that is no JSON, three rows without text, two repeated.
std::string posts() {
  std::string text, first;
  for (int i = 0; i < 600; ++i) {
    std::string words = i % 2 ? "the team won the football match" : "fresh bread from the bakery today";
    if (i >= 400 && i < 440) words += " earthquake";
    std::string line = fmt::format("{{\"user\":\"u{:02}\",\"ts\":{},\"action\":\"{}\",\"item\":\"i{}\",\"text\":\"{}\"}}\n", i * 7 % 20, 1'700'000'000 + i * 3600, i % 3 ? "post" : "reply", i % 9, words);
    if (i < 2) first += line;
    text += line;
    if (i == 300) text += "no json\n";
    if (i % 200 == 7) text += fmt::format("{{\"user\":\"u01\",\"ts\":{},\"action\":\"post\",\"item\":\"i1\"}}\n", 1'700'000'000 + i * 3600);
  }
  return text + first;
}

json findings(const std::filesystem::path& run) { return json::parse(read_file(run / "steps/report/state/report.json")); }

const std::string kClean = "job: j\nsteps:\n  events: { op: read_events, path: e.jsonl, on_bad_row: skip, partitions: 6 }\n"
                           "  split: { op: split, from: events, fraction: 0.2 }\n"
                           "  clean: { op: clean, from: split, required: [text], duplicates: drop }\n";

TEST(Report, SaysFiveSentencesEachWithPosts) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", posts());
  auto run = testing::run_on_all_rank_counts(kClean + "  tokens: { op: tokenize, from: clean }\n  topics: { op: topics, from: tokens, k: 2, iterations: 20 }\n"
                                             "  trends: { op: trends, from: tokens, window: 1d }\n"
                                             "  next: { op: train_sequence, from: clean, target: item, epochs: 6, lr: 0.02, hidden: 8, embedding: 4 }\n"
                                             "  report: { op: report, from: [clean, topics, trends, next] }\n", folder);
  json f = findings(run.folder);
  ASSERT_EQ(f["sentences"].size(), 5u);
  for (const auto& s : f["sentences"]) EXPECT_GE(s["posts"].size(), 1u) << s["text"];
  EXPECT_THAT(f["sentences"][1]["text"].get<std::string>(), HasSubstr("earthquake")) << f["sentences"].dump(1) << f["trends"].dump().substr(0, 600);
  EXPECT_THAT(f["sentences"][1]["posts"][0]["text"].get<std::string>(), HasSubstr("earthquake"));
  EXPECT_THAT(f["sentences"][2]["text"].get<std::string>(), HasSubstr("20 users made 600 events from 2023-11-14 to 2023-12-09"));
  EXPECT_THAT(f["sentences"][4]["text"].get<std::string>(), HasSubstr("6 of 606 rows read were dropped (1 unreadable, 3 incomplete, 2 repeated)"));
  // The rows behind the fifth: of each reason in turn.
  EXPECT_THAT(f["sentences"][4]["posts"].dump(), HasSubstr("clean: dropped"));
}

TEST(Report, WithoutTextTheRowsSayWhatWasDone) {
  testing::TemporaryFolder folder;
  std::string text = posts();
  for (size_t at; (at = text.find("\"text\"")) != std::string::npos;) text.replace(at, 6, "\"words\"");
  folder.write("e.jsonl", text);
  auto run = testing::run_on_all_rank_counts("job: j\nsteps:\n  events: { op: read_events, path: e.jsonl, on_bad_row: skip, partitions: 6 }\n"
                                             "  split: { op: split, from: events, fraction: 0.2 }\n"
                                             "  burst: { op: derive, from: split, columns: { item: \"if(contains(coalesce(words, ''), 'earthquake'), 'quake', item)\" } }\n"
                                             "  trends: { op: trends, from: burst, window: 1d }\n"
                                             "  back: { op: train_sequence, from: split, target: action, task: event, event: reply, within: 6h, epochs: 1, hidden: 8, embedding: 4 }\n"
                                             "  report: { op: report, from: [burst, trends, back] }\n", folder);
  json f = findings(run.folder);
  for (const auto& s : f["sentences"]) EXPECT_GE(s["posts"].size(), 1u) << s["text"];
  EXPECT_THAT(f["sentences"][0]["text"].get<std::string>(), HasSubstr("\"post\""));
  EXPECT_EQ(f["sentences"][0]["posts"][0]["text"].get<std::string>().substr(0, 8), "[post] i");
  EXPECT_THAT(f["sentences"][1]["posts"][0]["text"].get<std::string>(), HasSubstr("] quake"));
  EXPECT_THAT(f["sentences"][4]["posts"][0]["text"].get<std::string>(), HasSubstr("no json"));
  EXPECT_THAT(f["sentences"][4]["posts"][0]["time"].get<std::string>(), HasSubstr("events: rows bad, "));
}

}  // namespace
}  // namespace throng
