#include "framework/base/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace throng {
namespace {
namespace fs = std::filesystem;

uint64_t number_in(const fs::path& path) {
  std::ifstream in(path);
  uint64_t value = 0;
  return in >> value ? value : UINT64_MAX;  // "max" in cgroup v2 does not parse: no limit
}

uint64_t number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : 0;
}

// The least limit in the cgroup's folder and those above it.
uint64_t least_upwards(const fs::path& mount, std::string group, const char* file) {
  uint64_t limit = number_in(mount / file);  // in a container the group's own path may not be there
  for (;;) {
    limit = std::min(limit, number_in(fs::path(mount.string() + group) / file));
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos || group.size() <= 1) return limit;
    group = group.substr(0, slash);
  }
}

}  // namespace

uint64_t host_memory_limit(const fs::path& root) {
  uint64_t limit = uint64_t(::sysconf(_SC_PHYS_PAGES)) * uint64_t(::sysconf(_SC_PAGE_SIZE));
  const fs::path mount = root / "sys/fs/cgroup";
  limit = std::min({limit, number_in(mount / "memory.max"), number_in(mount / "memory/memory.limit_in_bytes")});
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // "0::/path" in v2, "7:cpu,memory:/path" in v1
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",", path = line.substr(second + 1);
    if (controllers == ",,") limit = std::min(limit, least_upwards(mount, path, "memory.max"));
    if (controllers.find(",memory,") != std::string::npos) limit = std::min(limit, least_upwards(mount / "memory", path, "memory.limit_in_bytes"));
  }
  if (uint64_t mib = number_of("SLURM_MEM_PER_NODE")) limit = std::min(limit, mib << 20);
  if (uint64_t mib = number_of("SLURM_MEM_PER_CPU")) limit = std::min(limit, (mib << 20) * std::max<uint64_t>(1, number_of("SLURM_CPUS_ON_NODE")));
  return limit;
}

uint64_t resident_bytes() {
  uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * uint64_t(::sysconf(_SC_PAGESIZE));
}

// Not getrusage first: what it tells is not below the peak of the process that started this one.
uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return uint64_t(usage.ru_maxrss) * 1024;
}

void reset_peak_resident() { std::ofstream("/proc/self/clear_refs") << '5'; }

bool MemoryBudget::try_reserve(uint64_t bytes, uint64_t keep_free) {
  uint64_t used = used_.load();
  do {
    if (used + bytes + keep_free > limit_) return false;
  } while (!used_.compare_exchange_weak(used, used + bytes));
  uint64_t peak = peak_.load();
  while (used + bytes > peak && !peak_.compare_exchange_weak(peak, used + bytes)) {
  }
  return true;
}

}  // namespace throng
