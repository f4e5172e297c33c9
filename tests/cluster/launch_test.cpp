#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "cluster/launch/local.h"
#include "tests/support/batches.h"

namespace throng::launch {
namespace {

TEST(Launch, RanksAreCutEvenlyOverHosts) {
  EXPECT_EQ(hosts_with_slots("a,b", 4), "a:2,b:2");
  EXPECT_EQ(hosts_with_slots("a,b,c", 5), "a:2,b:2,c:1");
  EXPECT_EQ(hosts_with_slots("a,b,c", 2), "a:1,b:1");
  EXPECT_EQ(hosts_with_slots("10.0.0.1", 3), "10.0.0.1:3");
}

TEST(Launch, CountsThatAreGivenStay) {
  EXPECT_EQ(hosts_with_slots("a:3,b:1", 4), "a:3,b:1");
  EXPECT_EQ(hosts_with_slots("a,b", 0), "a,b");
}

TEST(Launch, WrongHostsAreAJobError) {
  for (const char* hosts : {"", "a,,b", "a,", "a:0", "a:two", "a b"}) {
    try {
      hosts_with_slots(hosts, 2);
      FAIL() << hosts;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kJob);
    }
  }
}

TEST(Launch, WrongMpirunArgumentsAreAJobError) {
  try {
    run_local({"true"}, {.num_ranks = 2, .mpi_args = "--mca 'pml"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kJob);
  }
}

// The number of a process comes again: what an earlier launcher of that number left behind is not this run's error.
TEST(Launch, EveryRunHasAFolderOfItsOwnForItsError) {
  testing::TemporaryFolder folder;
  std::set<std::string> files;
  for (int k = 0; k < 2; ++k) {
    const std::string said = (folder / "said").string();
    EXPECT_EQ(run_local({"sh", "-c", "echo $THRONG_ERROR_FILE $(stat -c %a $(dirname $THRONG_ERROR_FILE)) > " + said}, {.num_ranks = 1}), 0);
    std::string file, mode;
    std::ifstream(said) >> file >> mode;
    EXPECT_TRUE(files.insert(file).second) << file;
    EXPECT_EQ(mode, "700");
    EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(file).parent_path())) << file;
  }
}

}  // namespace
}  // namespace throng::launch
