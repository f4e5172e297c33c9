#include "framework/base/slabs.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <new>

namespace throng {
namespace {

constexpr size_t kAligned = 64, kLeast = 64 << 10, kMost = 32 << 20, kLargePage = 2 << 20;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

void* Slabs::take(size_t bytes) {
  bytes = round_up(std::max<size_t>(1, bytes), kAligned);
  if (bytes > left_) {
    // As much again as there is, so that few steps lead to any size.
    size_t size = std::max(bytes, std::clamp(all_, kLeast, kMost));
    const size_t alignment = size >= kLargePage ? kLargePage : kAligned;
    size = round_up(size, alignment);
    slabs_.emplace_back(static_cast<std::byte*>(std::aligned_alloc(alignment, size)));
    if (!slabs_.back()) throw std::bad_alloc();
#if defined(__linux__)
    if (alignment == kLargePage) ::madvise(slabs_.back().get(), size, MADV_HUGEPAGE);  // a wish: without it small pages do
#endif
    next_ = slabs_.back().get(), left_ = size, all_ += size;
  }
  void* block = next_;
  next_ += bytes, left_ -= bytes;
  return block;
}

}  // namespace throng
