// What every backend must do: each function is one check, called by all ranks of a group.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "framework/base/random.h"
#include "framework/comm/communicator.h"
#include "framework/comm/host_memory.h"

namespace throng::comm::conformance {

// Bytes that follow from sender, receiver and place, so that a swapped or shifted message is seen.
inline Buffer pattern(int from, int to, size_t n) {
  Buffer b(n);
  for (size_t i = 0; i < n; ++i) b[i] = std::byte((i * 31 + i / 251 + size_t(from) * 7 + size_t(to) * 13) & 0xff);
  return b;
}

// A rank's own thread computes with numbers below 1e-38 as if they were 0, as its workers do.
inline void flushes_denormals(Communicator&) {
  volatile float small = 1e-30f, factor = 1e-10f, tiny = 1e-39f;
  EXPECT_EQ(small * factor * 1e10f, 0.0f);
  EXPECT_EQ(tiny * 1e5f, 0.0f);
}

inline void barrier_and_broadcast(Communicator& comm) {
  for (int i = 0; i < 10; ++i) comm.barrier();
  for (int root = 0; root < comm.size(); ++root)
    for (size_t n : {size_t{0}, size_t{1}, size_t{100'000}}) {
      const std::string expected(n, char('a' + root % 26));
      std::string text = comm.rank() == root ? expected : "old";
      comm.broadcast(text, root);
      EXPECT_EQ(text, expected) << "root " << root;
      std::vector<float> values(n, comm.rank() == root ? float(root) : -1.0f);
      comm.broadcast(values, root);
      EXPECT_EQ(values, std::vector<float>(n, float(root)));
    }
}

inline void gathers(Communicator& comm) {
  auto text_of = [](int r) { return std::string(size_t(r) * 3, char('a' + r)) + std::string(1, '\0'); };
  for (int root = 0; root < comm.size(); ++root) {
    auto all = comm.gather(text_of(comm.rank()), root);
    ASSERT_EQ(all.size(), comm.rank() == root ? size_t(comm.size()) : 0u);
    for (size_t r = 0; r < all.size(); ++r) EXPECT_EQ(all[r], text_of(int(r)));
  }
  auto all = comm.allgather(text_of(comm.rank()));
  ASSERT_EQ(all.size(), size_t(comm.size()));
  for (size_t r = 0; r < all.size(); ++r) EXPECT_EQ(all[r], text_of(int(r)));
  EXPECT_EQ(comm.allgather(""), std::vector<std::string>(size_t(comm.size())));
}

inline void allreduces(Communicator& comm) {
  const int64_t n = comm.size(), me = comm.rank();
  EXPECT_EQ(comm.allreduce(me + 1), n * (n + 1) / 2);
  EXPECT_EQ(comm.allreduce(me - 2, Op::kMin), -2);
  EXPECT_EQ(comm.allreduce(me * me, Op::kMax), (n - 1) * (n - 1));
  std::vector<int64_t> many(1000);
  for (size_t i = 0; i < many.size(); ++i) many[i] = int64_t(i) * (me + 1) - 500;
  comm.allreduce(many);
  for (size_t i = 0; i < many.size(); ++i) EXPECT_EQ(many[i], int64_t(i) * n * (n + 1) / 2 - 500 * n);
  comm.allreduce(std::span<int64_t>());
  EXPECT_EQ(comm.allreduce_extreme(0.5 * double(me), Op::kMax), 0.5 * double(n - 1));
  EXPECT_EQ(comm.allreduce_extreme(-0.25 * double(me), Op::kMin), -0.25 * double(n - 1));
}

/// Empty, small and fragmented messages; with `huge` one of them is longer than the longest message allowed.
inline void all_to_all(Communicator& comm, bool huge) {
  auto size_of = [&](int from, int to) -> size_t {
    if (huge && from == comm.size() - 1 && to == 0) return 2 * kMaxMessageBytes + 12'345;
    return (from + to) % 3 == 0 ? 0 : size_t(from) * 1000 + size_t(to) + 1;
  };
  for (int round = 0; round < 2; ++round) {
    std::vector<Buffer> messages;
    for (int to = 0; to < comm.size(); ++to) messages.push_back(pattern(comm.rank(), to, size_of(comm.rank(), to)));
    auto received = comm.alltoall(std::move(messages));
    ASSERT_EQ(received.size(), size_t(comm.size()));
    for (int from = 0; from < comm.size(); ++from)
      EXPECT_TRUE(received[size_t(from)] == pattern(from, comm.rank(), size_of(from, comm.rank()))) << "from " << from;
  }
}

/// Fragments lie around the limit: the header shares the first message.
// Views beside messages that are copied; what has settled may be written over.
inline void views(Communicator& comm) {
  const int to = (comm.rank() + 1) % comm.size(), from = (comm.rank() + comm.size() - 1) % comm.size();
  for (int round = 0; round < 5; ++round)
    for (size_t size : {size_t{0}, size_t{7}, size_t{5000}, size_t{3} << 20}) {
      auto mine = pattern(comm.rank(), round, size);
      comm.put_view(to, mine);
      comm.put(to, pattern(comm.rank(), round + 100, 11));
      EXPECT_TRUE(comm.take_one(from) == pattern(from, round, size)) << size;
      EXPECT_TRUE(comm.take(from) == pattern(from, round + 100, 11)) << size;
      comm.settle();
      EXPECT_EQ(comm.transport().views_in_flight(), 0u);
      std::fill(mine.begin(), mine.end(), std::byte{0});
    }
}

inline void put_and_take(Communicator& comm) {
  const int to = (comm.rank() + 1) % comm.size(), from = (comm.rank() + comm.size() - 1) % comm.size();
  std::vector<size_t> sizes{0, 1, 5, 0, 4096, 3};
  if (comm.size() <= 3)
    for (size_t around : {kMaxMessageBytes - 9, kMaxMessageBytes - 8, kMaxMessageBytes - 7, kMaxMessageBytes}) sizes.push_back(around);
  for (size_t i = 0; i < sizes.size(); ++i) comm.put(to, pattern(comm.rank(), int(i), sizes[i]));
  for (size_t i = 0; i < sizes.size(); ++i) EXPECT_TRUE(comm.take(from) == pattern(from, int(i), sizes[i])) << "message " << i;
}

template <class T>
std::vector<T> shard_values(int shard, size_t n) {
  std::vector<T> v(n);
  Random random(11, uint64_t(shard));
  for (T& x : v) x = T(random.normal() * std::pow(10.0, double(random.below(8)) - 4));
  return v;
}

template <class T>
void sums(Communicator& comm, int num_shards, size_t n) {
  // The plain tree, by recursion.
  std::function<std::vector<T>(int, int)> node = [&](int lo, int count) -> std::vector<T> {
    if (count == 1) return shard_values<T>(lo, n);
    auto left = node(lo, count / 2), right = node(lo + count / 2, count / 2);
    for (size_t i = 0; i < n; ++i) left[i] += right[i];
    return left;
  };
  std::vector<std::vector<T>> mine;
  for (int s = comm.first_shard(comm.rank(), num_shards); s < comm.first_shard(comm.rank() + 1, num_shards); ++s) {
    EXPECT_EQ(comm.owner_of_shard(s, num_shards), comm.rank());
    mine.push_back(shard_values<T>(s, n));
  }
  std::vector<std::span<T>> spans(mine.begin(), mine.end());
  std::vector<T> out(n, T(-1)), expected = node(0, num_shards);
  comm.sum_shards(spans, num_shards, std::span<T>(out));
  EXPECT_TRUE(n == 0 || std::memcmp(out.data(), expected.data(), n * sizeof(T)) == 0)
      << num_shards << " shards on " << comm.size() << " ranks";
}

inline void shard_sums(Communicator& comm) {
  EXPECT_EQ(comm.first_shard(0, 8), 0);
  EXPECT_EQ(comm.first_shard(comm.size(), 8), 8);
  for (int shards : {1, 2, 4, 8, 16})
    for (size_t n : {size_t{0}, size_t{1}, size_t{1000}}) sums<float>(comm, shards, n), sums<double>(comm, shards, n);
}

// All ranks of a test are on one host: each reads what the others have written, also in place and of other sizes.
inline void host_memory(Communicator& comm) {
  const auto bytes_of = [](int rank) { return rank == 1 ? size_t{0} : size_t{5000} * size_t(rank + 1); };
  HostMemory memory(comm, bytes_of(comm.rank()));
  EXPECT_EQ(memory.own().size(), bytes_of(comm.rank()));
  EXPECT_TRUE(std::all_of(memory.own().begin(), memory.own().end(), [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_EQ(memory.of(comm.rank()).data(), nullptr);
  for (int round = 0; round < 3; ++round) {
    const Buffer mine = pattern(comm.rank(), round, bytes_of(comm.rank()));
    if (!mine.empty()) std::memcpy(memory.own().data(), mine.data(), mine.size());
    for (int r = 0; r < comm.size(); ++r)
      if (r != comm.rank()) comm.put_view(r, {});
    for (int r = 0; r < comm.size(); ++r) {
      if (r == comm.rank()) continue;
      EXPECT_EQ(comm.take_one(r).size(), 0u);
      EXPECT_TRUE(memory.read_by(r));
      ASSERT_NE(memory.of(r).data(), nullptr) << r;
      ASSERT_EQ(memory.of(r).size(), bytes_of(r));
      const Buffer expected = pattern(r, round, bytes_of(r));
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), memory.of(r).begin())) << r;
    }
    comm.barrier();
  }
}

inline void everything(Communicator& comm) {
  flushes_denormals(comm);
  barrier_and_broadcast(comm);
  gathers(comm);
  allreduces(comm);
  all_to_all(comm, false);
  put_and_take(comm);
  views(comm);
  shard_sums(comm);
  if (std::filesystem::exists("/proc/self/ns/pid")) host_memory(comm);
  comm.barrier();
}

}  // namespace throng::comm::conformance
