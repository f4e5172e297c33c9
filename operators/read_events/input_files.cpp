#include "operators/read_events/input_files.h"

#include <algorithm>
#include <cstring>

#include "framework/base/files.h"
#include "operators/read_events/record_scan.h"

namespace throng::op {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kPartitionBytes = uint64_t{4} << 20;
constexpr uint64_t kMinPartitions = 16, kMaxPartitions = 16384;

// Counts the text's bytes, and the quotes before each granule.
void read_through(InputFile& file, bool quoting) {
  data::TextWindow window(file.path, 0);
  uint64_t at = 0;
  bool odd = false;
  for (bool more = true; more;) {
    more = window.ensure(at + kGranule);
    std::string_view piece = window.from(at).substr(0, kGranule);
    if (piece.empty()) break;
    if (quoting) {
      file.quote_parity += odd ? '1' : '0';
      odd ^= count_bytes(piece, '"') & 1;
    }
    at += piece.size();
    window.discard_before(at);
  }
  file.bytes = at;
}

}  // namespace

std::vector<InputFile> find_files(const std::vector<std::string>& patterns, bool quoting) {
  std::vector<InputFile> files;
  for (const auto& pattern : patterns) {
    auto found = expand_glob(pattern);
    if (found.empty()) {
      bool wild = pattern.find_first_of("*?[") != std::string::npos;
      if (fs::is_directory(pattern)) throw data_error("{}: the folder holds no files", pattern);
      throw data_error("{}: {}", pattern, wild ? "no file matches" : "no such file")
          .with_hint("paths are relative to the job file's folder");
    }
    for (const auto& path : found) {
      InputFile file;
      file.path = path.string();
      file.compressed = data::detect_compression(path) != data::Compression::kNone;
      auto time = fs::last_write_time(path).time_since_epoch().count();
      file.identity = fmt::format("{} {} {}", path.filename().string(), fs::file_size(path), time);
      file.bytes = fs::file_size(path);
      if (file.compressed || quoting) read_through(file, quoting);
      files.push_back(std::move(file));
    }
  }
  return files;
}

std::vector<FileRange> cut_files(const std::vector<InputFile>& files, int64_t wanted) {
  uint64_t total = 0;
  for (const auto& f : files) total += f.bytes;
  uint64_t size = wanted > 0 ? (total + uint64_t(wanted) - 1) / uint64_t(wanted) : std::min(kPartitionBytes, total / kMinPartitions + 1);
  size = std::max(size, total / kMaxPartitions + 1);
  size = (size + kGranule - 1) / kGranule * kGranule;
  std::vector<FileRange> ranges;
  for (size_t f = 0; f < files.size(); ++f) {
    for (uint64_t begin = 0; begin == 0 || begin < files[f].bytes; begin += size) {
      const auto& parity = files[f].quote_parity;
      bool inside = begin / kGranule < parity.size() && parity[begin / kGranule] == '1';
      ranges.push_back({f, begin, std::min(begin + size, files[f].bytes), inside});
    }
  }
  return ranges;
}

uint64_t record_end(data::TextWindow& window, uint64_t at, bool quoting, bool inside_quotes) {
  uint64_t from = at;
  bool odd = inside_quotes;
  for (;;) {
    std::string_view text = window.from(from);
    size_t line = text.find('\n');
    std::string_view piece = text.substr(0, line);
    if (quoting) odd ^= count_bytes(piece, '"') & 1;
    from += piece.size();
    if (line != std::string_view::npos) {
      ++from;
      if (!odd) return from;
      continue;
    }
    if (window.at_end()) return from;
    window.ensure(window.end() + 1);
  }
}

}  // namespace throng::op
