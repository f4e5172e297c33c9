// What `throng submit` makes of its flags and files: sweeps, site profiles, frozen jobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/run.h"
#include "jobs/cli/frozen_job.h"
#include "jobs/cli/sweep.h"
#include "jobs/spec/site_profile.h"
#include "jobs/spec/yaml_job.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Sweep, CommasSeparateValuesButNotWithinLists) {
  EXPECT_THAT(alternatives("0.1,0.01"), ElementsAre("0.1", "0.01"));
  EXPECT_THAT(alternatives("[a, b],[c],{k: 1, l: 2}"), ElementsAre("[a, b]", "[c]", "{k: 1, l: 2}"));
  EXPECT_THAT(alternatives("\"a,b\",'c,d'"), ElementsAre("\"a,b\"", "'c,d'"));
  EXPECT_THAT(alternatives("gru"), ElementsAre("gru"));
}

TEST(Sweep, SeveralMakeAllCombinations) {
  EXPECT_THAT(sweep_of({"a.x=1,2", "b.y=3,4"}), ElementsAre(ElementsAre("a.x=1", "b.y=3"), ElementsAre("a.x=1", "b.y=4"), ElementsAre("a.x=2", "b.y=3"), ElementsAre("a.x=2", "b.y=4")));
}

TEST(Sweep, EmptyValuesAndTooManyRunsAreJobErrors) {
  for (const auto& set : std::vector<std::vector<std::string>>{{"a.x=1,,2"}, {"a.x"}, std::vector<std::string>(20, "a.x=1,2")}) {
    try {
      sweep_of(set);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kJob);
    }
  }
}

class InFolder : public testing::Test {
 protected:
  InFolder() : folder_(fs::temp_directory_path() / ("throng-submit-" + std::to_string(::getpid()))) { fs::create_directories(folder_ / "small"); }
  ~InFolder() override { fs::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
    return (folder_ / name).string();
  }
  fs::path folder_;
};

TEST_F(InFolder, ASiteProfileIsRead) {
  const auto site = spec::read_site(write("site.yaml",
                                          "partition: batch\naccount: a\nqos: q\nconstraint: c\ndirectives: [--exclusive]\nleave_out: [mem, requeue]\nmodules: [gcc/12]\nenvironment: {A: one, B: two}\n"
                                          "setup: ['ulimit -s unlimited']\nstart: srun\nmpi: pmi2\nmpi_args: --cpu-bind=cores\nrequeue: dependent\n"));
  EXPECT_EQ(site.partition + site.account + site.qos + site.constraint, "batchaqc");
  EXPECT_THAT(site.directives, ElementsAre("--exclusive"));
  EXPECT_TRUE(site.leaves_out("mem") && site.leaves_out("requeue") && !site.leaves_out("time"));
  EXPECT_THAT(site.modules, ElementsAre("gcc/12"));
  EXPECT_THAT(site.environment, ElementsAre(testing::Pair("A", "one"), testing::Pair("B", "two")));
  EXPECT_THAT(site.setup, ElementsAre("ulimit -s unlimited"));
  EXPECT_EQ(site.start + site.mpi + site.mpi_args + site.requeue, "srunpmi2--cpu-bind=coresdependent");
}

TEST_F(InFolder, AllFaultsOfASiteProfileAreToldWithTheirPlaces) {
  try {
    spec::read_site(write("site.yaml", "partion: batch\nstart: ssh\nleave_out: [memory]\n"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kJob);
    EXPECT_THAT(e.text(), testing::AllOf(HasSubstr("site.yaml:1:1"), HasSubstr("'partition'"), HasSubstr("site.yaml:2:8"), HasSubstr("site.yaml:3:12")));
  }
}

TEST_F(InFolder, AFrozenJobReadsItsDataWhereItWasAndItsSmallFilesFromCopies) {
  write("events.jsonl", "{\"user\": \"a\", \"ts\": 1, \"text\": \"throng of words\"}\n");
  write("small/words.txt", "throng 10 n\n");
  const std::string file = write("job.yaml",
                                 "job: frozen\nsteps:\n  events: { op: read_events, path: events.jsonl }\n  tokens: { op: tokenize, from: events, language: zh, dictionary_file: small/words.txt }\n");
  graph::Faults faults;
  const graph::Job job = spec::read_job(file, {}, faults);
  const fs::path run = folder_ / "run";
  FrozenJob frozen;
  comm::run_on_threads(1, [&](comm::Communicator& comm) { frozen = freeze(job, engine::prepare(job, comm, faults).graph, run); });
  EXPECT_THAT(frozen.overrides, ElementsAre("events.path=\"" + (folder_ / "events.jsonl").string() + "\"", "tokens.dictionary_file=\"" + (run / "submission.files/tokens-1-words.txt").string() + "\""));
  frozen.write(job, run);
  write("small/words.txt", "changed 1 n\n");
  EXPECT_EQ(read_file(run / "submission.files/tokens-1-words.txt"), "throng 10 n\n");

  // It is a job of its own, which finds all that it needs.
  const graph::Job again = spec::read_job((run / "job.yaml").string(), frozen.overrides, faults);
  comm::run_on_threads(1, [&](comm::Communicator& comm) { EXPECT_EQ(engine::prepare(again, comm, faults).graph.nodes.size(), 2u); });
}

}  // namespace
}  // namespace throng::cli
