#include "cluster/launch/submission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "cluster/launch/background.h"
#include "cluster/launch/look.h"
#include "framework/base/files.h"
#include "framework/base/host_name.h"

namespace throng::launch {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SubmissionTest : public testing::Test {
 protected:
  SubmissionTest() : root_(fs::temp_directory_path() / ("throng-submissions-" + std::to_string(::getpid()))) { fs::create_directories(root_); }
  ~SubmissionTest() override { fs::remove_all(root_); }
  Submission make(const std::string& folder, State state) {
    Submission s;
    s.name = "throng-" + folder, s.job = "job_" + folder, s.run = root_ / folder, s.state = state, s.submitted = "2026-01-01T00:00:0" + std::to_string(count_++) + "Z";
    fs::create_directories(s.run);
    s.write();
    return s;
  }
  fs::path root_;
  int count_ = 0;
};

TEST_F(SubmissionTest, EverythingIsReadAgain) {
  Submission s = make("a", State::kRunning);
  s.request = {"slurm", 4, 32, 2, 7200, uint64_t{64} << 30, 120, 7, "a:1,b:2", "/hosts", "--mca x y", "part", "acc", "q", "/runs/first", "17", {}, {"--set", "a.b=1"}};
  s.request.site = {"p", "acc", "q", "avx", {"--exclusive"}, {"mem"}, {"gcc"}, {{"A", "1"}}, {"true"}, "srun", "pmi2", "-v", "dependent"};
  s.id = "4711_2", s.script = "/runs/submission.sh", s.requeues = 3, s.reason = "why", s.hint = "how", s.code = 4;
  s.allocations = {{"1", "n1", "t0", "t1", "stopped", {{"a", 1}}, {{"b", 2}}}, {"2", "n2", "t2", "", "running", {{"a", 1}}, nullptr}};
  s.write();
  const auto again = Submission::read(s.run);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->to_json(), s.to_json());
}

TEST_F(SubmissionTest, AFolderWithoutOneHasNone) {
  EXPECT_FALSE(Submission::read(root_ / "none"));
  EXPECT_THROW(Submission::update(root_ / "none", [](Submission&) {}), Error);
  EXPECT_FALSE(fs::exists(root_ / "none"));
}

TEST_F(SubmissionTest, ADamagedFileIsNamed) {
  const Submission s = make("a", State::kRunning);
  write_file_atomically(s.run / "submission.json", "{\"version\": 1, \"na");
  try {
    Submission::read(s.run);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kSystem);
    EXPECT_THAT(e.text(), testing::AllOf(HasSubstr((s.run / "submission.json").string()), HasSubstr("submit the job file again")));
  }
}

TEST_F(SubmissionTest, ChangesOfSeveralWritersAllCount) {
  const Submission s = make("a", State::kQueued);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int k = 0; k < 25; ++k) Submission::update(s.run, [](Submission& now) { ++now.requeues; });
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(Submission::read(s.run)->requeues, 100);
}

TEST_F(SubmissionTest, TheWishToCancelIsKeptApart) {
  const Submission s = make("a", State::kQueued);
  EXPECT_FALSE(cancel_wished(s.run));
  wish_to_cancel(s.run);
  s.write();
  EXPECT_TRUE(cancel_wished(s.run));
  forget_cancel(s.run);
  EXPECT_FALSE(cancel_wished(s.run));
}

TEST_F(SubmissionTest, AProcessThatIsGoneIsAFailure) {
  Submission s = make("a", State::kRunning);
  s.id = host_name() + ":" + std::to_string(::getpid()) + ":1";  // of this number, but begun at another time
  s.write();
  EXPECT_EQ(is_alive(s.id), false);
  const Outlook o = look(s.run);
  EXPECT_EQ(o.state, State::kFailed);
  EXPECT_THAT(o.reason, HasSubstr("ended without a word"));
  EXPECT_THAT(o.hint, HasSubstr("throng submit"));
  EXPECT_EQ(Submission::read(s.run)->state, State::kFailed);
}

