// Blocks of bytes that wait on disk: compressed, checksummed, counted against a quota. The door to LZ4.
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <span>

#include "framework/base/buffer.h"

namespace throng {

/// How much a rank may spill. Thread-safe.
class SpillQuota {
 public:
  explicit SpillQuota(uint64_t limit_bytes = UINT64_MAX) : limit_(limit_bytes) {}
  /// A system error where the limit would be passed.
  void take(uint64_t bytes);
  void give_back(uint64_t bytes) { used_ -= bytes; }
  uint64_t used_bytes() const { return used_; }
  /// Bytes taken since the last call, also those given back.
  uint64_t take_total() { return total_.exchange(0); }

 private:
  uint64_t limit_;
  std::atomic<uint64_t> used_{0}, total_{0};
};

/// A temporary file without a name: it is gone with the process, however that ends. Made with the first block.
class SpillFile {
 public:
  struct Block {
    uint64_t offset = 0, stored = 0, size = 0, checksum = 0;  ///< stored < size where it is compressed
  };
  SpillFile(std::filesystem::path folder, SpillQuota& quota) : folder_(std::move(folder)), quota_(&quota) {}
  ~SpillFile();
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  /// One thread at a time. A system error where the disk or the quota is full.
  Block add(std::span<const std::byte> bytes);
  /// Any thread. A system error where the bytes are not what was written.
  Buffer read(const Block& block) const;
  /// Bytes on disk.
  uint64_t stored_bytes() const { return end_; }

 private:
  std::filesystem::path folder_;
  SpillQuota* quota_;
  int file_ = -1;
  uint64_t end_ = 0;
  Buffer packed_;
};

}  // namespace throng
