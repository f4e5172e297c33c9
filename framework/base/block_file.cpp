#include "framework/base/block_file.h"

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

BlockFile BlockFile::temporary(const std::filesystem::path& folder) {
  make_folder(folder);
  std::string name = (folder / "spill-XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) throw system_error("{}: spill file cannot be made: {}", folder.string(), std::strerror(errno));
  ::unlink(name.c_str());
  return BlockFile(folder, file);
}

BlockFile BlockFile::create(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_CLOEXEC | O_CREAT | O_TRUNC | O_RDWR, 0666);
  if (file < 0) throw system_error("{}: cannot be made: {}", path.string(), std::strerror(errno));
  return BlockFile(path, file);
}

BlockFile BlockFile::open(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_CLOEXEC | O_RDONLY);
  if (file < 0) throw system_error("{}: cannot be read: {}", path.string(), std::strerror(errno));
  return BlockFile(path, file);
}

BlockFile::BlockFile(BlockFile&& other) noexcept : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)), end_(other.end_) {}

BlockFile::~BlockFile() {
  if (file_ >= 0) ::close(file_);
}

void BlockFile::append(const std::byte* from, uint64_t bytes) {
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t n = ::pwrite(file_, from + done, bytes - done, off_t(end_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw system_error("{}: writing {} failed: {}", path_.string(), format_bytes(bytes), n == 0 ? "nothing was written" : std::strerror(errno));
    done += uint64_t(n);
  }
  end_ += bytes;
}

BlockPlace BlockFile::add(std::span<const std::byte> bytes) {
  BlockPlace place{end_, bytes.size(), bytes.size(), hash64(bytes.data(), bytes.size())};
  const std::byte* from = bytes.data();
  if (!bytes.empty() && bytes.size() <= LZ4_MAX_INPUT_SIZE) {
    packed_.resize(size_t(LZ4_compressBound(int(bytes.size()))));
    const int packed = LZ4_compress_default(reinterpret_cast<const char*>(from), reinterpret_cast<char*>(packed_.data()), int(bytes.size()), int(packed_.size()));
    if (packed > 0 && uint64_t(packed) < bytes.size()) place.stored = uint64_t(packed), from = packed_.data();
  }
  append(from, place.stored);
  return place;
}

BlockPlace BlockFile::copy(const BlockFile& from, const BlockPlace& place) {
  BlockPlace here = place;
  here.offset = end_;
  const Buffer bytes = from.stored(place);
  append(bytes.data(), bytes.size());
  return here;
}

Buffer BlockFile::stored(const BlockPlace& place) const {
  Buffer bytes(place.stored);
  for (uint64_t done = 0; done < place.stored;) {
    const ssize_t n = ::pread(file_, bytes.data() + done, place.stored - done, off_t(place.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw system_error("{}: rows that waited on disk cannot be read back: {}", path_.string(), n == 0 ? "the file is cut short" : std::strerror(errno));
    done += uint64_t(n);
  }
  return bytes;
}

Buffer BlockFile::read(const BlockPlace& place) const {
  Buffer bytes = stored(place);
  bool whole = true;
  if (place.stored < place.size) {
    Buffer unpacked(place.size);
    whole = LZ4_decompress_safe(reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<char*>(unpacked.data()), int(place.stored), int(place.size)) == int(place.size);
    bytes.swap(unpacked);
  }
  if (!whole || hash64(bytes.data(), bytes.size()) != place.checksum)
    throw system_error("{}: rows that waited on disk came back damaged", path_.string()).with_hint("the disk or memory of this host is failing; run again elsewhere");
  return bytes;
}

void BlockFile::sync() const {
  if (::fsync(file_) != 0) throw system_error("{}: cannot be flushed to disk: {}", path_.string(), std::strerror(errno));
}

}  // namespace throng
