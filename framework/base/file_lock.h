// A lock that lies on a file, for processes that share a folder.
#pragma once
#include <filesystem>

namespace throng {

/// Held until it is destroyed, or the process ends, however it ends; other processes and other locks of this one are kept out.
class FileLock {
 public:
  enum class Wait { kUntilFree, kNot };
  /// Makes `file` where it is missing, with `mode`. Where another has the lock, waits for it, or holds nothing. A system error where the file cannot be
  /// written. On a file system without locks (Lustre mounted so, NFS without lockd) who would wait goes on without one, with a warning; who would not gets an error.
  FileLock(const std::filesystem::path& file, Wait wait, unsigned mode = 0644);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();
  bool is_held() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

}  // namespace throng
