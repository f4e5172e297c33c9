// Sums of gradients in buckets and slices: against the plain tree over shards, on several numbers of ranks.
#include "framework/train/gradient_sums.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <thread>

#include "framework/base/random.h"
#include "framework/comm/threads_backend.h"

namespace throng::train {
namespace {

constexpr size_t kBucket = GradientSums::kLeastBucket;

// Three buckets, the last of them short; the long matrix lies in two.
nn::Parameters parameters() {
  nn::Parameters p;
  p.add("first", 300, 7, nn::Initial::constant(0));
  p.add("long", 400, 200, nn::Initial::constant(0));
  p.add("middle", 250, 200, nn::Initial::constant(0));
  p.add("last", 1, 5, nn::Initial::constant(0));
  return p;
}

// Of very different sizes, so that the order of sums shows.
void fill(std::span<float> gradient, int shard, int step) {
  Random random{uint64_t(step), uint64_t(shard)};
  for (size_t i = 0; i < gradient.size(); i += 97)
    for (size_t k = i; k < std::min(gradient.size(), i + 3); ++k) gradient[k] = float(random.normal()) * (random.below(4) == 0 ? 1e6f : 1.0f);
}

float rounded(float v) {
  // By doubles: seven bits behind the leading one.
  int exponent;
  const double fraction = std::frexp(double(v), &exponent);
  return float(std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8));
}

std::vector<float> plain_tree(int lo, int n, int step, size_t size, bool rounds = false, bool last = true) {
  std::vector<float> values(size);
  if (n > 1) {
    values = plain_tree(lo, n / 2, step, size, rounds, false);
    const auto right = plain_tree(lo + n / 2, n / 2, step, size, rounds, false);
    for (size_t i = 0; i < size; ++i) values[i] += right[i];
  } else {
    fill(values, lo, step);
  }
  for (size_t i = 0; rounds && !last && i < size; ++i) values[i] = rounded(values[i]);
  return values;
}

void expect_the_plain_tree(GradientSums::Wire wire) {
  const nn::Parameters p = parameters();
  for (int shards : {1, 8, 16}) {
    std::vector<std::vector<float>> expected;
    for (int step = 0; step < 2; ++step) expected.push_back(plain_tree(0, shards, step, p.dense_size(), wire == GradientSums::Wire::kBfloat16));
    for (int ranks : {1, 2, 3, 5, 8})
      for (auto [background, host_memory] : {std::pair(true, true), std::pair(true, false), std::pair(false, true), std::pair(false, false)}) {
        if (ranks > 3 && !background) continue;
        comm::run_on_threads(ranks, [&, background = background, host_memory = host_memory](comm::Communicator& comm) {
          GradientSums sums(comm, p, shards, {.background = background, .bucket = kBucket, .wire = wire, .host_memory = host_memory});
          ThreadPool pool(shards == 8 ? 2 : 1);
          const int first = comm.first_shard(comm.rank(), shards), owned = comm.first_shard(comm.rank() + 1, shards) - first;
          for (int step = 0; step < 2; ++step) {
            sums.begin();
            sums.start();
            for (int s = 0; s < owned; ++s) {
              std::fill(sums.of(size_t(s)).begin(), sums.of(size_t(s)).end(), 0.0f);
              fill(sums.of(size_t(s)), first + s, step);
              // Another order on each rank; some are left to the call for all.
              for (int e : comm.rank() % 2 ? std::vector<int>{0, 1} : std::vector<int>{3, 1, 1, 2}) sums.complete(size_t(s), size_t(e));
              sums.complete(size_t(s));
            }
            sums.finish(pool);
            size_t mine = 0;
            for (const nn::Slice& slice : sums.slices()) {
              EXPECT_TRUE(slice.begin % nn::kNormBlock == 0 || slice.begin == slice.end);
              ASSERT_TRUE(std::equal(sums.sum().begin() + std::ptrdiff_t(slice.begin), sums.sum().begin() + std::ptrdiff_t(slice.end), expected[size_t(step)].begin() + std::ptrdiff_t(slice.begin)))
                  << "step " << step << ", " << shards << " shards, rank " << comm.rank() << " of " << ranks;
              mine += slice.end - slice.begin;
            }
            EXPECT_EQ(comm.allreduce(int64_t(mine)), int64_t(p.dense_size())) << "each number has one owner";
            sums.share(sums.sum());
            ASSERT_TRUE(std::equal(sums.sum().begin(), sums.sum().end(), expected[size_t(step)].begin())) << ranks;
          }
        });
      }
  }
}

TEST(GradientSums, EqualThePlainTreeOnAnyNumberOfRanks) { expect_the_plain_tree(GradientSums::Wire::kFloat32); }
TEST(GradientSums, InBfloat16TooTheyDependOnShardsAlone) { expect_the_plain_tree(GradientSums::Wire::kBfloat16); }

// Denormals would make the thread of sums many times as slow: to it they are zeros.
TEST(GradientSums, DenormalsAreZeros) {
  const nn::Parameters p = parameters();
  for (const auto& [ranks, background] : {std::pair(1, true), {2, true}, {3, false}}) {
    comm::run_on_threads(ranks, [&, background = background](comm::Communicator& comm) {
      GradientSums sums(comm, p, 8, {.background = background, .bucket = kBucket});
      ThreadPool pool(2);
      sums.begin();
      sums.start();
      const int owned = comm.first_shard(comm.rank() + 1, 8) - comm.first_shard(comm.rank(), 8);
      for (int s = 0; s < owned; ++s) std::fill(sums.of(size_t(s)).begin(), sums.of(size_t(s)).end(), 1e-40f), sums.complete(size_t(s));
      sums.finish(pool);
      for (const nn::Slice& slice : sums.slices())
        for (size_t i = slice.begin; i < slice.end; ++i) ASSERT_EQ(std::bit_cast<uint32_t>(sums.sum()[i]), 0u) << i << " on " << comm.size() << " ranks";
    });
  }
}

TEST(GradientSums, AFailedRankEndsTheOthers) {
  const nn::Parameters p = parameters();
  std::atomic<int> ended{0};
  try {
    comm::run_on_threads(3, [&](comm::Communicator& comm) {
      struct AtEnd {
        std::atomic<int>& count;
        ~AtEnd() { ++count; }
      } at_end{ended};
      GradientSums sums(comm, p, 8, {.bucket = kBucket});
      ThreadPool pool(1);
      for (int step = 0;; ++step) {
        sums.begin();
        sums.start();
        if (comm.rank() == 1 && step == 2) {
          sums.abandon();
          throw data_error("no gradient");
        }
        for (int s = comm.first_shard(comm.rank(), 8); s < comm.first_shard(comm.rank() + 1, 8); ++s) sums.complete(size_t(s - comm.first_shard(comm.rank(), 8)));
        sums.finish(pool);
      }
    });
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "no gradient");
  }
  EXPECT_EQ(ended, 3);
}

}  // namespace
}  // namespace throng::train
