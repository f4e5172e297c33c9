// Every index once, and the lowest failure of all.
#include "framework/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace throng {
namespace {

TEST(ThreadPool, RunsEachIndexOnce) {
  for (int threads : {1, 2, 4, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.num_threads(), threads);
    for (size_t n : {size_t{0}, size_t{1}, size_t{2}, size_t{1000}}) {
      std::vector<std::atomic<int>> calls(n);
      pool.parallel_for(n, [&](size_t i) { ++calls[i]; });
      for (size_t i = 0; i < n; ++i) EXPECT_EQ(calls[i], 1) << i << " of " << n << " on " << threads;
    }
  }
}

// Numbers below 1e-38 would take a hundred times as long to compute with (SSE's FTZ and DAZ are a thread's own).
TEST(ThreadPool, WorkersFlushDenormals) {
  ThreadPool pool(3);
  std::vector<float> made(30), read(30);
  volatile float small = 1e-30f, factor = 1e-10f, tiny = 1e-39f;
  // The calling thread works, too; that of a rank has been told before.
  std::thread([&] {
    flush_denormals();
    pool.parallel_for(30, [&](size_t i) { made[i] = small * factor * 1e10f, read[i] = tiny * 1e5f; });
  }).join();
  for (size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(made[i], 0.0f) << "a result that small";
    EXPECT_EQ(read[i], 0.0f) << "an operand that small";
  }
}

TEST(ThreadPool, RethrowsTheLowestFailure) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 50; ++round) {
      std::string thrown;
      try {
        pool.parallel_for(100, [&](size_t i) {
          // The lowest failing index is slow, so that higher ones fail first.
          if (i == 13) std::this_thread::sleep_for(std::chrono::microseconds(200));
          if (i >= 13) throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& e) {
        thrown = e.what();
      }
      ASSERT_EQ(thrown, "13") << threads << " threads, round " << round;
    }
  }
}

TEST(ThreadPool, StartsNothingAboveAFailure) {
  ThreadPool pool(1);
  int last = -1;
  EXPECT_THROW(pool.parallel_for(10, [&](size_t i) {
    last = int(i);
    if (i == 4) throw std::runtime_error("stop");
  }), std::runtime_error);
  EXPECT_EQ(last, 4);
}

TEST(ThreadPool, CanBeUsedAgainAfterAFailure) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    EXPECT_THROW(pool.parallel_for(8, [](size_t) { throw std::runtime_error("x"); }), std::runtime_error);
    std::atomic<int> sum{0};
    pool.parallel_for(100, [&](size_t i) { sum += int(i); });
    EXPECT_EQ(sum, 4950);
  }
}

TEST(ThreadPool, OrderedLoopsTakeInOrder) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (size_t n : {0, 1, 5, 300}) {
      std::vector<std::atomic<int>> worked(n);
      std::vector<size_t> begun, taken;
      size_t refused = 0;
      pool.ordered_for(
          n,
          [&](size_t i, bool must) {
            if (!must && i >= taken.size() + 3) return ++refused, ThreadPool::Begin::kLater;
            begun.push_back(i);
            return ThreadPool::Begin::kNow;
          },
          [&](size_t i) { ++worked[i]; },
          [&](size_t i) {
            EXPECT_EQ(worked[i], 1);
            taken.push_back(i);
          });
      ASSERT_EQ(begun.size(), n);
      ASSERT_EQ(taken.size(), n);
      for (size_t i = 0; i < n; ++i) ASSERT_TRUE(begun[i] == i && taken[i] == i);
      EXPECT_EQ(refused > 0, n > 3);
    }
  }
}

TEST(ThreadPool, OrderedLoopsEndEarlyWithAllThatBegan) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (size_t most : {0, 1, 17, 100}) {
      std::vector<std::atomic<int>> worked(100);
      size_t taken = 0;
      const size_t ended = pool.ordered_for(
          100, [&](size_t i, bool) { return i < most ? ThreadPool::Begin::kNow : ThreadPool::Begin::kNoMore; }, [&](size_t i) { ++worked[i]; }, [&](size_t) { ++taken; });
      EXPECT_EQ(ended, most);
      EXPECT_EQ(taken, most);
      for (size_t i = 0; i < 100; ++i) EXPECT_EQ(worked[i], i < most);
    }
  }
}

TEST(ThreadPool, OrderedLoopsEndAtTheFirstFailure) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (bool in_take : {false, true}) {
      size_t taken = 0;
      std::string thrown;
      try {
        pool.ordered_for(
            100, [](size_t, bool) { return ThreadPool::Begin::kNow; },
            [&](size_t i) {
              if (!in_take && i >= 7) throw std::runtime_error(std::to_string(i));
            },
            [&](size_t i) {
              if (in_take && i == 7) throw std::runtime_error("7");
              ++taken;
            });
      } catch (const std::runtime_error& e) {
        thrown = e.what();
      }
      EXPECT_EQ(thrown, "7");
      EXPECT_EQ(taken, 7u);
    }
  }
}

}  // namespace
}  // namespace throng
