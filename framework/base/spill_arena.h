// Arrays that stay until all go together: in memory as far as a budget goes, beyond it in files that are read as memory.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <type_traits>
#include <vector>

#include "framework/base/mapped_file.h"
#include "framework/base/memory.h"
#include "framework/base/spill_file.h"

namespace throng {

/// What a step keeps for as long as it runs, such as the examples of a training. A page that the disk cannot give back ends the process by SIGBUS. Thread-safe.
class SpillArena {
 public:
  /// At most half of the budget is taken, in competition with its other users; both outlive the arena.
  SpillArena(MemoryBudget& budget, SpillQuota& quota) : budget_(budget), quota_(quota) {}
  ~SpillArena();
  SpillArena(const SpillArena&) = delete;
  SpillArena& operator=(const SpillArena&) = delete;

  /// Not zeroed. A system error where neither memory nor disk or quota has room.
  template <class T>
  std::span<T> make(size_t count) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= kAligned);
    return {static_cast<T*>(allocate(count * sizeof(T))), count};
  }
  template <class T>
  std::span<T> make(size_t count, T value) {
    const std::span<T> values = make<T>(count);
    std::fill(values.begin(), values.end(), value);
    return values;
  }
  template <class T>
  std::span<const T> keep(const std::vector<T>& values) {
    if (values.empty()) return {};
    const std::span<T> kept = make<T>(values.size());
    std::memcpy(kept.data(), values.data(), values.size() * sizeof(T));
    return kept;
  }
  /// The disk is asked for what is needed soon, and not waited for. Nothing where all is in memory.
  void will_need(std::span<const std::byte> bytes) const {
    if (spilled_bytes() > 0) MappedFile::will_need(bytes);
  }
  uint64_t spilled_bytes() const { return spilled_; }

 private:
  struct Chunk {
    std::byte* next = nullptr;
    size_t left = 0;
  };
  static constexpr size_t kAligned = 8;
  void* allocate(size_t bytes);
  Chunk make_chunk(size_t bytes);

  MemoryBudget& budget_;
  SpillQuota& quota_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<std::byte[]>> memory_;
  std::vector<MappedFile> files_;
  Chunk chunk_;
  uint64_t reserved_ = 0;
  std::atomic<uint64_t> spilled_{0};
};

}  // namespace throng
