#include "framework/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "framework/base/error.h"
#include "framework/base/files.h"

namespace throng {
namespace {

struct Descriptor {
  int number = -1;
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
};

std::byte* map(const Descriptor& file, uint64_t from, size_t bytes, int access, const std::filesystem::path& path) {
  void* at = ::mmap(nullptr, bytes, access, MAP_SHARED, file.number, off_t(from));
  if (at == MAP_FAILED) throw system_error("{}: {} bytes cannot be mapped: {}", path.string(), bytes, std::strerror(errno));
  return static_cast<std::byte*>(at);
}

}  // namespace

MappedFile MappedFile::of(const std::filesystem::path& path, uint64_t offset, size_t bytes) {
  if (bytes == 0) return {};
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat about;
  if (file.number < 0 || ::fstat(file.number, &about) != 0) throw system_error("{}: cannot be read: {}", path.string(), std::strerror(errno));
  if (uint64_t(about.st_size) < offset || uint64_t(about.st_size) - offset < bytes) throw data_error("{}: has {} bytes; expected {} from {} on", path.string(), about.st_size, bytes, offset);
  const size_t skipped = size_t(offset % uint64_t(::sysconf(_SC_PAGESIZE)));
  return {map(file, offset - skipped, bytes + skipped, PROT_READ, path), bytes + skipped, skipped};
}

MappedFile MappedFile::scratch(size_t bytes) {
  if (bytes == 0) return {};
  std::string name = (temporary_folder() / "throng_XXXXXX").string();
  const Descriptor file{::mkostemp(name.data(), O_CLOEXEC)};
  if (file.number < 0) throw system_error("{}: no file can be made: {}", temporary_folder().string(), std::strerror(errno));
  ::unlink(name.c_str());
  // There is no error to be had later, when a page has no place on the disk.
  int code;
  while ((code = ::posix_fallocate(file.number, 0, off_t(bytes))) == EINTR) continue;
  if (code != 0) throw system_error("{}: no room for a file of {} bytes: {}", temporary_folder().string(), bytes, std::strerror(code)).with_hint("set TMPDIR to a folder on a larger disk");
  return {map(file, 0, bytes, PROT_READ | PROT_WRITE, temporary_folder()), bytes, 0};
}

void MappedFile::will_need(std::span<const std::byte> stretch) {
  if (stretch.empty()) return;
  const size_t begin = reinterpret_cast<size_t>(stretch.data()), skipped = begin % size_t(::sysconf(_SC_PAGESIZE));
  ::madvise(reinterpret_cast<void*>(begin - skipped), stretch.size() + skipped, MADV_WILLNEED);  // a wish
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(at_, other.at_), std::swap(mapped_, other.mapped_), std::swap(skipped_, other.skipped_);
  return *this;
}

MappedFile::~MappedFile() {
  if (at_) ::munmap(at_, mapped_);
}

}  // namespace throng
