#include "framework/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <utility>

#include "framework/base/error.h"

namespace throng {

FileLock::FileLock(const std::filesystem::path& file, Wait wait, unsigned mode) : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, mode)) {
  if (descriptor_ < 0) throw system_error("{}: cannot be written: {}", file.string(), std::strerror(errno));
  int result;
  do result = ::flock(descriptor_, wait == Wait::kNot ? LOCK_EX | LOCK_NB : LOCK_EX);
  while (result != 0 && errno == EINTR);
  if (result == 0) return;
  const int code = errno;
  ::close(std::exchange(descriptor_, -1));
  if (code == EWOULDBLOCK) return;
  const bool none = code == ENOSYS || code == ENOLCK || code == EOPNOTSUPP;
  if (!none || wait == Wait::kNot) throw system_error("{}: cannot be locked: {}", file.string(), std::strerror(code)).with_hint(none ? "its file system has no locks; use another" : "");
  static std::once_flag told;
  std::call_once(told, [&] { std::fprintf(stderr, "throng: warning: %s: its file system has no locks; commands at the same time are not kept apart\n", file.c_str()); });
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace throng
