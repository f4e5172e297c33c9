// predict and recommend: the same as applying the finished run, inside the job.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "framework/base/random.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using nlohmann::json;

std::string events(int users, int length, uint64_t seed) {
  std::string text;
  for (int i = 0; i < length; ++i)
    for (int u = 0; u < users; ++u) {
      Random random{seed, uint64_t(u), uint64_t(i)};
      const std::string item(1, char('a' + (u + i + int(random.below(2))) % 6));
      text += json{{"user", "u" + std::to_string(u)}, {"ts", 1'700'000'000 + i * 600 + u}, {"action", item}, {"item", item}}.dump() + "\n";
    }
  return text;
}

const std::string kLearners =
    "  next: { op: train_sequence, from: split, target: action, hidden: 6, embedding: 3, epochs: 2, batch: 8 }\n"
    "  sas: { op: sasrec, from: split, hidden: 4, epochs: 2, batch: 8, k: 3 }\n"
    "  near: { op: item_knn, from: split, k: 2 }\n";

std::string job(const std::string& uses) {
  return "job: uses\nsteps:\n  old: { op: read_events, path: old.jsonl }\n  new: { op: read_events, path: new.jsonl }\n  split: { op: split, from: old, by: last }\n" + kLearners + uses;
}

TEST(Predict, IsWhatReplayingTheJobGives) {
  testing::TemporaryFolder folder;
  folder.write("old.jsonl", events(20, 9, 1)), folder.write("new.jsonl", events(15, 5, 2));
  const std::string yaml = job("  ahead: { op: predict, from: [new, next] }\n  lists: { op: recommend, from: [new, sas] }\n  few: { op: recommend, from: [new, near], k: 1, filter_seen: \"no\" }\n");
  const auto run = testing::run_on_all_rank_counts(yaml, folder);
  const auto ahead = run.rows("ahead");
  ASSERT_EQ(ahead.num_rows(), 15 * 5);
  EXPECT_EQ(ahead.schema().fields()[size_t(ahead.schema().find("predicted"))].type, data::Type::kString);
  for (int64_t r = 0; r < ahead.num_rows(); ++r) {
    const double p = ahead.column("probability").values<double>()[size_t(r)];
    EXPECT_GT(p, 1.0 / 6 - 1e-6);
    EXPECT_LE(p, 1);
  }
  const auto lists = run.rows("lists"), few = run.rows("few");
  ASSERT_EQ(lists.num_rows(), 15);
  ASSERT_EQ(few.num_rows(), 15);
  for (int64_t r = 0; r < 15; ++r) {
    EXPECT_LE(lists.column("recommended").list_size(r), 3);
    EXPECT_EQ(few.column("recommended").list_size(r), 1);
  }
}

TEST(Predict, GoesOnFromAFinishedRun) {
  testing::TemporaryFolder folder;
  folder.write("old.jsonl", events(20, 9, 1)), folder.write("new.jsonl", events(15, 5, 2));
  testing::run_job(job(""), folder, "out");
  // The model is there already; a later run only applies it.
  const auto later = testing::run_job(job("  ahead: { op: predict, from: [new, next] }\n"), folder, "out", {.ranks = 3, .resume = true});
  const auto once = testing::run_job(job("  ahead: { op: predict, from: [new, next] }\n"), folder, "once");
  EXPECT_EQ(later.steps.at("ahead").content_hash, once.steps.at("ahead").content_hash);
}

TEST(Predict, WhatDoesNotFitIsAnError) {
  testing::TemporaryFolder folder;
  folder.write("old.jsonl", events(20, 9, 1)), folder.write("new.jsonl", events(15, 5, 2));
  const auto expect = [&](const std::string& uses, const std::string& message) {
    try {
      testing::run_job(job(uses), folder, "out");
      ADD_FAILURE() << message;
    } catch (const Error& e) {
      EXPECT_NE((e.message() + e.hint()).find(message), std::string::npos) << e.message();
    }
  };
  expect("  ahead: { op: predict, from: [new, old] }\n", "step 'old' (read_events) learns nothing that could be used");
  expect("  lists: { op: recommend, from: [new, next] }\n", "its second input is no recommender");
  expect("  less: { op: select, from: new, columns: [user, ts] }\n  ahead: { op: predict, from: [less, next] }\n", "column 'action', which was learned from, is missing");
  expect("  other: { op: derive, from: new, columns: { action: \"length(item)\" } }\n  ahead: { op: predict, from: [other, next] }\n", "column 'action' is int64; it was learned from as string");
}

}  // namespace
}  // namespace throng
