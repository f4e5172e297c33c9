// Human forms of bytes, durations and counts, both ways.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace throng {

/// A span of time in microseconds; written as 500ms, 30s, 30m, 1h, 7d, 2w.
struct Duration {
  int64_t microseconds = 0;
  bool operator==(const Duration&) const = default;
};
/// A number of bytes; written as 4096, 64KiB, 4GiB, 10MB.
struct Bytes {
  uint64_t count = 0;
  bool operator==(const Bytes&) const = default;
};

std::optional<Duration> parse_duration(std::string_view text);
std::optional<Bytes> parse_bytes(std::string_view text);
std::string format_duration(Duration duration);  ///< shortest exact form, "1h", "90m"
inline std::string format_duration_of(double seconds) { return format_duration(Duration{int64_t(seconds * 1e6)}); }
std::string format_bytes(uint64_t bytes);        ///< "3.2 MiB"
std::string format_count(uint64_t count);        ///< "1,234,567"
std::string format_seconds(double seconds);      ///< "0.42 s", "3 min 12 s"

}  // namespace throng
