// Blocks of bytes in a file, compressed and checksummed. The door to LZ4.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "framework/base/buffer.h"

namespace throng {

/// Where a block lies in its file; stored < size where it is compressed.
struct BlockPlace {
  uint64_t offset = 0, stored = 0, size = 0, checksum = 0;
};

/// A file that is appended to, or one that is read. Every failure is a system error that names it.
class BlockFile {
 public:
  /// A file without a name in `folder`: it is gone with the process, however that ends.
  static BlockFile temporary(const std::filesystem::path& folder);
  static BlockFile create(const std::filesystem::path& path);
  static BlockFile open(const std::filesystem::path& path);
  ~BlockFile();
  BlockFile(BlockFile&& other) noexcept;
  BlockFile& operator=(BlockFile&&) = delete;

  /// One thread at a time.
  BlockPlace add(std::span<const std::byte> bytes);
  /// Appends a block of another file as it is stored there.
  BlockPlace copy(const BlockFile& from, const BlockPlace& place);
  /// Any thread. An error where the bytes are not what was written.
  Buffer read(const BlockPlace& place) const;
  /// Flushes it to disk.
  void sync() const;
  uint64_t stored_bytes() const { return end_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  BlockFile(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {}
  void append(const std::byte* from, uint64_t bytes);
  Buffer stored(const BlockPlace& place) const;

  std::filesystem::path path_;  // its folder, where it has no name
  int file_ = -1;
  uint64_t end_ = 0;
  Buffer packed_;
};

}  // namespace throng
