// The conformance suite on ranks as threads, and how failures end.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "framework/base/clock.h"
#include "framework/comm/threads_backend.h"
#include "tests/comm/conformance.h"

namespace throng::comm {
namespace {

class ThreadsConformance : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, ThreadsConformance, ::testing::Values(1, 2, 3, 4, 5, 6, 7, 8));

TEST_P(ThreadsConformance, BarrierAndBroadcast) { run_on_threads(GetParam(), conformance::barrier_and_broadcast); }
TEST_P(ThreadsConformance, FlushesDenormals) { run_on_threads(GetParam(), conformance::flushes_denormals); }
TEST_P(ThreadsConformance, Gathers) { run_on_threads(GetParam(), conformance::gathers); }
TEST_P(ThreadsConformance, Allreduces) { run_on_threads(GetParam(), conformance::allreduces); }
TEST_P(ThreadsConformance, PutAndTake) { run_on_threads(GetParam(), conformance::put_and_take); }
TEST_P(ThreadsConformance, Views) { run_on_threads(GetParam(), conformance::views); }
TEST_P(ThreadsConformance, ShardSums) { run_on_threads(GetParam(), conformance::shard_sums); }
TEST_P(ThreadsConformance, HostMemory) {
  if (!std::filesystem::exists("/proc/self/ns/pid")) GTEST_SKIP() << "there is no /proc";
  run_on_threads(GetParam(), conformance::host_memory);
}
TEST_P(ThreadsConformance, AllToAll) {
  run_on_threads(GetParam(), [](Communicator& comm) { conformance::all_to_all(comm, comm.size() == 2 || comm.size() == 3); });
}

TEST(ThreadsBoard, AWaitingRankSaysForWhom) {
  std::array<std::shared_ptr<Board>, 3> boards;
  run_on_threads(3, [&](Communicator& comm) {
    comm.line().set_step("s", "op");
    boards[size_t(comm.rank())] = comm.board();
    comm.barrier();
    if (comm.rank() == 1) {
      auto waits = [&](int rank, const char* what, int peer) {
        const auto s = boards[size_t(rank)]->snapshot().at(0);
        return s.doing == Doing::kCollective && s.what == what && s.peer == peer;
      };
      while (!waits(2, "an allreduce", 0) || !waits(0, "an allreduce", 1)) std::this_thread::yield();
    }
    EXPECT_EQ(comm.allreduce(comm.rank()), 3);
    EXPECT_EQ(comm.board()->snapshot().at(0).doing, Doing::kComputing);
    comm.barrier();
    EXPECT_GT(comm.board()->totals().sent_bytes, 0);
    EXPECT_GT(comm.board()->totals().received_bytes, 0);
    if (comm.rank() != 1) {
      EXPECT_GT(comm.board()->totals().collective_wait_us, 0);
    }
  });
}

TEST_P(ThreadsConformance, OneFailureEndsEveryRankPromptly) {
  for (int failing : {0, GetParam() - 1}) {
    std::atomic<int> ended{0};
    Stopwatch watch;
    try {
      run_on_threads(GetParam(), [&](Communicator& comm) {
        struct AtEnd {
          std::atomic<int>& count;
          ~AtEnd() { ++count; }
        } at_end{ended};
        comm.barrier();
        if (comm.rank() == failing) throw data_error("file:7: rotten").with_hint("wash it").at(2, 3, 4);
        for (;;) comm.barrier();  // would wait for ever
      });
      FAIL() << "no error on " << GetParam() << " ranks";
    } catch (const Error& e) {
      EXPECT_EQ(e.text(), "file:7: rotten\n  hint: wash it");
      EXPECT_EQ(e.fault(), Fault::kData);
      EXPECT_EQ(e.partition(), 3);
    }
    EXPECT_EQ(ended, GetParam());
    EXPECT_LT(watch.seconds(), 5);
  }
}

TEST_P(ThreadsConformance, TheLowestPlaceWinsAmongFailures) {
  try {
    run_on_threads(GetParam(), [&](Communicator& comm) {
      throw data_error("rank {}", comm.rank()).at(1, comm.size() - comm.rank(), 0);
    });
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), fmt::format("rank {}", GetParam() - 1));
  }
}

TEST(ThreadsConformanceErrors, TravelWhole) {
  Error e = Error::unpack(data_error("a \"quoted\"\nline \xff").with_hint("中文").at(1, 2, 3).pack());
  EXPECT_EQ(e.message(), "a \"quoted\"\nline \xEF\xBF\xBD");
  EXPECT_EQ(e.hint(), "中文");
  EXPECT_EQ(e.row(), 3);
  EXPECT_TRUE(e.before(Error(Fault::kData, "x")));
  EXPECT_FALSE(Error(Fault::kData, "x").before(e));
  EXPECT_TRUE(Error(Fault::kData, "x").at(1, 2, 0).before(e));
  try {
    run_on_threads(2, [](Communicator& comm) {
      if (comm.rank() == 1) throw std::runtime_error("not ours");
      comm.barrier();
    });
    FAIL();
  } catch (const Error& other) {
    EXPECT_EQ(other.fault(), Fault::kBug);
  }
}

}  // namespace
}  // namespace throng::comm
