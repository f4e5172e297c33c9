#include "framework/base/write_behind.h"

#include <fcntl.h>
#include <unistd.h>

namespace throng {

namespace {
constexpr uint64_t kAtOnce = uint64_t{16} << 20;
}

WriteBehind::WriteBehind(const std::filesystem::path& path) : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

WriteBehind::~WriteBehind() {
  if (file_ >= 0) ::close(file_);
}

void WriteBehind::wrote(uint64_t bytes) {
  waiting_ += bytes;
  if (file_ < 0 || waiting_ < kAtOnce) return;
  waiting_ = 0;
  ::sync_file_range(file_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

}  // namespace throng
