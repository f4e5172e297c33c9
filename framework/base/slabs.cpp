#include "framework/base/slabs.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <new>

namespace throng {
namespace {

constexpr size_t kAligned = 64, kLeast = 64 << 10, kMost = 32 << 20, kLargePage = 2 << 20;
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kEachAlone = true;  // so that who writes beyond a block is found
#else
constexpr bool kEachAlone = false;
#endif

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

void Slabs::Free::operator()(std::byte* p) const {
#if defined(__linux__)
  if (mapped > 0) {
    ::munmap(p, mapped);
    return;
  }
#endif
  std::free(p);
}

Slabs::Slab Slabs::make(size_t bytes) {
#if defined(__linux__)
  // Not from the heap, whose pages would stay large when others have them.
  if (bytes >= kLargePage && !kEachAlone) {
    void* p = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) throw std::bad_alloc();
    ::madvise(p, bytes, MADV_HUGEPAGE);  // a wish: without it small pages do
    return Slab(static_cast<std::byte*>(p), Free{bytes});
  }
#endif
  Slab slab(static_cast<std::byte*>(std::aligned_alloc(kAligned, bytes)), Free{});
  if (!slab) throw std::bad_alloc();
  return slab;
}

void* Slabs::take(size_t bytes) {
  bytes = round_up(std::max<size_t>(1, bytes), kAligned);
  if (bytes > left_) {
    // As much again as there is, so that few steps lead to any size.
    size_t size = kEachAlone ? bytes : std::max(bytes, std::clamp(all_, kLeast, kMost));
    if (size >= kLargePage) size = round_up(size, kLargePage);
    slabs_.push_back(make(size));
    all_ += size;
    std::byte* block = slabs_.back().get();
    // The larger rest serves what comes.
    if (size - bytes >= left_) next_ = block + bytes, left_ = size - bytes;
    return block;
  }
  void* block = next_;
  next_ += bytes, left_ -= bytes;
  return block;
}

}  // namespace throng
