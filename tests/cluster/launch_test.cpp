#include <gtest/gtest.h>

#include "cluster/launch/local.h"

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

}  // namespace
}  // namespace throng::launch
