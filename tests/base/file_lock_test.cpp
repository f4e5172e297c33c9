// One holder at a time, and it is free again when the holder ends.
#include "framework/base/file_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <optional>
#include <thread>

#include "framework/base/error.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using Wait = FileLock::Wait;

TEST(FileLock, HasOneHolder) {
  testing::TemporaryFolder folder;
  std::optional<FileLock> first(std::in_place, folder / "lock", Wait::kNot, 0600);
  EXPECT_TRUE(first->is_held());
  struct stat info {};
  ASSERT_EQ(::stat((folder / "lock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(FileLock(folder / "lock", Wait::kNot).is_held());
  const FileLock moved(std::move(*first));
  first.reset();
  EXPECT_FALSE(FileLock(folder / "lock", Wait::kNot).is_held()) << "the moved one holds it";
}

TEST(FileLock, WhoWaitsComesAfterTheOther) {
  testing::TemporaryFolder folder;
  std::atomic<int> counted = 0;  // since a sanitizer does not know this lock
  const auto work = [&] {
    for (int k = 0; k < 200; ++k) {
      const FileLock lock(folder / "lock", Wait::kUntilFree);
      const int before = counted.load();
      std::this_thread::yield();
      counted.store(before + 1);
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(counted, 400);
}

TEST(FileLock, AFolderThatIsNotThereIsAnError) { EXPECT_THROW(FileLock("/missing/lock", Wait::kNot), Error); }

}  // namespace
}  // namespace throng
