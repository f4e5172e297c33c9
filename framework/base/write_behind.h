// Sends a file that another library writes to the disk as it grows, so that the fsync at its end waits for little.
#pragma once
#include <cstdint>
#include <filesystem>

namespace throng {

/// One thread. Only speed depends on it: where the system cannot, nothing happens.
class WriteBehind {
 public:
  explicit WriteBehind(const std::filesystem::path& path);
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;
  /// So many bytes more were written.
  void wrote(uint64_t bytes);

 private:
  int file_;
  uint64_t waiting_ = 0;
};

}  // namespace throng
