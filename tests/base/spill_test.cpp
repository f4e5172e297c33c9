// Spill files: what goes in comes out, damage and full quotas are named. Memory limits as cgroups and Slurm give them.
#include "framework/base/spill_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "framework/base/memory.h"
#include "framework/base/random.h"
#include "framework/base/spill_arena.h"
#include "framework/base/write_behind.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::HasSubstr;

Buffer bytes_of(size_t n, bool random_bytes) {
  Random random(7, n, 0);
  Buffer b(n);
  for (auto& x : b) x = std::byte(random_bytes ? random.below(256) : 65);
  return b;
}

TEST(Spill, BlocksComeBackAsTheyWere) {
  testing::TemporaryFolder folder;
  SpillQuota quota;
  std::vector<std::pair<BlockPlace, Buffer>> blocks;
  {
    SpillFile file(folder / "spill", quota);
    for (size_t n : {0, 1, 100, 5000, 3'000'000})
      for (bool random : {false, true}) {
        Buffer b = bytes_of(n, random);
        auto place = file.add(b);
        blocks.emplace_back(place, std::move(b));
      }
    for (const auto& [place, b] : blocks) EXPECT_EQ(file.read(place), b);
    EXPECT_EQ(quota.used_bytes(), file.stored_bytes());
    EXPECT_LT(file.stored_bytes(), 3'100'000u) << "the one that repeats is compressed";
    EXPECT_GT(file.stored_bytes(), 3'000'000u);
    EXPECT_TRUE(std::filesystem::is_empty(folder / "spill")) << "the file has no name";
  }
  EXPECT_EQ(quota.used_bytes(), 0u);
}

TEST(Spill, DamageIsFound) {
  testing::TemporaryFolder folder;
  SpillQuota quota;
  SpillFile file(folder.path(), quota);
  auto block = file.add(bytes_of(1000, true));
  auto other = block;
  other.checksum ^= 1;
  EXPECT_THROW(file.read(other), Error);
  other = block;
  other.offset += 1;
  try {
    file.read(other);
    ADD_FAILURE() << "read over the end";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kSystem);
    EXPECT_THAT(e.text(), HasSubstr("rows that waited on disk"));
  }
}

TEST(Spill, AFileThatIsSentToTheDiskAsItGrowsHoldsWhatWasWritten) {
  testing::TemporaryFolder folder;
  const auto path = folder / "grows";
  std::string whole;
  {
    auto file = BlockFile::create(path);
    WriteBehind behind(path);
    for (int i = 0; i < 5; ++i) {
      const Buffer b = bytes_of(9'000'000, true);
      file.add(b);
      behind.wrote(b.size());
      whole.append(reinterpret_cast<const char*>(b.data()), b.size());
    }
  }
  EXPECT_EQ(read_file(path), whole);
  WriteBehind nowhere(folder / "is not there");
  nowhere.wrote(uint64_t{1} << 30);  // only speed depends on it
}

