// Windows of equal width that times lie in, for many times at once. Internal to framework/data.
#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "framework/base/buffer.h"

namespace throng::data {

/// Windows of `width` > 0 microseconds, one of which begins at `from`.
struct TimeWindows {
  int64_t from = 0, width = 1;

  /// The start of the window that a time lies in. What does not fit 64 bits wraps.
  int64_t start_of(int64_t time) const;
  /// The same of all; `starts` may be the times themselves.
  void starts_of(std::span<const int64_t> times, std::span<int64_t> starts) const;

  /// The windows between the first and the last that a time lies in: time r lies in the one that begins at starts[of_time[r]].
  struct Codes {
    AlignedVector<uint32_t> of_time;
    AlignedVector<int64_t> starts;
  };
  /// nullopt where there are more than `most` (below 2^32), or no times. Leaves out times that are not `valid` (one byte each; empty: all are), whose
  /// codes mean nothing.
  std::optional<Codes> codes_of(std::span<const int64_t> times, std::span<const uint8_t> valid, uint64_t most) const;
};

}  // namespace throng::data
