#include "jobs/cli/confine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "jobs/spec/yaml_job.h"
#include "tests/support/batches.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Confine : public ::testing::Test {
 protected:
  Confine() {
    fs::create_directories(folder_ / "data" / "sub");
    fs::create_directories(folder_ / "runs");
    fs::create_directories(folder_ / "data2");
    for (const char* name : {"data/a.jsonl", "data/sub/b.jsonl", "secret.jsonl", "data2/c.jsonl"}) std::ofstream(folder_ / name) << "{}\n";
    fs::create_symlink(folder_ / "secret.jsonl", folder_ / "data" / "link.jsonl");
    fs::create_symlink(folder_ / ".", folder_ / "data" / "up");
    fs::create_symlink(folder_ / "data" / "a.jsonl", folder_ / "data" / "own");
  }
  // What is wrong with a job whose source has this path, and whose other steps follow.
  std::string trouble(const std::string& path, const std::string& more = "") {
    const fs::path file = folder_ / "job.yaml";
    std::ofstream(file) << "job: j\nsteps:\n  e: { op: read_events, path: " << path << " }\n" << more;
    graph::Faults faults;
    graph::Job job = spec::read_job(file.string(), {}, faults);
    try {
      confine(job, {(folder_ / "data").string(), (folder_ / "runs").string()}, faults);
    } catch (const Error& e) {
      return e.text();
    }
    EXPECT_EQ(job.folder, fs::canonical(folder_ / "data").string());
    return "";
  }
  throng::testing::TemporaryFolder folder_;
};

TEST_F(Confine, WhatIsBelowARootMayBeRead) {
  for (const char* path : {"a.jsonl", "sub/*.jsonl", "sub", "'*'", "[a.jsonl, sub/b.jsonl]", "sub/../a.jsonl", "own", "missing.jsonl", "../runs/x"}) {
    if (std::string(path) == "'*'") {
      EXPECT_THAT(trouble(path), HasSubstr("outside the folders")) << "it finds a link that leads out";
      continue;
    }
    EXPECT_EQ(trouble(path), "") << path;
  }
  EXPECT_EQ(trouble((folder_ / "runs" / "x").string()), "");
}

TEST_F(Confine, NothingElseMay) {
  for (const char* path : {"/etc/passwd", "../secret.jsonl", "link.jsonl", "up/secret.jsonl", "up", "../data2/c.jsonl", "../*.jsonl", "'../*/c.jsonl'", "/", "[a.jsonl, ../secret.jsonl]", "''"}) {
    const std::string told = trouble(path);
    if (std::string(path) == "''") continue;  // the data root itself: the operator's to refuse
    EXPECT_THAT(told, HasSubstr("is outside the folders that may be read")) << path;
    EXPECT_THAT(told, HasSubstr("job.yaml:3:")) << path;
  }
}

TEST_F(Confine, TheGatewaysOwnFolderIsNobodysToRead) {
  fs::create_directories(folder_ / "runs" / ".gateway");
  std::ofstream(folder_ / "runs" / ".gateway" / "admin.token") << "t";
  fs::create_symlink(folder_ / "runs" / ".gateway", folder_ / "data" / "innocent");
  for (const fs::path& path : {folder_ / "runs" / ".gateway" / "admin.token", folder_ / "runs" / ".g*" / "*", folder_ / "runs" / ".gateway", fs::path("innocent"), fs::path("innocent/admin.token"), fs::path("../runs/.gateway/admin.token")})
    EXPECT_THAT(trouble("'" + path.string() + "'"), HasSubstr("is outside the folders that may be read")) << path;
}

TEST_F(Confine, BehindALinkTwoDotsAreAnotherFolder) {
  // data/link leads to runs/deep/in, so that link/../x is runs/deep/x, and link/../../../secret.jsonl lies outside.
  fs::create_directories(folder_ / "runs" / "deep" / "in");
  fs::create_symlink(folder_ / "runs" / "deep" / "in", folder_ / "data" / "link");
  std::ofstream(folder_ / "runs" / "deep" / "x.jsonl") << "{}\n";
  EXPECT_EQ(trouble("link/../x.jsonl"), "");
  EXPECT_THAT(trouble("link/../../../secret.jsonl"), HasSubstr("is outside the folders that may be read"));
}

TEST_F(Confine, FilesBesideTheInputsToo) {
  EXPECT_THAT(trouble("a.jsonl", "  t: { op: tokenize, from: e, dictionary_file: ../secret.jsonl }\n"), HasSubstr("step 't': "));
  EXPECT_EQ(trouble("a.jsonl", "  t: { op: tokenize, from: e, dictionary_file: sub/b.jsonl }\n"), "");
}

TEST_F(Confine, ResultsAreWrittenToAFolderOfTheirOwn) {
  for (const char* path : {"/tmp/x.csv", "../x.csv", "x.csv", "submission.json", "results", "results/../x.csv", "results/../../x.csv"}) EXPECT_THAT(trouble("a.jsonl", std::string("  w: { op: write, from: e, path: ") + path + " }\n"), HasSubstr("is not below results/")) << path;
  EXPECT_EQ(trouble("a.jsonl", "  w: { op: write, from: e, path: results/x.csv }\n"), "");
  EXPECT_THAT(trouble("a.jsonl", "save: { e: /tmp/e }\n"), HasSubstr("is not below results/"));
  EXPECT_EQ(trouble("a.jsonl", "save: { e: results/e }\n"), "");
}

}  // namespace
}  // namespace throng::cli
