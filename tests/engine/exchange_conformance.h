// What both exchange paths must do over both backends: each function is one check, called by all ranks of a group.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "framework/engine/exchange.h"

namespace throng::engine::conformance {

constexpr uint64_t kMiB = uint64_t{1} << 20;

/// Number, then bytes that follow from it.
inline Buffer block_of(uint64_t id, size_t size) {
  Buffer b(std::max<size_t>(size, 8));
  uint64_t x = id;
  size_t i = 0;
  for (; i + 8 <= b.size(); i += 8) {
    std::memcpy(b.data() + i, &x, 8);
    x = x * 6364136223846793005u + 1442695040888963407u;
  }
  for (; i < b.size(); ++i) b[i] = std::byte(x >> (8 * (i % 8)));
  return b;
}

/// What a group of blocks is known by: sums over ranks do not depend on their order.
struct Tally {
  int64_t count = 0, bytes = 0, numbers = 0;
  void add(const Buffer& block, int64_t partition) {
    uint64_t id = 0;
    std::memcpy(&id, block.data(), 8);
    ++count, bytes += int64_t(block.size()), numbers += int64_t(mix64(id * 31 + uint64_t(partition)) >> 32);
  }
};

/// A rank's side of one shuffle: sends, and checks that what was sent came once, whole, to the owner of its partition.
class Shuffle {
 public:
  Shuffle(comm::Communicator& comm, ExchangeKind kind, int64_t partitions, uint64_t budget_bytes, uint64_t sequence = 0)
      : comm_(comm), partitions_(partitions), budget_(budget_bytes), sequence_(sequence),
        buckets_(std::make_unique<Buckets>(Resources{budget_, quota_, std::filesystem::temp_directory_path() / "throng-exchange-test"})),
        exchange_(std::make_unique<Exchange>(comm, partitions, sequence, *buckets_, kind)) {}

  Exchange& exchange() { return *exchange_; }
  Buckets& buckets() { return *buckets_; }
  MemoryBudget& budget() { return budget_; }
  void send(int64_t partition, size_t size) {
    Buffer block = block_of(sequence_ << 48 | uint64_t(comm_.rank()) << 32 | next_++, size);
    longest_ = std::max<int64_t>(longest_, int64_t(block.size()));
    sent_.add(block, partition);
    exchange_->send(partition, std::move(block));
  }
  /// Takes what has come and compares with what all ranks have sent since the last call. Collective, after a drain.
  void check() {
    Tally got;
    for (int64_t p = 0; p < partitions_; ++p) {
      const bool mine = p >= data::first_partition(comm_.rank(), comm_.size(), partitions_) && p < data::first_partition(comm_.rank() + 1, comm_.size(), partitions_);
      auto blocks = buckets_->take(p);
      EXPECT_TRUE(mine || blocks.empty()) << "partition " << p << " on rank " << comm_.rank();
      for (auto& stored : blocks) {
        const Buffer block = stored.take();
        uint64_t id = 0;
        ASSERT_GE(block.size(), 8u);
        std::memcpy(&id, block.data(), 8);
        EXPECT_EQ(id >> 48, sequence_) << "a block of another exchange";
        EXPECT_TRUE(block == block_of(id, block.size())) << "block " << (id & 0xffffffff) << " of rank " << (id >> 32 & 0xffff);
        got.add(block, p);
      }
    }
    int64_t sums[6] = {sent_.count, sent_.bytes, sent_.numbers, got.count, got.bytes, got.numbers};
    comm_.allreduce(sums);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(sums[i], sums[i + 3]) << std::vector<const char*>{"blocks", "bytes", "numbers"}[size_t(i)];
    sent_ = Tally();
  }
  void finish() {
    exchange_->finish();
    check();
    // Shares for what comes in and goes out, and one long block on either side beyond them. Collective.
    const int64_t share = int64_t(budget_.limit_bytes() / 32), least = int64_t(16 << 10) * comm_.size(), longest = comm_.allreduce(longest_, comm::Op::kMax);
    EXPECT_LE(int64_t(exchange_->peak_bytes()), 4 * std::max(std::min<int64_t>(share, 16 << 20), least) + 3 * longest) << "of a budget of " << budget_.limit_bytes();
    exchange_.reset(), buckets_.reset();
    EXPECT_EQ(budget_.used_bytes(), 0u) << "memory is given back";
  }

