#include "framework/base/files.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "framework/base/error.h"

namespace throng {
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw system_error("{}: cannot be read: {}", path.string(), std::strerror(errno));
  std::string text;
  try {
    text.assign(std::istreambuf_iterator<char>(in), {});
  } catch (const std::ios_base::failure&) {  // libstdc++ throws for a folder whatever the stream's mask
    in.setstate(std::ios_base::badbit);
  }
  if (in.bad()) throw system_error("{}: reading failed: {}", path.string(), std::strerror(errno));
  return text;
}

void fsync_path(const fs::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY);
  if (fd < 0 || ::fsync(fd) != 0) {
    int code = errno;
    if (fd >= 0) ::close(fd);
    throw system_error("{}: cannot be flushed to disk: {}", path.string(), std::strerror(code));
  }
  ::close(fd);
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += fmt::format(".tmp{}", ::getpid());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::fail(int code) { throw system_error("{}: cannot be written: {}", path_.string(), std::strerror(code)); }

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(errno);
    bytes.remove_prefix(size_t(n));
  }
}

void AtomicFile::finish(bool flush) {
  if ((flush && ::fsync(descriptor_) != 0) || ::rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno);
  ::close(std::exchange(descriptor_, -1));
}

void write_file_atomically(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.finish();
}

void replace_file(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.finish(false);
}

fs::path temporary_folder() {
  const char* tmp = std::getenv("TMPDIR");
  return tmp && *tmp ? fs::path(tmp) : fs::path("/tmp");
}

void make_folder(const fs::path& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code) throw system_error("{}: folder cannot be made: {}", path.string(), code.message());
  if (::access(path.c_str(), W_OK | X_OK) != 0)
    throw system_error("{}: folder cannot be written: {}", path.string(), std::strerror(errno));
}

std::vector<fs::path> expand_glob(const fs::path& pattern) {
  std::vector<fs::path> found;
  auto add = [&](const fs::path& path) {
    if (fs::is_directory(path)) {
      for (const auto& entry : fs::directory_iterator(path))
        if (entry.is_regular_file() && entry.path().filename().string()[0] != '.') found.push_back(entry.path());
    } else {
      found.push_back(path);
    }
  };
  if (fs::exists(pattern)) {
    add(pattern);
  } else {
    glob_t result{};
    if (::glob(pattern.c_str(), 0, nullptr, &result) == 0)
      for (size_t i = 0; i < result.gl_pathc; ++i) add(result.gl_pathv[i]);
    ::globfree(&result);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

void remove_files(const fs::path& folder, const std::function<bool(const std::string& name)>& goes) {
  std::error_code ignored;
  std::vector<fs::path> gone;
  for (fs::directory_iterator at(folder, ignored), end; !ignored && at != end; at.increment(ignored))
    if (goes(at->path().filename().string())) gone.push_back(at->path());
  for (const auto& path : gone) fs::remove(path, ignored);
}

uint64_t free_disk_bytes(const fs::path& path) {
  std::error_code code;
  auto space = fs::space(path, code);
  return code ? UINT64_MAX : space.available;
}

}  // namespace throng
