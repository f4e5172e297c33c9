#include "framework/base/spill_file.h"

#include <fcntl.h>
#include <lz4.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/base/units.h"

namespace throng {

void SpillQuota::take(uint64_t bytes) {
  const uint64_t used = used_ += bytes;
  if (used <= limit_) {
    total_ += bytes;
    return;
  }
  used_ -= bytes;
  throw system_error("spilling {} more to disk would pass the quota of {} a rank", format_bytes(bytes), format_bytes(limit_))
      .with_hint("raise --spill-quota, or --memory so that less is spilled");
}

SpillFile::~SpillFile() {
  if (file_ < 0) return;
  ::close(file_);
  quota_->give_back(end_);
}

SpillFile::Block SpillFile::add(std::span<const std::byte> bytes) {
  if (file_ < 0) {
    make_folder(folder_);
    std::string name = (folder_ / "spill-XXXXXX").string();
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ < 0) throw system_error("{}: spill file cannot be made: {}", folder_.string(), std::strerror(errno));
    ::unlink(name.c_str());
  }
  Block block{end_, bytes.size(), bytes.size(), hash64(bytes.data(), bytes.size())};
  const std::byte* from = bytes.data();
  if (!bytes.empty() && bytes.size() <= LZ4_MAX_INPUT_SIZE) {
    packed_.resize(size_t(LZ4_compressBound(int(bytes.size()))));
    const int packed = LZ4_compress_default(reinterpret_cast<const char*>(from), reinterpret_cast<char*>(packed_.data()), int(bytes.size()), int(packed_.size()));
    if (packed > 0 && uint64_t(packed) < bytes.size()) block.stored = uint64_t(packed), from = packed_.data();
  }
  quota_->take(block.stored);
  for (uint64_t done = 0; done < block.stored;) {
    const ssize_t n = ::pwrite(file_, from + done, block.stored - done, off_t(end_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int why = errno;
      quota_->give_back(block.stored);
      throw system_error("{}: spilling {} failed: {}", folder_.string(), format_bytes(block.stored), n == 0 ? "nothing was written" : std::strerror(why))
          .with_hint("free the disk, set TMPDIR to a larger one, or raise --memory");
    }
    done += uint64_t(n);
  }
  end_ += block.stored;
  return block;
}

Buffer SpillFile::read(const Block& block) const {
  Buffer stored(block.stored);
  for (uint64_t done = 0; done < block.stored;) {
    const ssize_t n = ::pread(file_, stored.data() + done, block.stored - done, off_t(block.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw system_error("{}: spilled rows cannot be read back: {}", folder_.string(), n == 0 ? "the file is cut short" : std::strerror(errno));
    done += uint64_t(n);
  }
  bool whole = true;
  if (block.stored < block.size) {
    Buffer bytes(block.size);
    whole = LZ4_decompress_safe(reinterpret_cast<const char*>(stored.data()), reinterpret_cast<char*>(bytes.data()), int(block.stored), int(block.size)) == int(block.size);
    stored.swap(bytes);
  }
  if (!whole || hash64(stored.data(), stored.size()) != block.checksum)
    throw system_error("{}: spilled rows came back damaged", folder_.string()).with_hint("the disk or memory of this host is failing; run again elsewhere");
  return stored;
}

}  // namespace throng