TEST_F(SubmissionTest, AProcessOnAnotherHostIsNotJudged) {
  Submission s = make("a", State::kRunning);
  s.id = "elsewhere:1:1";
  s.write();
  const Outlook o = look(s.run);
  EXPECT_EQ(o.state, State::kRunning);
  EXPECT_THAT(o.detail, HasSubstr("elsewhere"));
}

TEST_F(SubmissionTest, OneThatWaitsIsCancelledAtOnce) {
  const Submission s = make("a", State::kQueued);
  EXPECT_EQ(cancel(s.run, 5).state, State::kCancelled);
  EXPECT_TRUE(cancel_wished(s.run));
}

TEST_F(SubmissionTest, OneOnAnotherHostIsNotCancelledFromHere) {
  Submission s = make("a", State::kRunning);
  s.id = "elsewhere:1:1";
  s.write();
  try {
    cancel(s.run, 5);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.message(), HasSubstr("elsewhere"));
  }
  EXPECT_FALSE(cancel_wished(s.run));
}

TEST_F(SubmissionTest, OneWithoutAnIdIsAboutToBeHandedOver) {
  const Submission s = make("a", State::kQueued);
  EXPECT_EQ(look(s.run).state, State::kQueued);
}

TEST_F(SubmissionTest, OfTwoThatSubmitAtOnceOneWins) {
  const Submission before = make("a", State::kDone);
  Submission one = before, other = before;
  one.name = "one", other.name = "other";
  one.put(before);
  EXPECT_THROW(other.put(before), Error);
  EXPECT_THROW(other.put(std::nullopt), Error);
  EXPECT_EQ(Submission::read(before.run)->name, "one");
}

TEST_F(SubmissionTest, ADamagedOneDoesNotHideTheOthers) {
  make("a", State::kDone);
  const Submission b = make("b", State::kDone);
  write_file_atomically(b.run / "submission.json", "{");
  const auto all = look(submissions_under(root_));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_THAT(all[0].reason + all[1].reason, HasSubstr("is damaged"));
}

TEST_F(SubmissionTest, IsFoundByFolderNameJobOrId) {
  make("a", State::kDone);
  Submission b = make("b", State::kDone);
  b.id = "4711", b.request.launcher = "slurm", b.allocations = {{"4710", "n1", "", "", "stopped", nullptr, nullptr}}, b.write();
  Submission c = make("c", State::kDone);
  c.id = "5000_2", c.request.launcher = "slurm", c.write();
  EXPECT_EQ(find_submission("4710", root_), root_ / "b");  // the job that it was submitted as
  EXPECT_THROW(find_submission("5000", root_), Error);     // an array
  EXPECT_EQ(find_submission((root_ / "a").string(), "nowhere"), root_ / "a");
  EXPECT_EQ(find_submission("a", root_), root_ / "a");
  EXPECT_EQ(find_submission("job_b", root_), root_ / "b");
  EXPECT_EQ(find_submission("throng-b", root_), root_ / "b");
  EXPECT_EQ(find_submission("4711", root_), root_ / "b");
  try {
    find_submission("job_d", root_);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kJob);
    EXPECT_THAT(e.hint(), HasSubstr("job_"));
  }
}

TEST_F(SubmissionTest, TheNewestIsListedFirstAndArraysWithTheirRuns) {
  make("old", State::kDone), make("new", State::kDone);
  fs::create_directories(root_ / "sweep");
  write_file_atomically(root_ / "sweep" / "sweep.json", "[]");
  make("sweep/1", State::kDone), make("sweep/2", State::kDone);
  fs::create_directories(root_ / "no_submission");
  EXPECT_EQ(submissions_under(root_), (std::vector<fs::path>{root_ / "sweep/2", root_ / "sweep/1", root_ / "new", root_ / "old"}));
  EXPECT_TRUE(submissions_under(root_ / "nowhere").empty());
}

}  // namespace
}  // namespace throng::launch