 private:
  comm::Communicator& comm_;
  int64_t partitions_;
  MemoryBudget budget_;
  SpillQuota quota_;
  uint64_t sequence_, next_ = 0;
  int64_t longest_ = 0;
  Tally sent_;
  std::unique_ptr<Buckets> buckets_;
  std::unique_ptr<Exchange> exchange_;
};

inline void small_blocks(comm::Communicator& comm, ExchangeKind kind) {
  for (int64_t partitions : {1, 3, 16, 100}) {
    Shuffle shuffle(comm, kind, partitions, 1024 * kMiB);
    Random random(3, uint64_t(comm.rank()));
    for (int i = 0; i < 400; ++i) shuffle.send(int64_t(random.below(uint64_t(partitions))), i % 17 == 3 ? 8 : random.below(3000));
    shuffle.finish();
  }
}

/// No rank sends, one does, one in two does; ranks without partitions.
inline void ranks_without_rows(comm::Communicator& comm, ExchangeKind kind) {
  for (int which : {0, 1, 2})
    for (int64_t partitions : {1, 2, 50}) {
      Shuffle shuffle(comm, kind, partitions, 8 * kMiB);
      const bool sends = which == 1 ? comm.rank() == comm.size() - 1 : which == 2 && comm.rank() % 2 == 0;
      for (int i = 0; sends && i < 300; ++i) shuffle.send(i % partitions, size_t(i) * 40);
      shuffle.finish();
    }
}

/// Nine in ten bytes go to one partition, with little memory: senders must wait for its owner, and it spills.
inline void one_partition_holds_most(comm::Communicator& comm, ExchangeKind kind) {
  constexpr int64_t kPartitions = 32;
  Shuffle shuffle(comm, kind, kPartitions, 4 * kMiB);
  Random random(5, uint64_t(comm.rank()));
  for (int i = 0; i < 2000; ++i) shuffle.send(random.below(10) < 9 ? 17 : int64_t(random.below(kPartitions)), 4096 + random.below(8192));
  shuffle.exchange().drain(true);
  const int64_t spilled = comm.allreduce(int64_t(shuffle.buckets().spilled_bytes()));
  EXPECT_GT(spilled, comm.size() * 10 * int64_t(kMiB));
  shuffle.finish();
}

/// Values of 4 KiB to `longest` bytes, within a budget that holds the longest neither at the sender nor at the receiver.
inline void all_lengths(comm::Communicator& comm, ExchangeKind kind, size_t longest, int times) {
  // Tiny shares mean many turns, slow where ranks outnumber cores.
  for (uint64_t budget : {(comm.size() <= 3 ? 2 : 32) * kMiB, 1024 * kMiB}) {
    Shuffle shuffle(comm, kind, 5, budget);
    uint64_t k = uint64_t(comm.rank());
    for (size_t size : {size_t{4096}, size_t{65536}, size_t{65537}, size_t{1} << 20, (size_t{8} << 20) + 3, longest})
      for (int i = 0; i < (size >= (size_t{1} << 20) ? times : 40); ++i) shuffle.send(int64_t(k++ % 5), size);
    shuffle.finish();
  }
}

/// One value of 200 MB, which passes the longest message.
inline void one_huge_value(comm::Communicator& comm, ExchangeKind kind) {
  Shuffle shuffle(comm, kind, 7, 64 * kMiB);
  if (comm.rank() == comm.size() - 1) shuffle.send(0, 200'000'000);
  for (int i = 0; i < 20; ++i) shuffle.send(i % 7, 5000);
  shuffle.finish();
}

/// Drains between rounds of different length; then nothing is left under way.
inline void rounds(comm::Communicator& comm, ExchangeKind kind) {
  Shuffle shuffle(comm, kind, 9, 16 * kMiB);
  const int mine = comm.rank() % 3 == 1 ? 0 : 3 + comm.rank();
  for (int round = 0;; ++round) {
    const int blocks = round >= mine ? 0 : 30 * ((comm.rank() + round) % 3);
    for (int i = 0; i < blocks; ++i) shuffle.send((i * 5 + round) % 9, i == 7 ? 700'000 : size_t(i) * 300);
    const bool all_done = shuffle.exchange().drain(round >= mine);
    shuffle.check();
    if (all_done) break;
    ASSERT_LT(round, 100);
  }
  shuffle.finish();
}

/// A fast rank's next exchange does not mix with a slow rank's last one.
inline void following_exchanges(comm::Communicator& comm, ExchangeKind kind) {
  for (uint64_t k = 0; k < 30; ++k) {
    Shuffle shuffle(comm, k % 7 == 3 ? (kind == ExchangeKind::kStream ? ExchangeKind::kCollective : ExchangeKind::kStream) : kind, 7, 64 * kMiB, k);
    Random random(k, uint64_t(comm.rank()));
    for (int i = 0; i < 40; ++i) shuffle.send(int64_t(random.below(7)), i == 11 ? 100'000 : random.below(2000));
    shuffle.finish();
  }
}

inline void everything(comm::Communicator& comm, ExchangeKind kind) {
  small_blocks(comm, kind);
  ranks_without_rows(comm, kind);
  one_partition_holds_most(comm, kind);
  all_lengths(comm, kind, comm.size() <= 3 ? 30'000'000 : 9'000'000, 1);
  one_huge_value(comm, kind);
  rounds(comm, kind);
  following_exchanges(comm, kind);
}

}  // namespace throng::engine::conformance
