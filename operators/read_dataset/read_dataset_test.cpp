// read_dataset: what a run wrote is read by another, changes are noticed, other folders are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;

std::string events(int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"value\":{}}}\n", i % 7, 1'700'000'000 + i, i);
  return text;
}

TEST(ReadDataset, GivesTheRowsOfAnotherRun) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(500));
  auto first = testing::run_job("job: a\nsteps:\n  e: { op: read_events, path: e.jsonl, partitions: 5 }\n  s: { op: sort, from: e, by: [user] }\n", folder, "one");
  const std::string yaml = "job: b\nsteps:\n  d: { op: read_dataset, path: one/steps/s/data }\n  k: { op: filter, from: d, where: \"true\" }\n  few: { op: select, from: d, columns: [value] }\nsave: { d: saved }\n";
  auto second = testing::run_on_all_rank_counts(yaml, folder);
  EXPECT_EQ(second.steps.at("k").content_hash, first.steps.at("s").content_hash);
  EXPECT_EQ(second.steps.at("few").rows, 500);
  // Other content under the same path is another input.
  folder.write("e.jsonl", events(400));
  testing::run_job("job: a\nsteps:\n  e: { op: read_events, path: e.jsonl, partitions: 5 }\n  s: { op: sort, from: e, by: [user] }\n", folder, "one");
  EXPECT_EQ(testing::run_job(yaml, folder, "ranks1").steps.at("few").rows, 400);
}

TEST(ReadDataset, OtherFoldersAreJobErrors) {
  testing::TemporaryFolder folder;
  for (const char* path : {"nowhere", "."}) {
    try {
      testing::run_job(std::string("job: j\nsteps:\n  d: { op: read_dataset, path: ") + path + " }\n", folder, "out");
      ADD_FAILURE() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kJob);
      EXPECT_THAT(e.text(), HasSubstr("no dataset"));
    }
  }
}

}  // namespace
}  // namespace throng
