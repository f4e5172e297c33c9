// Which files are read and where they are cut. Internal to read_events.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "framework/data/text_input.h"
#include "operators/read_events/read_events.h"

namespace throng::op {

struct InputFile {
  std::string path;
  uint64_t bytes = 0;  ///< of text
  bool compressed = false;
  std::string identity;      ///< size and time of the file
  std::string quote_parity;  ///< '1' where an odd number of quotes lies before offset i * kGranule; empty: no quoting
};

/// Cuts lie at multiples of this, where the parity of quotes is known.
inline constexpr uint64_t kGranule = 4096;

/// A contiguous range of one file; it holds the records whose first byte lies in it.
struct FileRange {
  size_t file = 0;
  uint64_t begin = 0, end = 0;
  bool inside_quotes = false;  ///< at `begin`
};

/// Expands path, checks that each file can be read, and measures compressed and quoted ones by reading them through.
std::vector<InputFile> find_files(const std::vector<std::string>& patterns, bool quoting);

/// Cuts the files in ranges: `wanted` of them, or for 0 one per 4 MiB, at least 16 in all, at most 16384.
std::vector<FileRange> cut_files(const std::vector<InputFile>& files, int64_t wanted);

/// The offset after the line break that ends the record at `at` of `window` (which grows as needed); line breaks inside
/// quotes do not end it when `quoting`. The end of the text ends the last record.
uint64_t record_end(data::TextWindow& window, uint64_t at, bool quoting, bool inside_quotes = false);

}  // namespace throng::op
