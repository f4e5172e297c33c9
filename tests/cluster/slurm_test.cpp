#include "cluster/launch/slurm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cluster/launch/look.h"
#include "framework/base/files.h"

namespace throng::launch {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using Known = SlurmJob::Known;

// Programs that stand for Slurm's, found first on the PATH.
class FakeSlurm : public testing::Test {
 protected:
  FakeSlurm() : folder_(fs::temp_directory_path() / ("throng-slurm-" + std::to_string(::getpid()))), path_(std::getenv("PATH")) {
    fs::create_directories(folder_);
    ::setenv("PATH", (folder_.string() + ":" + path_).c_str(), 1);
    ::setenv("THRONG_SLURM_TIMEOUT", "0.3", 1);
    for (const char* name : {"sbatch", "squeue", "sacct", "scontrol", "scancel"}) fake(name, "echo \"" + std::string(name) + ": not expected\" >&2; exit 1");
  }
  ~FakeSlurm() override {
    ::setenv("PATH", path_.c_str(), 1);
    ::unsetenv("THRONG_SLURM_TIMEOUT");
    fs::remove_all(folder_);
  }
  void fake(const std::string& name, const std::string& body) {
    const fs::path file = folder_ / name;
    std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
    fs::permissions(file, fs::perms::owner_all);
  }
  std::string message_of_submit() {
    try {
      return "job " + submit_to_slurm("script.sh", "throng-x-1");
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kSystem);
      return e.text();
    }
  }
  fs::path folder_;
  std::string path_;
};

Submission some_submission() {
  Submission s;
  s.name = "throng-x-1", s.job = "x", s.run = "/runs/x";
  s.request.launcher = "slurm", s.request.nodes = 4, s.request.ranks_per_node = 32, s.request.threads = 2, s.request.seconds = 7200;
  s.request.site.partition = "batch", s.request.site.account = "project";
  return s;
}

TEST(Slurm, TheScriptSaysWhatWasAskedFor) {
  Submission s = some_submission();
  s.request.memory_of_node = uint64_t{64} << 30;
  const std::string text = batch_script(s, {"/runs/x"}, "/runs/x", "/opt/throng");
  for (const char* line : {"#!/bin/bash\n", "#SBATCH --job-name=throng-x-1\n", "#SBATCH --nodes=4\n", "#SBATCH --ntasks-per-node=32\n", "#SBATCH --cpus-per-task=2\n", "#SBATCH --time=0-02:00:00\n", "#SBATCH --mem=65536M\n",
                           "#SBATCH --partition=batch\n", "#SBATCH --account=project\n", "#SBATCH --signal=B:USR1@300\n", "#SBATCH --requeue\n", "#SBATCH --open-mode=append\n", "#SBATCH --output=/runs/x/submission.log\n",
                           "trap '' USR1\n", "exec /opt/throng allocation --name throng-x-1 /runs/x\n"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("--array")));
  EXPECT_THAT(text, Not(HasSubstr("--qos")));
}

TEST(Slurm, ASiteChangesTheScript) {
  Submission s = some_submission();
  Site& site = s.request.site;
  site.qos = "low", site.constraint = "avx512", site.directives = {"--exclusive"}, site.leave_out = {"requeue", "partition"}, site.modules = {"gcc/12", "open mpi"};
  site.environment = {{"GREETING", "it's me"}}, site.setup = {"ulimit -n 4096"};
  const std::string text = batch_script(s, {"/runs/x"}, "/runs/x", "/opt/my throng");
  for (const char* line : {"#SBATCH --qos=low\n", "#SBATCH --constraint=avx512\n", "#SBATCH --exclusive\n", "trap 'export THRONG_WARNED=1' USR1", "module load gcc/12 'open mpi' ||", "export GREETING='it'\\''s me'\n", "ulimit -n 4096\n", "exec '/opt/my throng' allocation --name"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("requeue\n")));
  EXPECT_THAT(text, Not(HasSubstr("--partition")));
  site.leave_out = {}, site.requeue = "dependent";
  EXPECT_THAT(batch_script(s, {"/runs/x"}, "/runs/x", "/opt/throng"), HasSubstr("#SBATCH --no-requeue\n"));
}

TEST(Slurm, AnArrayHasItsOwnFolders) {
  const std::string text = batch_script(some_submission(), {"/runs/x/1", "/runs/x/2", "/runs/x/3"}, "/runs/x", "/opt/throng", 2);
  for (const char* line : {"#SBATCH --array=1-3%2\n", "#SBATCH --output=/runs/x/%a/submission.log\n", "exec /opt/throng allocation --name throng-x-1 /runs/x/\"$SLURM_ARRAY_TASK_ID\"\n"}) EXPECT_THAT(text, HasSubstr(line));
}

