// The memory a rank may use, and who holds it.
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

namespace throng {

/// The limit on this host in bytes: the least of physical memory, the cgroups (v2 and v1) this process is in and those above
/// them, and Slurm's SLURM_MEM_PER_NODE or SLURM_MEM_PER_CPU x SLURM_CPUS_ON_NODE. `root` stands for / in tests.
uint64_t host_memory_limit(const std::filesystem::path& root = "/");
/// Resident set of this process now, in bytes; 0 where /proc does not say.
uint64_t resident_bytes();
/// Peak resident set of this process in bytes, since its start or the last `reset_peak_resident`.
uint64_t peak_resident_bytes();
/// Lets the peak begin anew from what is resident now; nothing where the kernel does not offer it.
void reset_peak_resident();

/// Counts the bytes a rank's engine holds against its budget: rows that wait between stages, and rows that are worked on. Who
/// waits is refused early and spills, so that work always finds room. Thread-safe.
class MemoryBudget {
 public:
  explicit MemoryBudget(uint64_t limit_bytes) : limit_(limit_bytes) {}
  /// Takes `bytes` if they fit and leave `keep_free`; false leaves the count as it was.
  bool try_reserve(uint64_t bytes, uint64_t keep_free = 0);
  void release(uint64_t bytes) { used_ -= bytes; }
  uint64_t limit_bytes() const { return limit_; }
  uint64_t used_bytes() const { return used_; }
  uint64_t peak_bytes() const { return peak_; }

 private:
  uint64_t limit_;
  std::atomic<uint64_t> used_{0}, peak_{0};
};

}  // namespace throng
