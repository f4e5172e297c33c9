// The memory a rank may use, and who holds it.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

namespace throng {

/// The limit on this host in bytes: the least of cgroup v2/v1, SLURM_MEM_PER_NODE and physical memory.
uint64_t host_memory_limit();
/// Peak resident set of this process in bytes.
uint64_t peak_resident_bytes();

/// Counts the bytes a rank's exchanges hold against its budget; a holder that is refused spills. Thread-safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t limit_bytes) : limit_(limit_bytes) {}
  /// Takes `bytes` if they fit; false leaves the count as it was.
  bool try_reserve(uint64_t bytes);
  void release(uint64_t bytes) { used_ -= bytes; }
  uint64_t limit_bytes() const { return limit_; }
  uint64_t used_bytes() const { return used_; }
  uint64_t peak_bytes() const { return peak_; }

 private:
  uint64_t limit_;
  std::atomic<uint64_t> used_{0}, peak_{0};
};

}  // namespace throng
