// Where records and their fields end in delimited text, found 64 bytes at a time. Internal to read_events.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "framework/base/buffer.h"

namespace throng::op {

/// How often `wanted` occurs.
size_t count_bytes(std::string_view text, char wanted);

/// Marks of a stretch of text that begins with a record: line breaks and delimiters (simdcsv's way, Langdale and Lemire 2019). Reused from
/// stretch to stretch; not shared by threads.
class RecordScan {
 public:
  /// Scans text of less than 4 GiB. Within an odd number of quotes nothing is a mark, where `quoting`.
  void scan(std::string_view text, char delimiter, bool quoting);

  /// Offsets of line breaks that end records, ascending.
  std::span<const uint32_t> lines() const { return {lines_.data(), num_lines_}; }
  /// Offsets of those and of delimiters, ascending.
  std::span<const uint32_t> ends() const { return {ends_.data(), num_ends_}; }
  /// Offsets of quotes, ascending.
  std::span<const uint32_t> quotes() const { return {quotes_.data(), num_quotes_}; }

 private:
  AlignedVector<uint32_t> lines_, ends_, quotes_;
  size_t num_lines_ = 0, num_ends_ = 0, num_quotes_ = 0;
};

}  // namespace throng::op
