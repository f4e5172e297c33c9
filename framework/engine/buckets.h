// Rows that wait between two stages: in memory while the budget allows, then on disk.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include "framework/base/memory.h"
#include "framework/base/spill_file.h"

namespace throng::engine {

/// What a rank may use: its memory, its disk for what does not fit, and where that is.
struct Resources {
  MemoryBudget& memory;
  SpillQuota& quota;
  std::filesystem::path spill_folder;
};

/// A serialised batch, in memory or in a file.
class StoredBlock {
 public:
  explicit StoredBlock(Buffer bytes) : bytes_(std::move(bytes)), size_(bytes_.size()) {}
  StoredBlock(std::shared_ptr<const BlockFile> file, BlockPlace place) : file_(std::move(file)), place_(place), size_(place.size) {}
  uint64_t size() const { return size_; }
  /// Its bytes; they are gone from here. Any thread.
  Buffer take() { return file_ ? file_->read(place_) : std::move(bytes_); }

 private:
  Buffer bytes_;
  std::shared_ptr<const BlockFile> file_;
  BlockPlace place_;
  uint64_t size_;
};

/// Serialised blocks of rows by partition. Holds at most half of the memory, so that those who work on rows find room. One thread.
class Buckets {
 public:
  explicit Buckets(Resources resources) : resources_(std::move(resources)) {}
  ~Buckets() { resources_.memory.release(reserved_); }
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  void add(int64_t partition, Buffer block);
  /// All blocks of a partition, in no particular order; they are gone from here afterwards, and no longer counted.
  std::vector<StoredBlock> take(int64_t partition);
  /// Bytes that wait for a partition.
  uint64_t size_of(int64_t partition) const;
  uint64_t spilled_bytes() const { return spill_ ? spill_->stored_bytes() : 0; }
  const Resources& resources() const { return resources_; }

  /// A block that waits in a file which outlives the process.
  struct Kept {
    int64_t partition = 0;
    std::shared_ptr<const BlockFile> file;
    BlockPlace place;
  };
  /// Moves all that is not kept yet to `file`; it waits there from now on.
  void keep(const std::shared_ptr<BlockFile>& file);
  std::vector<Kept> kept() const;
  void add_kept(Kept block) { kept_[block.partition].push_back({std::move(block.file), block.place}); }

 private:
  struct InFile {
    std::shared_ptr<const BlockFile> file;
    BlockPlace place;
  };
  void spill();

  Resources resources_;
  std::map<int64_t, std::vector<Buffer>> in_memory_;
  std::map<int64_t, std::vector<BlockPlace>> spilled_;
  std::map<int64_t, std::vector<InFile>> kept_;
  uint64_t reserved_ = 0;
  std::shared_ptr<SpillFile> spill_;
};

}  // namespace throng::engine
