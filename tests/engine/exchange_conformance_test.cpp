// The exchange's conformance suite on ranks as threads; what a receiver can be made to hold; lost messages; failures.
#include "tests/engine/exchange_conformance.h"

#include <atomic>
#include <mutex>
#include <thread>

#include "framework/base/clock.h"
#include "framework/comm/threads_backend.h"

namespace throng::engine {
namespace {

using comm::Communicator;
using comm::run_on_threads;

class ExchangeConformance : public ::testing::TestWithParam<std::tuple<ExchangeKind, int>> {
 protected:
  ExchangeKind kind() const { return std::get<0>(GetParam()); }
  int ranks() const { return std::get<1>(GetParam()); }
  void run(void (*check)(Communicator&, ExchangeKind)) const {
    run_on_threads(ranks(), [&](Communicator& comm) { check(comm, kind()); });
  }
};
INSTANTIATE_TEST_SUITE_P(Ranks, ExchangeConformance, ::testing::Combine(::testing::Values(ExchangeKind::kStream, ExchangeKind::kCollective), ::testing::Range(1, 9)),
                         [](const auto& p) { return (std::get<0>(p.param) == ExchangeKind::kStream ? "Stream" : "Collective") + std::to_string(std::get<1>(p.param)); });

TEST_P(ExchangeConformance, SmallBlocks) { run(conformance::small_blocks); }
TEST_P(ExchangeConformance, RanksWithoutRows) { run(conformance::ranks_without_rows); }
TEST_P(ExchangeConformance, OnePartitionHoldsMost) { run(conformance::one_partition_holds_most); }
TEST_P(ExchangeConformance, AllLengths) {
  run_on_threads(ranks(), [&](Communicator& comm) { conformance::all_lengths(comm, kind(), 9'000'000, 1); });
}
TEST_P(ExchangeConformance, OneHugeValue) {
  if (ranks() == 2 || ranks() == 5) run(conformance::one_huge_value);  // over MPI on other numbers of ranks
}
TEST_P(ExchangeConformance, Rounds) { run(conformance::rounds); }
TEST_P(ExchangeConformance, FollowingExchanges) { run(conformance::following_exchanges); }

TEST_P(ExchangeConformance, OneFailureEndsEveryRankPromptly) {
  for (int failing : {0, ranks() - 1}) {
    std::atomic<int> ended{0};
    Stopwatch watch;
    EXPECT_THROW(run_on_threads(ranks(), [&](Communicator& comm) {
                   struct AtEnd {
                     std::atomic<int>& count;
                     ~AtEnd() { ++count; }
                   } at_end{ended};
                   conformance::Shuffle shuffle(comm, kind(), 16, 4 * conformance::kMiB);
                   for (int i = 0;; ++i) {
                     if (i == 2000 && comm.rank() == failing) throw data_error("file:7: rotten");
                     if (i < 3000 || comm.size() == 1) shuffle.send(i % 16, 5000);
                     else shuffle.finish();
                   }
                 }),
                 Error);
    EXPECT_EQ(ended, ranks());
    EXPECT_LT(watch.seconds(), 5);
  }
}

/// Forwards to another transport, and lets a test see and change what is posted.
class Watched : public comm::Transport {
 public:
  using OnPost = std::function<void(comm::Transport&, int to, comm::Channel, Buffer)>;
  using OnPoll = std::function<void(const comm::Incoming&, comm::Channel)>;
  Watched(comm::Transport& real, OnPost on_post, OnPoll on_poll) : real_(real), on_post_(std::move(on_post)), on_poll_(std::move(on_poll)) {}
  int rank() const override { return real_.rank(); }
  int size() const override { return real_.size(); }
  void post(int to, comm::Channel channel, Buffer message) override { on_post_(real_, to, channel, std::move(message)); }
  size_t bytes_in_flight() override { return real_.bytes_in_flight(); }
  std::optional<comm::Incoming> poll(int from, comm::Channel channel) override {
    auto incoming = real_.poll(from, channel);
    if (incoming && on_poll_) on_poll_(*incoming, channel);
    return incoming;
  }
  void idle() override { real_.idle(); }
  void check() override { real_.check(); }
  void announce_failure(const Error& error) override { real_.announce_failure(error); }

