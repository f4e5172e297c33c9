// Whole reads, atomic writes and globs.
#include "framework/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/base/error.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::error_of;

TEST(Files, WritesReplaceTheWholeFileAndLeaveNothingBehind) {
  testing::TemporaryFolder folder;
  write_file_atomically(folder / "a", "first, and longer");
  std::ifstream reader(folder / "a");  // keeps the old file, as a reader in the middle would
  write_file_atomically(folder / "a", std::string("sec\0nd", 6));
  EXPECT_EQ(read_file(folder / "a"), std::string("sec\0nd", 6));
  std::string old;
  std::getline(reader, old);
  EXPECT_EQ(old, "first, and longer");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  write_file_atomically(folder / "a", "");
  EXPECT_EQ(read_file(folder / "a"), "");
}

TEST(Files, FailuresNameThePath) {
  testing::TemporaryFolder folder;
  for (const char* bad : {"none/a", "missing"}) {
    Error e = error_of([&] { read_file(folder / bad); });
    EXPECT_EQ(e.fault(), Fault::kSystem);
    EXPECT_THAT(e.message(), HasSubstr((folder / bad).string()));
  }
  EXPECT_EQ(error_of([&] { write_file_atomically(folder / "none/a", "x"); }).fault(), Fault::kSystem);
  folder.write("plain", "x");
  EXPECT_EQ(error_of([&] { make_folder(folder / "plain/below"); }).fault(), Fault::kSystem);
  EXPECT_EQ(error_of([&] { write_file_atomically(folder.path(), "x"); }).fault(), Fault::kSystem);  // a folder is in the way
  EXPECT_EQ(error_of([&] { read_file(folder.path()); }).fault(), Fault::kSystem);                   // a folder is no file
}

TEST(Files, GlobsAndFoldersNameSortedFiles) {
  testing::TemporaryFolder folder;
  for (const char* name : {"b.csv", "a.csv", "c.txt", ".hidden.csv", "sub/d.csv"}) folder.write(name, "x");
  auto names = [&](const std::string& pattern) {
    std::vector<std::string> out;
    for (const auto& p : expand_glob(folder / pattern)) out.push_back(fs::relative(p, folder.path()).string());
    return out;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names("*.csv"), (Names{"a.csv", "b.csv"}));
  EXPECT_EQ(names("?.csv"), (Names{"a.csv", "b.csv"}));
  EXPECT_EQ(names("[b-c].*"), (Names{"b.csv", "c.txt"}));
  EXPECT_EQ(names("*/d.csv"), (Names{"sub/d.csv"}));
  EXPECT_EQ(names("s*"), (Names{"sub/d.csv"}));
  EXPECT_EQ(names(""), (Names{"a.csv", "b.csv", "c.txt"}));
  EXPECT_EQ(names("nothing*"), Names{});
  EXPECT_EQ(names("nothing"), Names{});
  folder.write("odd[1].csv", "x");  // a file whose name looks like a pattern is meant itself
  EXPECT_EQ(names("odd[1].csv"), (Names{"odd[1].csv"}));
}

}  // namespace
}  // namespace throng