TEST(Slurm, AnyPathIsPassedOnAsItIs) {
  Submission s = some_submission();
  const fs::path folder = "/runs/my $HOME 50% \"x\" it's";
  for (const auto& runs : {std::vector<fs::path>{folder}, {folder / "1", folder / "2"}}) {
    const std::string text = batch_script(s, runs, folder, "/opt/throng");
    EXPECT_THAT(text, HasSubstr(std::string("#SBATCH --output=\"/runs/my $HOME 50%% \\\"x\\\" it's/") + (runs.size() > 1 ? "%a/" : "") + "submission.log\"\n"));
    EXPECT_THAT(text, HasSubstr("allocation --name throng-x-1 '/runs/my $HOME 50% \"x\" it'\\''s'" + std::string(runs.size() > 1 ? "/\"$SLURM_ARRAY_TASK_ID\"" : "") + "\n"));
  }
}

TEST(Slurm, TimesAreInItsForm) {
  EXPECT_EQ(slurm_time(60), "0-00:01:00");
  EXPECT_EQ(slurm_time(90 * 60 + 0.5), "0-01:30:01");
  EXPECT_EQ(slurm_time(3 * 86400 + 4 * 3600 + 5), "3-04:00:05");
}

TEST(Slurm, TimesAreReadInItsForms) {
  EXPECT_EQ(seconds_of_slurm("4:59"), 299);
  EXPECT_EQ(seconds_of_slurm("1:00:01"), 3601);
  EXPECT_EQ(seconds_of_slurm("2-00:00:10"), 2 * 86400 + 10);
  EXPECT_TRUE(std::isinf(*seconds_of_slurm("UNLIMITED")));
  for (const char* text : {"INVALID", "NOT_SET", "", "-1:00", "x-1:00"}) EXPECT_FALSE(seconds_of_slurm(text)) << text;
}

TEST(Slurm, WhatSqueueSays) {
  EXPECT_EQ(slurm_job_of_squeue("PENDING|Priority|\n").known, Known::kWaiting);
  EXPECT_EQ(slurm_job_of_squeue("PENDING|Priority|\n").reason, "Priority");
  EXPECT_EQ(slurm_job_of_squeue("RUNNING|None|n[1-2]\n").known, Known::kRunning);
  EXPECT_EQ(slurm_job_of_squeue("RUNNING|None|n[1-2]\n").nodes, "n[1-2]");
  EXPECT_EQ(slurm_job_of_squeue("OUT_OF_MEMORY|OutOfMemory|n1\n").known, Known::kEnded);
  EXPECT_EQ(slurm_job_of_squeue("").known, Known::kGone);
  EXPECT_EQ(slurm_job_of_squeue("nonsense\n").known, Known::kGone);
}

TEST(Slurm, WhatScontrolAndSacctSay) {
  const SlurmJob shown = slurm_job_of_scontrol("JobId=3 JobName=x UserId=me(1) JobState=TIMEOUT Reason=TimeLimit Dependency=(null) ExitCode=0:15 NodeList=n1 BatchHost=n1\n");
  EXPECT_EQ(shown.known, Known::kEnded);
  EXPECT_EQ(shown.why(), "its time was up (Slurm: TIMEOUT, TimeLimit, exit code 0:15)");
  const SlurmJob accounted = slurm_job_of_sacct("NODE_FAIL|0:0|None|n1\nCANCELLED by 0|0:15|None|n2\n");
  EXPECT_EQ(accounted.state, "CANCELLED by 0");  // the last time that it was started
  EXPECT_EQ(accounted.known, Known::kEnded);
  EXPECT_EQ(accounted.why(), "it was cancelled (Slurm: CANCELLED by 0)");
  EXPECT_EQ(slurm_job_of_sacct("").known, Known::kGone);
  EXPECT_EQ(slurm_job_of_scontrol("slurm_load_jobs error: Invalid job id specified").known, Known::kGone);
}

TEST_F(FakeSlurm, SubmittingReturnsTheId) {
  fake("sbatch", "echo '4711;cluster'");
  EXPECT_EQ(message_of_submit(), "job 4711");
}

TEST_F(FakeSlurm, ARefusalIsToldInSlurmsWords) {
  fake("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1");
  EXPECT_THAT(message_of_submit(), testing::AllOf(HasSubstr("sbatch refused the job"), HasSubstr("Invalid account"), HasSubstr("--site")));
}

TEST_F(FakeSlurm, ASubmissionWithoutAnswerIsFoundByItsName) {
  fake("sbatch", "sleep 30");
  fake("squeue", "for word; do case $word in --name=throng-x-1) echo 17;; esac; done");
  EXPECT_EQ(message_of_submit(), "job 17");
  fake("sbatch", "echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1");
  EXPECT_EQ(message_of_submit(), "job 17");
}

TEST_F(FakeSlurm, AnSbatchThatPrintsNoIdIsDoubted) {
  fake("sbatch", "echo 'Welcome to the cluster!'");
  fake("squeue", "echo 18");
  EXPECT_EQ(message_of_submit(), "job 18");
}

TEST_F(FakeSlurm, ASubmissionThatCannotBeFoundIsAnError) {
  fake("sbatch", "sleep 30");
  fake("squeue", "exit 0");
  EXPECT_THAT(message_of_submit(), testing::AllOf(HasSubstr("no answer in time"), HasSubstr("throng-x-1"), HasSubstr("submit again")));
}

