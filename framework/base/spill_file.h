// What does not fit in memory waits on disk, counted against a quota.
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "framework/base/block_file.h"

namespace throng {

/// How much a rank may spill. Thread-safe.
class SpillQuota {
 public:
  explicit SpillQuota(uint64_t limit_bytes = UINT64_MAX) : limit_(limit_bytes) {}
  /// Counts for itself what it takes of `whole`, which outlives it.
  explicit SpillQuota(SpillQuota& whole) : whole_(&whole) {}
  /// A system error where the limit would be passed.
  void take(uint64_t bytes);
  void give_back(uint64_t bytes);
  uint64_t used_bytes() const { return used_; }
  /// Bytes taken since the last call, also those given back.
  uint64_t take_total() { return total_.exchange(0); }

 private:
  uint64_t limit_ = UINT64_MAX;
  SpillQuota* whole_ = nullptr;
  std::atomic<uint64_t> used_{0}, total_{0};
};

/// A temporary file, made with the first block.
class SpillFile {
 public:
  SpillFile(std::filesystem::path folder, SpillQuota& quota) : folder_(std::move(folder)), quota_(&quota) {}
  ~SpillFile() { quota_->give_back(taken_); }
  SpillFile(const SpillFile&) = delete;
  SpillFile& operator=(const SpillFile&) = delete;

  /// One thread at a time. A system error where the disk or the quota is full.
  BlockPlace add(std::span<const std::byte> bytes);
  /// Any thread. A system error where the bytes are not what was written.
  Buffer read(const BlockPlace& place) const { return file().read(place); }
  /// What `add` wrote to.
  const BlockFile& file() const;
  /// Bytes on disk.
  uint64_t stored_bytes() const { return file_ ? file_->stored_bytes() : 0; }

 private:
  std::filesystem::path folder_;
  SpillQuota* quota_;
  std::optional<BlockFile> file_;
  uint64_t taken_ = 0;  // of the quota
};

}  // namespace throng
