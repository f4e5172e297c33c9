// The shuffle by itself: every block arrives once at the owner of its partition, from memory and from spill files.
#include "framework/engine/exchange.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <mutex>

#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "framework/comm/threads_backend.h"
#include "tests/support/batches.h"

namespace throng::engine {
namespace {

Buffer block_of(uint64_t id, size_t n) {
  Buffer b(n + 8);
  std::memcpy(b.data(), &id, 8);
  for (size_t i = 0; i < n; ++i) b[8 + i] = std::byte((id * 131 + i * 7 + i / 256) & 0xff);
  return b;
}
bool intact(const Buffer& b, uint64_t& id) {
  std::memcpy(&id, b.data(), 8);
  return b == block_of(id, b.size() - 8);
}

TEST(Exchange, AWaitingRankSaysForWhom) {
  testing::TemporaryFolder folder;
  std::array<std::shared_ptr<Board>, 3> boards;
  comm::run_on_threads(3, [&](comm::Communicator& comm) {
    comm.line().set_step("s", "op");
    boards[size_t(comm.rank())] = comm.board();
    MemoryBudget budget(1 << 20);
    SpillQuota quota;
    Buckets buckets({budget, quota, folder / "spill"});
    Exchange exchange(comm, 3, 7, buckets);
    auto waits = [&](int rank, int peer) {
      const auto all = boards[size_t(rank)]->snapshot();
      return !all.empty() && all[0].doing == Doing::kExchange && all[0].exchange == 7 && all[0].peer == peer;
    };
    if (comm.rank() == 1) {
      while (!waits(0, 1) || !waits(2, 1)) std::this_thread::yield();  // for its counts, and for credit
      EXPECT_GT(boards[2]->snapshot()[0].queued + boards[2]->snapshot()[0].unconfirmed, 0);
    }
    if (comm.rank() == 2) {  // more than its credit: it waits to send
      for (int k = 0; k < 300; ++k) exchange.send(1, block_of(uint64_t(k), 4000));
    }
    exchange.finish();
    EXPECT_EQ(comm.line().snapshot().doing, Doing::kComputing);
    EXPECT_EQ(comm.line().snapshot().unconfirmed, 0);
    if (comm.rank() == 1) {
      EXPECT_GE(comm.board()->totals().received_bytes, 300 * 4000);
    }
  });
}

// Sends `num_blocks` from each rank and returns the bytes spilled on all ranks.
uint64_t shuffle(int ranks, int64_t partitions, uint64_t budget_bytes, int num_blocks, size_t large, int rounds = 1) {
  testing::TemporaryFolder folder;
  std::mutex mutex;
  uint64_t spilled = 0;
  std::map<uint64_t, int> arrived;
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    MemoryBudget budget(budget_bytes);
    SpillQuota quota;
    for (int round = 0; round < rounds; ++round) {
      Buckets buckets({budget, quota, folder / "spill"});
      Exchange exchange(comm, partitions, uint64_t(round), buckets);
      Random random(3, uint64_t(comm.rank()), uint64_t(round));
      auto target = [&](uint64_t id) { return int64_t(mix64(id) % uint64_t(partitions)); };
      for (int i = 0; i < num_blocks; ++i) {
        uint64_t id = uint64_t(round) << 48 | uint64_t(comm.rank()) << 32 | uint64_t(i);
        size_t n = i % 17 == 3 ? 0 : i % 50 == 7 ? large : random.below(3000);
        exchange.send(target(id), block_of(id, n));
      }
      exchange.finish();
      for (int64_t p = 0; p < partitions; ++p) {
        auto blocks = buckets.take(p);
        bool mine = p >= data::first_partition(comm.rank(), ranks, partitions) && p < data::first_partition(comm.rank() + 1, ranks, partitions);
        EXPECT_TRUE(mine || blocks.empty()) << "partition " << p << " on rank " << comm.rank();
        std::lock_guard lock(mutex);
        for (auto& stored : blocks) {
          const Buffer b = stored.take();
          uint64_t id = 0;
          EXPECT_TRUE(intact(b, id));
          EXPECT_EQ(target(id), p);
          EXPECT_EQ(id >> 48, uint64_t(round)) << "a block of another exchange";
          ++arrived[id];
        }
        EXPECT_TRUE(buckets.take(p).empty());
      }
      std::lock_guard lock(mutex);
      spilled += buckets.spilled_bytes();
    }
    EXPECT_EQ(budget.used_bytes(), 0u) << "memory is given back";
  });
  EXPECT_EQ(arrived.size(), size_t(ranks) * size_t(num_blocks) * size_t(rounds));
  for (auto [id, times] : arrived) EXPECT_EQ(times, 1) << id;
  if (std::filesystem::exists(folder / "spill")) {
    EXPECT_TRUE(std::filesystem::is_empty(folder / "spill")) << "spill files have no name";
  }
  return spilled;
}

