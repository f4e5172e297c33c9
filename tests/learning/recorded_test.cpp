// Killed after all was learned, but before the step was recorded as done: nothing is learned again, and what a run that goes on needs is there until then.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "framework/engine/run_directory.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng {
namespace {

struct Learner {
  std::string name, step;
  bool has_profile;  // of the trainer's steps
};
std::ostream& operator<<(std::ostream& out, const Learner& learner) { return out << learner.name; }

class Recorded : public ::testing::TestWithParam<Learner> {};

TEST_P(Recorded, ALearnedStepIsNotLearnedAgain) {
  testing::TemporaryFolder folder;
  std::string rows = "user,item,words,ts\n";
  for (int u = 0; u < 30; ++u)
    for (int i = 0; i < 8; ++i) rows += fmt::format("u{0},i{1},w{1} w{2},2026-01-01T00:{3:02d}:00Z\n", u, (u + i) % 12, (u + i + 1) % 12, i);
  folder.write("rows.csv", rows);
  const std::string job = "job: learn\nsteps:\n  rows: { op: read_events, path: rows.csv }\n  tokens: { op: tokenize, from: rows, column: words, into: tokens, split: whitespace, stop_words: none }\n  learned: " + GetParam().step + "\n";
  const auto whole = testing::run_job(job, folder, "whole").steps.at("learned");

  // The record cannot be written where a folder has its name.
  const engine::RunDirectory run(folder / "cut");
  const auto get_in_the_way = [&](const engine::Progress& progress) {
    if (progress.step == "learned") std::filesystem::create_directories(run.step("learned") / "step.json" / "in_the_way");
  };
  const Error error = testing::error_of([&] { testing::run_job(job, folder, "cut", {.progress = get_in_the_way}); });
  EXPECT_NE(error.text().find("step.json: cannot be written"), std::string::npos) << error.text();
  EXPECT_TRUE(std::filesystem::exists(run.state("learned") / "checkpoint.h5"));
  std::filesystem::remove_all(run.step("learned") / "step.json");
  const auto resumed = testing::run_job(job, folder, "cut", {.ranks = 2, .resume = true}).steps.at("learned");
  EXPECT_EQ(resumed.content_hash, whole.content_hash);
  if (GetParam().has_profile) {
    EXPECT_GT(whole.metrics["profile"]["steps"], 0);
    EXPECT_EQ(resumed.metrics["profile"]["steps"], 0);
    EXPECT_EQ(resumed.metrics["curve"], whole.metrics["curve"]);
  }
  // Killed between the record and that: the next run, which skips the step, makes up for it.
  for (const char* name : {"checkpoint.h5", "checkpoint.h5.tmp17"}) folder.write("cut/steps/learned/state/" + std::string(name), "left");
  testing::run_job(job, folder, "cut", {.ranks = 2, .resume = true});
  for (const auto& entry : std::filesystem::directory_iterator(run.state("learned"))) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name.find("checkpoint") == std::string::npos && !name.starts_with("best") && !name.starts_with("tables_") && !name.starts_with("assigned") && !name.starts_with("weights")) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Learners, Recorded,
                         ::testing::Values(Learner{"sasrec", "{ op: sasrec, from: rows, hidden: 8, epochs: 2 }", true}, Learner{"gru4rec_by_rows", "{ op: gru4rec, from: rows, hidden: 8, loss: bce, sparse: true, epochs: 2 }", true},
                                           Learner{"train_sequence", "{ op: train_sequence, from: rows, target: item, inputs: [item], hidden: 8, epochs: 2, validation: 0.3 }", true},
                                           Learner{"language_model", "{ op: language_model, from: tokens, column: tokens, hidden: 8, embedding: 8, batch: 8, length: 5, epochs: 2, validation: 0.2 }", true},
                                           Learner{"matrix_factorization", "{ op: matrix_factorization, from: rows, factors: 4, epochs: 2, checkpoint_every: 1 }", false},
                                           Learner{"word2vec", "{ op: word2vec, from: tokens, column: tokens, dim: 8, epochs: 2, min_count: 1 }", false},
                                           Learner{"topics", "{ op: topics, from: tokens, column: tokens, k: 3, iterations: 60, min_count: 1 }", false}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace throng
