// Memory for blocks that all go together.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

namespace throng {

/// Gives out blocks of large pieces of memory, which the kernel is asked to map by large pages: who goes through many rows side by side touches a page for each, more than
/// a processor remembers of small ones. One thread.
class Slabs {
 public:
  /// Aligned to 64 bytes, not zeroed; stays as long as this does.
  void* take(size_t bytes);

 private:
  struct Free {
    size_t mapped = 0;  ///< bytes; 0: from the C library
    void operator()(std::byte* p) const;
  };
  using Slab = std::unique_ptr<std::byte, Free>;
  static Slab make(size_t bytes);
  std::vector<Slab> slabs_;
  std::byte* next_ = nullptr;
  size_t left_ = 0, all_ = 0;
};

}  // namespace throng
