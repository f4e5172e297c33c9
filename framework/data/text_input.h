// Text files, plain or compressed (gzip, zstd), read by offsets of the uncompressed text. The door to zlib and zstd.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace throng::data {

enum class Compression { kNone, kGzip, kZstd };
/// By the file's first bytes.
Compression detect_compression(const std::filesystem::path& path);

/// A stretch of a text file in memory that grows forwards. A data error for damage and truncation. Not shared by threads.
class TextWindow {
 public:
  /// Begins at `offset` of the uncompressed text. Compressed files are read from their start up to there.
  TextWindow(std::filesystem::path path, uint64_t offset);
  ~TextWindow();
  TextWindow(TextWindow&&) noexcept;

  /// Makes text up to `offset` available, or less where the file ends before; true when it is all there.
  bool ensure(uint64_t offset);
  /// Gives up text before `offset`; for a compressed file `offset` may lie beyond what was read.
  void discard_before(uint64_t offset);
  /// Text from `offset` to the end of what is available.
  std::string_view from(uint64_t offset) const;
  uint64_t begin() const;
  uint64_t end() const;
  bool at_end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes text, compressed by the path's ending (.gz, .zst) or plain. `close` must be called; a system error when the
/// disk is full.
class TextOutput {
 public:
  explicit TextOutput(const std::filesystem::path& path);
  ~TextOutput();
  void write(std::string_view text);
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace throng::data