 private:
  comm::Transport& real_;
  OnPost on_post_;
  OnPoll on_poll_;
};

// A receiver that computes for long is sent no more than its reservation by all senders together, though every block is for it.
TEST(ExchangeCredits, OfAllSendersFitTheReceiversReservation) {
  for (int ranks : {2, 5, 8}) {
    std::atomic<int64_t> under_way{0}, most{0};
    const int owner = data::partition_owner(0, ranks, 1);
    run_on_threads(ranks, [&](Communicator& real) {
      auto post = [&](comm::Transport& to_real, int to, comm::Channel channel, Buffer message) {
        if (to == owner && channel != comm::Channel::kCollective) {
          const int64_t now = under_way += int64_t(message.size());
          for (int64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
          }
        }
        to_real.post(to, channel, std::move(message));
      };
      auto poll = [&](const comm::Incoming& incoming, comm::Channel channel) {
        if (real.rank() == owner && channel != comm::Channel::kCollective) under_way -= int64_t(incoming.message.size());
      };
      Communicator comm(std::make_unique<Watched>(real.transport(), post, poll));
      conformance::Shuffle shuffle(comm, ExchangeKind::kStream, 1, 32 * conformance::kMiB);
      EXPECT_EQ(shuffle.budget().used_bytes(), 4 * conformance::kMiB) << "four shares of 1/32 are reserved";
      for (int i = 0; i < 120; ++i) {
        if (comm.rank() == owner && i % 30 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
        shuffle.send(0, i % 9 == 0 ? 1'500'000 : 20'000);
      }
      shuffle.finish();
    });
    EXPECT_LE(most, int64_t(conformance::kMiB) + 1000) << ranks << " ranks";
    EXPECT_GT(most, int64_t(conformance::kMiB) / 2) << "credit is used";
  }
}

TEST(ExchangeCredits, ALostOrMisplacedMessageIsAnError) {
  for (bool lose : {true, false}) {
    try {
      run_on_threads(2, [&](Communicator& real) {
        int posted = 0;
        Buffer late;
        auto post = [&](comm::Transport& to_real, int to, comm::Channel channel, Buffer message) {
          const bool chosen = real.rank() == 1 && channel != comm::Channel::kCollective && ++posted == 3;
          if (chosen) late = std::move(message);
          else to_real.post(to, channel, std::move(message));
          if (!lose && posted == 4 && !late.empty()) to_real.post(to, channel, std::exchange(late, Buffer()));
        };
        Communicator comm(std::make_unique<Watched>(real.transport(), post, Watched::OnPoll()));
        conformance::Shuffle shuffle(comm, ExchangeKind::kStream, 2, 8 * conformance::kMiB);
        for (int i = 0; i < 200; ++i) shuffle.send(i % 2, 20'000);
        shuffle.finish();
      });
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kBug);
      EXPECT_NE(e.message().find("rank 1 sent message 3 of exchange 0 where message 2 is next: one was lost, or they changed places"), std::string::npos) << e.message();
    }
  }
}

TEST(ExchangeMemory, IsOneSizeOnAllRanksAndGivenBack) {
  run_on_threads(3, [&](Communicator& comm) {
    MemoryBudget budget((comm.rank() == 1 ? 64 : 1024) * conformance::kMiB);
    {
      ExchangeMemory memory(comm, budget);
      EXPECT_EQ(memory.share_bytes(), 2 * conformance::kMiB);
      EXPECT_EQ(budget.used_bytes(), 8 * conformance::kMiB);
    }
    EXPECT_EQ(budget.used_bytes(), 0u);
    // With little room left it takes less; with none it goes on uncounted.
    ASSERT_TRUE(budget.try_reserve(budget.limit_bytes() * 15 / 32));
    {
      ExchangeMemory memory(comm, budget);
      EXPECT_EQ(memory.share_bytes(), conformance::kMiB / 2);
      EXPECT_EQ(budget.used_bytes(), budget.limit_bytes() * 15 / 32 + 2 * conformance::kMiB);
    }
    ASSERT_TRUE(budget.try_reserve(budget.limit_bytes() / 32));
    {
      ExchangeMemory memory(comm, budget);
      EXPECT_EQ(memory.share_bytes(), conformance::kMiB / 4);
      EXPECT_EQ(budget.used_bytes(), budget.limit_bytes() / 2);
    }
  });
}

}  // namespace
}  // namespace throng::engine