TEST(Spill, TheQuotaHolds) {
  testing::TemporaryFolder folder;
  SpillQuota quota(10'000);
  SpillFile file(folder.path(), quota);
  auto kept = file.add(bytes_of(9'000, true));
  try {
    file.add(bytes_of(2'000, true));
    ADD_FAILURE() << "passed the quota";
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("quota of"));
    EXPECT_THAT(e.hint(), HasSubstr("--spill-quota"));
  }
  EXPECT_EQ(file.read(kept), bytes_of(9'000, true));
  EXPECT_NO_THROW(file.add(bytes_of(500, true)));
}

/// While there is one, no file grows beyond 64 KiB, as if the disk were full.
class FullDisk {
 public:
  FullDisk() : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{1 << 16, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_{};
  void (*handler_)(int);
};

TEST(Spill, AFullDiskIsNamed) {
  testing::TemporaryFolder folder;
  SpillQuota quota;
  const FullDisk full;
  SpillFile file(folder.path(), quota);
  try {
    file.add(bytes_of(1 << 20, true));
    ADD_FAILURE() << "a file grew past its limit";
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("failed"));
    EXPECT_THAT(e.hint(), HasSubstr("TMPDIR"));
  }
  EXPECT_EQ(quota.used_bytes(), 0u);
}

TEST(SpillArena, WhatMemoryHasNoRoomForLiesInFiles) {
  MemoryBudget budget(uint64_t{8} << 20);
  SpillQuota quota;
  {
    SpillArena arena(budget, quota);
    std::vector<std::span<const int32_t>> kept;
    const auto keep = [&](size_t n) {
      std::vector<int32_t> values(n);
      for (size_t i = 0; i < n; ++i) values[i] = int32_t(kept.size() * 1000003 + i);
      kept.push_back(arena.keep(values));
    };
    for (size_t n : {size_t{1}, size_t{3}, size_t{0}, size_t{200'000}, size_t{100}}) keep(n);
    EXPECT_EQ(arena.spilled_bytes(), 0u);
    EXPECT_GT(budget.used_bytes(), 800'000u);
    EXPECT_LE(budget.used_bytes(), uint64_t{4} << 20);
    for (int i = 0; i < 40; ++i) keep(size_t(1000 + i * 20'000));
    EXPECT_LE(budget.used_bytes(), uint64_t{4} << 20) << "half of it is for others";
    EXPECT_GT(arena.spilled_bytes(), uint64_t{50} << 20);
    EXPECT_LT(arena.spilled_bytes(), uint64_t{80} << 20);
    EXPECT_EQ(quota.used_bytes(), arena.spilled_bytes());
    for (const auto& values : kept) arena.will_need(std::as_bytes(values));
    for (size_t k = 0; k < kept.size(); ++k)
      for (size_t i = 0; i < kept[k].size(); ++i) ASSERT_EQ(kept[k][i], int32_t(k * 1000003 + i)) << k;
    const auto doubles = arena.make<double>(5, 1.5);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(doubles.data()) % alignof(double), 0u);
    EXPECT_EQ(doubles[4], 1.5);
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
  EXPECT_EQ(quota.used_bytes(), 0u);
}

TEST(SpillArena, TheQuotaAndTheDiskAreNamed) {
  MemoryBudget budget(1 << 20);
  SpillQuota quota(uint64_t{3} << 20);
  SpillArena arena(budget, quota);
  const auto kept = arena.make<int64_t>(100'000, 7);
  try {
    arena.make<int64_t>(1'000'000);
    ADD_FAILURE() << "passed the quota";
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("quota of"));
    EXPECT_THAT(e.hint(), HasSubstr("--spill-quota"));
  }
  const FullDisk full;
  try {
    arena.make<int64_t>(200'000);
    ADD_FAILURE() << "a file grew past its limit";
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("no room for a file"));
    EXPECT_THAT(e.hint(), HasSubstr("TMPDIR"));
  }
  EXPECT_EQ(quota.used_bytes(), arena.spilled_bytes()) << "what could not be had is given back";
  EXPECT_EQ(kept[99'999], 7);
}

// Mapped by itself: a sanitizer keeps what is freed.
TEST(PeakResident, BeginsAnew) {
  constexpr size_t kBytes = size_t{96} << 20;
  const uint64_t before = peak_resident_bytes();
  void* large = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(large, MAP_FAILED);
  std::memset(large, 1, kBytes);
  EXPECT_GT(peak_resident_bytes(), before / 2 + (uint64_t{64} << 20));
  const uint64_t with = peak_resident_bytes();
  ASSERT_EQ(::munmap(large, kBytes), 0);
  reset_peak_resident();
  EXPECT_LT(peak_resident_bytes(), with - (uint64_t{64} << 20));
}

TEST(MemoryLimit, IsTheLeastOfCgroupsAndSlurm) {
  testing::TemporaryFolder folder;
  for (const char* name : {"SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"}) ::unsetenv(name);
  const uint64_t all = host_memory_limit(folder.path());
  EXPECT_GT(all, uint64_t{64} << 20);
  make_folder(folder / "proc/self");
  make_folder(folder / "sys/fs/cgroup/job/step");
  folder.write("proc/self/cgroup", "0::/job/step\n");
  EXPECT_EQ(host_memory_limit(folder.path()), all);
  folder.write("sys/fs/cgroup/job/step/memory.max", "max\n");
  folder.write("sys/fs/cgroup/job/memory.max", "50000000\n");
  EXPECT_EQ(host_memory_limit(folder.path()), 50'000'000u) << "a group above";
  folder.write("sys/fs/cgroup/job/step/memory.max", "40000000\n");
  EXPECT_EQ(host_memory_limit(folder.path()), 40'000'000u);
  make_folder(folder / "sys/fs/cgroup/memory/old");
  folder.write("proc/self/cgroup", "7:cpu,memory:/old\n3:pids:/x\n");
  folder.write("sys/fs/cgroup/memory/old/memory.limit_in_bytes", "30000000\n");
  EXPECT_EQ(host_memory_limit(folder.path()), 30'000'000u) << "version 1";
  ::setenv("SLURM_MEM_PER_CPU", "5", 1);
  ::setenv("SLURM_CPUS_ON_NODE", "4", 1);
  EXPECT_EQ(host_memory_limit(folder.path()), uint64_t{20} << 20);
  ::setenv("SLURM_MEM_PER_NODE", "10", 1);
  EXPECT_EQ(host_memory_limit(folder.path()), uint64_t{10} << 20);
  for (const char* name : {"SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU", "SLURM_CPUS_ON_NODE"}) ::unsetenv(name);
}

}  // namespace
}  // namespace throng
