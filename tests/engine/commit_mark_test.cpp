#include "framework/engine/commit_mark.h"

#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {
namespace {

namespace fs = std::filesystem;

class CommitMarkTest : public testing::Test {
 protected:
  CommitMarkTest() : run_(fs::temp_directory_path() / ("throng-mark-" + std::to_string(::getpid()))) { fs::create_directories(run_ / "steps" / "a" / "state"); }
  ~CommitMarkTest() override { fs::remove_all(run_); }
  CommitMark now() const { return CommitMark::from_json(CommitMark::of(run_).to_json()); }
  void stop_at(const std::string& where) { RunDirectory(run_).write_state({{"state", "stopped"}, {"stopped_at", where}}); }
  void checkpoint(const std::string& content) { write_file_atomically(run_ / "steps/a/state/checkpoint.h5", content); }
  fs::path run_;
};

TEST_F(CommitMarkTest, NothingIsNothing) { EXPECT_TRUE(CommitMark::same(CommitMark::of(run_ / "none"), CommitMark::of(run_ / "none"))); }

TEST_F(CommitMarkTest, AFinishedStepIsNew) {
  const auto before = now();
  StepRecord record;
  record.id = "a", record.key = "k";
  RunDirectory(run_).write_record(record);
  EXPECT_FALSE(CommitMark::same(before, now()));
}

TEST_F(CommitMarkTest, FinishedPartitionsAreNewButAnotherGenerationIsNot) {
  fs::create_directories(run_ / "steps/a/checkpoint");
  auto write = [&](int generation, const char* finished) {
    write_file_atomically(run_ / "steps/a/checkpoint/checkpoint.json", fmt::format(R"({{"generation": {}, "stage": 0, "finished": {}}})", generation, finished));
  };
  write(1, "[[0, 3]]");
  const auto before = now();
  write(2, "[[0, 3]]");
  EXPECT_TRUE(CommitMark::same(before, now()));
  write(3, "[[0, 4]]");
  EXPECT_FALSE(CommitMark::same(before, now()));
}

TEST_F(CommitMarkTest, ATrainingThatStoppedWhereItBeganKeptNothingNew) {
  checkpoint("one"), stop_at("stopped at a checkpoint as asked (epoch 1, step 7)");
  const auto before = now();
  checkpoint("another file");
  EXPECT_TRUE(CommitMark::same(before, now()));
  stop_at("stopped at a checkpoint as asked (epoch 1, step 8)");
  EXPECT_FALSE(CommitMark::same(before, now()));
}

TEST_F(CommitMarkTest, WhereNoPlaceIsKnownANewCheckpointIsNew) {
  checkpoint("one"), stop_at("stopped at a checkpoint as asked");
  const auto before = now();
  EXPECT_TRUE(CommitMark::same(before, now()));
  checkpoint("longer");
  EXPECT_FALSE(CommitMark::same(before, now()));
}

}  // namespace
}  // namespace throng::engine
