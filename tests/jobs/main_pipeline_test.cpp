// Jobs from YAML to datasets, on several rank counts.
#include <gtest/gtest.h>

#include "tests/support/batches.h"

namespace throng {
namespace {

std::string events(int n) {
  std::string text;
  for (int i = 0; i < n; ++i)
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"action\":\"{}\",\"text\":\"Hello #world# {}\",\"value\":{}}}\n", i % 17, 1700000000 + 60 * i,
                        i % 3 ? "view" : "buy", i, i % 10);
  return text;
}

TEST(MainPipeline, FusedMapsGiveTheSameRowsOnAnyRankCount) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", events(3000));
  auto run = testing::run_on_all_rank_counts(R"(
job: maps
steps:
  events: { op: read_events, path: events.jsonl }
  some:   { op: filter, from: events, where: "value >= 5" }
  more:   { op: derive, from: some, columns: { double_value: "value * 2" } }
  tokens: { op: tokenize, from: more }
)", folder);
  auto rows = run.rows("tokens");
  EXPECT_EQ(rows.num_rows(), 1500);
  EXPECT_EQ(rows.column("double_value").as_double(0), 10);
  EXPECT_EQ(rows.column("tokens").list_string(0, 1), "#world#");
}

TEST(MainPipeline, UnchangedStepsAreSkipped) {
  testing::TemporaryFolder folder;
  folder.write("events.jsonl", events(100));
  const std::string head = "job: j\nsteps:\n  events: { op: read_events, path: events.jsonl }\n  a: { op: filter, from: events, where: \"value > 1\" }\n";
  const std::string tail = "  b: { op: filter, from: events, where: \"value > 2\" }\n";
  testing::run_job(head + tail, folder, "out");
  auto time = std::filesystem::last_write_time(folder / "out/steps/a/step.json");
  testing::run_job(head + "  b: { op: filter, from: events, where: \"value > 3\" }\n", folder, "out");
  EXPECT_EQ(time, std::filesystem::last_write_time(folder / "out/steps/a/step.json"));
  EXPECT_EQ(testing::run_job(head + tail, folder, "out").steps.at("b").rows, 70);
}

}  // namespace
}  // namespace throng
