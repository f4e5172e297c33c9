#include "framework/base/slabs.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace throng {
namespace {

TEST(Slabs, BlocksAreAlignedAndDoNotOverlap) {
  Slabs slabs;
  std::vector<std::pair<unsigned char*, size_t>> blocks;
  for (size_t size : {size_t{0}, size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{100 << 10}, size_t{3 << 20}, size_t{40 << 20}, size_t{7}, size_t{5 << 20}, size_t{20 << 20}, size_t{20 << 20}, size_t{1}}) {
    auto* block = static_cast<unsigned char*>(slabs.take(size));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0u);
    std::memset(block, int(blocks.size() + 1), size);
    blocks.emplace_back(block, size);
  }
  for (size_t b = 0; b < blocks.size(); ++b)
    for (size_t i = 0; i < blocks[b].second; ++i) ASSERT_EQ(blocks[b].first[i], b + 1) << "block " << b << " at " << i;
}

}  // namespace
}  // namespace throng