TEST_F(FakeSlurm, SqueueIsAskedFirst) {
  fake("squeue", "echo 'RUNNING|None|n1'");
  EXPECT_EQ(look_at_slurm("5").known, Known::kRunning);
}

TEST_F(FakeSlurm, AnEndedJobIsLookedUpInScontrolThenSacct) {
  fake("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1");
  fake("scontrol", "echo 'JobId=5 JobState=FAILED Reason=NonZeroExitCode ExitCode=3:0 NodeList=n1'");
  EXPECT_EQ(look_at_slurm("5").exit_code, "3:0");
  fake("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1");
  fake("sacct", "echo 'OUT_OF_MEMORY|0:125|None|n1'");
  EXPECT_EQ(look_at_slurm("5").state, "OUT_OF_MEMORY");
}

TEST_F(FakeSlurm, AnEmptyAnswerIsNoFailure) {
  fake("squeue", "exit 0");
  fake("scontrol", "exit 1");
  fake("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1");
  const SlurmJob job = look_at_slurm("5");
  EXPECT_EQ(job.known, Known::kNoAnswer);
  fake("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1");
  EXPECT_EQ(look_at_slurm("5").known, Known::kGone);
}

TEST_F(FakeSlurm, NoAnswerIsNoFailureEither) {
  for (const char* name : {"squeue", "scontrol", "sacct"}) fake(name, "sleep 30");
  const SlurmJob job = look_at_slurm("5");
  EXPECT_EQ(job.known, Known::kNoAnswer);
  EXPECT_EQ(job.trouble, "no answer in time");
}

TEST_F(FakeSlurm, AJobThatSlurmHasPutBackIsBack) {
  fake("scontrol", "echo 'Job is pending execution for job 5' >&2; exit 1");
  EXPECT_EQ(requeue("5"), "");
  fake("scontrol", "echo 'Requested operation is presently disabled for job 5' >&2; exit 1");
  EXPECT_THAT(requeue("5"), HasSubstr("disabled"));
}

TEST_F(FakeSlurm, WhoEndsAJobIsKnown) {
  auto shown = [&](const std::string& reason, const std::string& preempted) {
    fake("scontrol", "echo 'JobId=5 JobState=COMPLETING Reason=" + reason + " PreemptEligibleTime=now PreemptTime=" + preempted + "'");
    return ended_by_slurm("5");
  };
  EXPECT_EQ(shown("None", "None"), false);
  EXPECT_EQ(shown("TimeLimit", "None"), true);
  EXPECT_EQ(shown("None", "2026-01-01T00:00:00"), true);
  fake("scontrol", "sleep 30");
  EXPECT_EQ(ended_by_slurm("5"), std::nullopt);
  fake("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1");
  EXPECT_EQ(ended_by_slurm("5"), std::nullopt);
}

TEST_F(FakeSlurm, OneSqueueForMany) {
  fake("squeue", "printf '5|RUNNING|None|n1\\n7_2|PENDING|Priority|\\ngarbage\\n'; echo x >>" + (folder_ / "calls").string());
  const auto found = slurm_queue({"5", "6", "7_2"});
  EXPECT_EQ(found.size(), 2u);
  EXPECT_EQ(found.at("7_2").known, Known::kWaiting);
  EXPECT_EQ(read_file(folder_ / "calls"), "x\n");
}

TEST_F(FakeSlurm, WhetherAKilledRankWasOutOfMemoryIsAskedOnce) {
  Submission s = some_submission();
  s.run = folder_ / "run", s.id = "5", s.state = State::kFailed, s.code = 4, s.reason = "rank 2 of 4 on n1 was ended by signal 9 (Killed)", s.hint = "throng submit goes on";
  fs::create_directories(s.run);
  s.write();
  for (const char* name : {"squeue", "scontrol", "sacct"}) fake(name, "sleep 30");
  EXPECT_EQ(look(s.run).reason, s.reason);
  fake("squeue", "exit 0");
  fake("scontrol", "echo 'JobId=5 JobState=OUT_OF_MEMORY Reason=OutOfMemory ExitCode=0:125 NodeList=n1'");
  EXPECT_THAT(look(s.run).reason, testing::AllOf(HasSubstr("signal 9"), HasSubstr("a node ran out of memory (Slurm: OUT_OF_MEMORY, OutOfMemory, exit code 0:125)")));
  fake("scontrol", "echo asked >>" + (folder_ / "calls").string());
  EXPECT_THAT(look(s.run).hint, HasSubstr("--memory-per-node"));
  EXPECT_FALSE(fs::exists(folder_ / "calls"));
  EXPECT_EQ(Submission::read(s.run)->code, 4);
}

TEST_F(FakeSlurm, CancellingAJobThatIsGoneIsNoTrouble) {
  fake("scancel", "echo 'scancel: error: Kill job error on job id 5: Invalid job id specified' >&2; exit 1");
  EXPECT_EQ(scancel("5"), "");
  fake("scancel", "echo 'scancel: error: Access/permission denied' >&2; exit 1");
  EXPECT_THAT(scancel("5"), HasSubstr("denied"));
}

}  // namespace
}  // namespace throng::launch
