// Philox against the vectors of its paper, and the promises of streams.
#include "framework/base/random.h"

#include <gtest/gtest.h>

#include <set>

namespace throng {
namespace {

using Words = std::array<uint32_t, 4>;

// Known-answer vectors of Random123 (kat_vectors, philox4x32 with 10 rounds).
TEST(Random, PhiloxGivesTheKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, AStreamIsAFunctionOfSeedStreamAndSubstream) {
  std::set<uint64_t> seen;
  for (uint64_t seed : {0ull, 1ull, 1ull << 32})
    for (uint64_t stream : {0ull, 1ull, 1ull << 32})
      for (uint64_t substream : {0ull, 1ull}) {
        Random a(seed, stream, substream), b(seed, stream, substream);
        uint64_t first = a.next64();
        EXPECT_EQ(first, b.next64());
        seen.insert(first);
      }
  EXPECT_EQ(seen.size(), 18u);
}

TEST(Random, BlocksFollowTheCounter) {
  Random r(0, 0);
  for (uint32_t expected : philox({0, 0, 0, 0}, {0, 0})) EXPECT_EQ(r.next(), expected);
  for (uint32_t expected : philox({1, 0, 0, 0}, {0, 0})) EXPECT_EQ(r.next(), expected);
}

TEST(Random, RangesHold) {
  Random r(7, 3);
  double sum = 0, squares = 0, mean = 0;
  std::array<int, 5> hits{};
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    double u = r.uniform();
    float f = r.uniform_float();
    ASSERT_TRUE(u >= 0 && u < 1 && f >= 0 && f < 1) << u << " " << f;
    uint32_t below = r.below(5);
    ASSERT_LT(below, 5u);
    ++hits[below];
    double z = r.normal();
    ASSERT_TRUE(std::isfinite(z));
    mean += u / n, sum += z / n, squares += z * z / n;
  }
  EXPECT_NEAR(mean, 0.5, 0.005);
  EXPECT_NEAR(sum, 0, 0.015);
  EXPECT_NEAR(squares, 1, 0.02);
  for (int h : hits) EXPECT_NEAR(h, n / 5, 600);
}

}  // namespace
}  // namespace throng
