// Files as memory: pages come when they are touched, and go again where memory is short.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>

namespace throng {

/// A stretch of a file. Reading is thread-safe.
class MappedFile {
 public:
  MappedFile() = default;
  /// To be read; the file may lose its name, but must not shrink. A data error where it has not so many bytes.
  static MappedFile of(const std::filesystem::path& path, uint64_t offset, size_t bytes);
  /// Zeros to be written, in a file without a name in `temporary_folder()` that goes with the mapping. Its room on disk is taken at once: a system error where there is not enough.
  static MappedFile scratch(size_t bytes);
  MappedFile(MappedFile&& other) noexcept : at_(std::exchange(other.at_, nullptr)), mapped_(other.mapped_), skipped_(other.skipped_) {}
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  /// The kernel is asked to read a stretch of some mapping from disk, and not waited for.
  static void will_need(std::span<const std::byte> stretch);

  /// Those of `of` must not be written.
  std::span<std::byte> bytes() const { return at_ ? std::span(at_ + skipped_, mapped_ - skipped_) : std::span<std::byte>(); }

 private:
  MappedFile(std::byte* at, size_t mapped, size_t skipped) : at_(at), mapped_(mapped), skipped_(skipped) {}
  std::byte* at_ = nullptr;
  size_t mapped_ = 0, skipped_ = 0;  // a mapping begins at a page
};

}  // namespace throng
