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

TEST(Spill, AFullDiskIsNamed) {
  rlimit limit{1 << 16, RLIM_INFINITY}, before{};
  testing::TemporaryFolder folder;
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto* handler = ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &limit);
  SpillQuota quota;
  SpillFile file(folder.path(), quota);
  try {
    file.add(bytes_of(1 << 20, true));
    ADD_FAILURE() << "a file grew past its limit";
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("failed"));
    EXPECT_THAT(e.hint(), HasSubstr("TMPDIR"));
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(quota.used_bytes(), 0u);
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
