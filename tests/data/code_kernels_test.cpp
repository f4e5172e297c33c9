// Loops over codes against plain ones.
#include "framework/data/code_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "framework/base/random.h"

namespace throng::data::kernels {
namespace {

template <class T>
void bounds_and_differences() {
  using Limits = std::numeric_limits<T>;
  for (size_t n : {1, 2, 7, 8, 31, 64, 1000, 4099}) {
    Random random(n, sizeof(T), 0);
    for (T low : {T(0), T(5), Limits::min(), T(Limits::max() - 200)}) {
      std::vector<T> values(n);
      for (T& v : values) v = T(low + T(random.below(200)));
      const auto range = range_of(std::span<const T>(values));
      EXPECT_EQ(range.least, *std::min_element(values.begin(), values.end()));
      EXPECT_EQ(range.greatest, *std::max_element(values.begin(), values.end()));
      std::vector<uint32_t> codes(n);
      code_by_difference(std::span<const T>(values), range.least, 1, std::span(codes));
      for (size_t r = 0; r < n; ++r) ASSERT_EQ(codes[r], uint32_t(uint64_t(values[r]) - uint64_t(range.least)) + 1) << r << " of " << n;
    }
    std::vector<T> ends(n, T(1));
    ends[n / 2] = Limits::min(), ends[n - 1] = Limits::max();
    EXPECT_EQ(range_of(std::span<const T>(ends)).greatest, Limits::max());
    EXPECT_EQ(range_of(std::span<const T>(ends)).least, n > 2 ? Limits::min() : std::min(ends.front(), ends.back()));
  }
  code_by_difference(std::span<const T>(), T(0), 0, std::span<uint32_t>());
}

TEST(CodeKernels, BoundsAndDifferences) {
  bounds_and_differences<uint8_t>();
  bounds_and_differences<int32_t>();
  bounds_and_differences<int64_t>();
}

TEST(CodeKernels, CombineAndCount) {
  for (size_t n : {0, 1, 3, 4, 5, 33, 5000})
    for (uint32_t k : {1u, 3u, 50u, 3000u}) {
      Random random(n, k, 0);
      std::vector<uint32_t> a(n), b(n), both(n);
      for (size_t r = 0; r < n; ++r) a[r] = uint32_t(random.below(k)), b[r] = uint32_t(random.below(7));
      combine_codes(a, 7, b, both);
      for (size_t r = 0; r < n; ++r) ASSERT_EQ(both[r], a[r] * 7 + b[r]);
      std::vector<int64_t> counts(7 * k, 1), wanted(7 * k, 1);
      count_codes(both, counts);
      for (uint32_t c : both) ++wanted[c];
      EXPECT_EQ(counts, wanted) << n << " codes below " << 7 * k;
      combine_codes(a, 7, b, a);  // in place
      EXPECT_EQ(a, both);
    }
}

}  // namespace
}  // namespace throng::data::kernels