TEST(Exchange, EveryBlockArrivesOnce) {
  for (int ranks : {1, 2, 3, 5, 8})
    for (int64_t partitions : {1, 3, 16, 100}) EXPECT_EQ(shuffle(ranks, partitions, uint64_t{1} << 30, 300, 100'000), 0u);
}

TEST(Exchange, SpillsWhatDoesNotFit) {
  for (int ranks : {1, 3}) {
    EXPECT_GT(shuffle(ranks, 16, uint64_t{1} << 20, 2000, 50'000), 0u);
    EXPECT_GT(shuffle(ranks, 16, 1000, 500, 5'000'000), 0u);  // blocks larger than the budget
  }
}

TEST(Exchange, BlocksLargerThanAMessageTravelInPieces) { EXPECT_EQ(shuffle(2, 4, uint64_t{1} << 32, 60, 80'000'000), 0u); }

TEST(Exchange, FollowingExchangesDoNotMix) { EXPECT_EQ(shuffle(5, 7, uint64_t{1} << 30, 40, 100'000, 30), 0u); }

// Sends block by block and drains where `wants` says so or another rank does; after each round the buckets hold the blocks of all
// ranks up to there, and no later ones.
void drain_in_rounds(int ranks, const std::function<bool(const Exchange&, int rank, int sent)>& wants) {
  constexpr int64_t kPartitions = 7;
  auto num_blocks = [](int rank) { return rank % 3 == 1 ? 0 : 60 + 50 * rank; };
  auto size_of = [](int rank, int i) { return i == 33 ? size_t{3'000'000} : size_t(mix64(uint64_t(rank * 1000 + i)) % 20'000); };
  auto target = [](int rank, int i) { return int64_t(mix64(uint64_t(i * 77 + rank)) % kPartitions); };
  std::vector<std::vector<int>> sent_by(static_cast<size_t>(ranks));  // blocks sent before each drain
  std::vector<std::vector<std::vector<uint64_t>>> held(static_cast<size_t>(ranks));  // after each, by partition
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    const int me = comm.rank();
    MemoryBudget budget(uint64_t{1} << 32);
    SpillQuota quota;
    Buckets buckets({budget, quota, std::filesystem::temp_directory_path()});
    Exchange exchange(comm, kPartitions, 0, buckets);
    int sent = 0;
    for (bool all_done = false; !all_done;) {
      while (sent < num_blocks(me) && !wants(exchange, me, sent)) {
        exchange.send(target(me, sent), block_of(uint64_t(sent), size_of(me, sent)));
        ++sent;
      }
      all_done = exchange.drain(sent == num_blocks(me));
      sent_by[size_t(me)].push_back(sent);
      auto& now = held[size_t(me)].emplace_back();
      for (int64_t p = 0; p < kPartitions; ++p) now.push_back(buckets.size_of(p));
    }
  });
  const size_t rounds = sent_by[0].size();
  EXPECT_GT(rounds, 1u);
  for (size_t round = 0; round < rounds; ++round) {
    std::vector<uint64_t> expected(kPartitions), got(kPartitions);
    for (int r = 0; r < ranks; ++r) {
      ASSERT_EQ(sent_by[size_t(r)].size(), rounds);
      for (int i = 0; i < sent_by[size_t(r)][round]; ++i) expected[size_t(target(r, i))] += size_of(r, i) + 8;
      for (size_t p = 0; p < kPartitions; ++p) got[p] += held[size_t(r)][round][p];
    }
    EXPECT_EQ(got, expected) << "round " << round << " on " << ranks << " ranks";
  }
}

TEST(Exchange, DrainIsACutThatAllRanksAgreeOn) {
  for (int ranks : {1, 2, 3, 5, 8}) drain_in_rounds(ranks, [last = std::vector<int>(8, -1)](const Exchange&, int rank, int sent) mutable {
    if (sent % (7 + rank) != 6 || last[size_t(rank)] == sent) return false;
    last[size_t(rank)] = sent;
    return true;
  });
}

// Another transport, whose messages are counted.
class Counting : public comm::Transport {
 public:
  Counting(comm::Transport& transport, std::atomic<int>& count) : transport_(transport), count_(count) {}
  int rank() const override { return transport_.rank(); }
  int size() const override { return transport_.size(); }
  void post(int to, comm::Channel channel, Buffer message) override {
    if (channel == comm::Channel::kExchangeEven || channel == comm::Channel::kExchangeOdd) ++count_;
    transport_.post(to, channel, std::move(message));
  }
  size_t bytes_in_flight() override { return transport_.bytes_in_flight(); }
  std::optional<comm::Incoming> poll(int from, comm::Channel channel) override { return transport_.poll(from, channel); }
  void idle() override { transport_.idle(); }
  void check() override { transport_.check(); }
  void announce_failure(const Error& error) override { transport_.announce_failure(error); }

 private:
  comm::Transport& transport_;
  std::atomic<int>& count_;
};

// The end of a round costs two messages for each rank but one, and each block that is sent one more, whatever pairs of ranks they go between.
TEST(Exchange, RanksWithNothingForEachOtherSendEachOtherNothing) {
  for (int ranks : {1, 2, 5, 8})
    for (int senders : {0, 1, ranks}) {
      std::atomic<int> count = 0;
      testing::TemporaryFolder folder;
      comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
        comm::Communicator counted(std::make_unique<Counting>(comm.transport(), count));
        MemoryBudget budget(uint64_t{1} << 30);
        SpillQuota quota;
        Buckets buckets({budget, quota, folder / "spill"});
        Exchange exchange(counted, ranks, 0, buckets);
        if (comm.rank() < senders) exchange.send((comm.rank() + 1) % ranks, block_of(1, 100));
        exchange.finish();
        EXPECT_EQ(!buckets.take(comm.rank()).empty(), (comm.rank() + ranks - 1) % ranks < senders);
      });
      EXPECT_EQ(count, 2 * (ranks - 1) + (ranks > 1 ? senders : 0)) << ranks << " ranks, " << senders << " send";
    }
}

}  // namespace
}  // namespace throng::engine
