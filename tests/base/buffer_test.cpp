// AlignedVector against std::vector, by random calls: it has its own ways to grow, copy, fill and append.
#include "framework/base/buffer.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "framework/base/random.h"

namespace throng {
namespace {

template <class T>
void compare_with_a_vector(uint64_t seed) {
  Random random(seed, sizeof(T), 0);
  AlignedVector<T> a;
  std::vector<T> b;
  for (int step = 0; step < 2000; ++step) {
    const size_t n = random.below(random.below(20) ? 30 : 3000);
    const T value = T(random.below(200));
    std::vector<T> more(n);
    for (auto& v : more) v = T(random.below(200));
    switch (random.below(9)) {
      case 0: a.push_back(value), b.push_back(value); break;
      case 1: a.append(more.data(), n), b.insert(b.end(), more.begin(), more.end()); break;
      case 2: a.resize(n, value), b.resize(n, value); break;
      case 3: a.assign(n, value), b.assign(n, value); break;
      case 4: a.assign(more.begin(), more.end()), b = more; break;
      case 5: a.reserve(a.size() + n); break;
      case 6: {
        const AlignedVector<T> copy = a;  // what was copied stays
        a.push_back(value);
        EXPECT_TRUE(std::equal(copy.begin(), copy.end(), b.begin(), b.end()));
        a = copy;
        break;
      }
      case 7: {
        AlignedVector<T> moved = std::move(a);
        a = AlignedVector<T>(n, value);
        a = std::move(moved);
        break;
      }
      default: a.resize(b.size() / 2), b.resize(b.size() / 2); break;
    }
    ASSERT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << "step " << step << " of seed " << seed;
    ASSERT_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0u);
  }
}

TEST(AlignedVector, IsAsAVector) {
  for (uint64_t seed : {1, 2, 3}) {
    compare_with_a_vector<uint8_t>(seed);
    compare_with_a_vector<int32_t>(seed);
    compare_with_a_vector<double>(seed);
  }
  const AlignedVector<int> listed{3, 1, 2}, same(listed.begin(), listed.end()), widened(listed.rbegin(), listed.rend());
  EXPECT_EQ(listed, same);
  EXPECT_EQ(widened, (AlignedVector<int>{2, 1, 3}));
}

}  // namespace
}  // namespace throng
