#include "framework/base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace throng {
namespace {
uint64_t number_in(const char* path) {
  std::ifstream in(path);
  uint64_t value = 0;
  return in >> value ? value : UINT64_MAX;  // "max" in cgroup v2 does not parse: no limit
}
}  // namespace

uint64_t host_memory_limit() {
  uint64_t limit = uint64_t(::sysconf(_SC_PHYS_PAGES)) * uint64_t(::sysconf(_SC_PAGE_SIZE));
  limit = std::min(limit, number_in("/sys/fs/cgroup/memory.max"));
  limit = std::min(limit, number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  if (const char* slurm = std::getenv("SLURM_MEM_PER_NODE"))  // in MiB
    if (uint64_t mib = std::strtoull(slurm, nullptr, 10)) limit = std::min(limit, mib << 20);
  return limit;
}

uint64_t peak_resident_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return uint64_t(usage.ru_maxrss) * 1024;
}

bool MemoryBudget::try_reserve(uint64_t bytes) {
  uint64_t used = used_.load();
  do {
    if (used + bytes > limit_) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes));
  uint64_t peak = peak_.load();
  while (used + bytes > peak && !peak_.compare_exchange_weak(peak, used + bytes)) {
  }
  return true;
}

}  // namespace throng
