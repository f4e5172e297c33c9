#include "framework/data/time_windows.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "framework/data/code_kernels.h"

namespace throng::data {
namespace {

using kernels::Range;
__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UnsignedWide;

constexpr size_t kBlock = 2048;

// Division by a constant as a multiplication, exact for numbers below 2^63 (Granlund and Montgomery, 1994).
class Divider {
 public:
  explicit Divider(uint64_t by) : shift_(by == 1 ? 0 : int(std::bit_width(by - 1)) - 1), one_(by == 1) {
    if (!one_) factor_ = uint64_t(((UnsignedWide{1} << (64 + shift_)) + by - 1) / by);
  }
  uint64_t operator()(uint64_t n) const { return one_ ? n : uint64_t(UnsignedWide{n} * factor_ >> 64) >> shift_; }

 private:
  int shift_;
  bool one_;
  uint64_t factor_ = 0;
};

// Times since the start of the first window, in blocks: those of one window, as in logs, are found by their bounds.
class Blocks {
 public:
  Blocks(const TimeWindows& windows, std::span<const int64_t> times) : times_(times), divide_(uint64_t(windows.width)) {
    Range<int64_t> all{times[0], times[0]};
    for (size_t at = 0; at < times.size(); at += kBlock) {
      const auto range = ranges_.emplace_back(kernels::range_of(times.subspan(at, std::min(kBlock, times.size() - at))));
      all = {std::min(all.least, range.least), std::max(all.greatest, range.greatest)};
    }
    first_ = windows.start_of(all.least);
    fit_ = Wide{all.greatest} - all.least + windows.width < (Wide{1} << 63);
    last_ = fit_ ? window(all.greatest) : 0;
  }
  bool fit() const { return fit_; }  ///< nothing below holds otherwise
  int64_t first_start() const { return first_; }
  uint64_t last() const { return last_; }
  /// Calls put(r, window) for each time, and fill(first, end, window) for times of one window.
  template <class Put, class Fill>
  void visit(const Put& put, const Fill& fill) const {
    for (size_t b = 0, at = 0; b < ranges_.size(); ++b, at += kBlock) {
      const size_t end = std::min(at + kBlock, times_.size());
      const uint64_t lowest = window(ranges_[b].least);
      if (lowest == window(ranges_[b].greatest)) {
        fill(at, end, lowest);
        continue;
      }
      const Divider divide = divide_;
      const int64_t* times = times_.data();
      const uint64_t first = uint64_t(first_);
      for (size_t r = at; r < end; ++r) put(r, divide(uint64_t(times[r]) - first));
    }
  }

 private:
  uint64_t window(int64_t time) const { return divide_(uint64_t(time) - uint64_t(first_)); }
  std::span<const int64_t> times_;
  Divider divide_;
  std::vector<Range<int64_t>> ranges_;
  int64_t first_ = 0;
  uint64_t last_ = 0;
  bool fit_ = false;
};

}  // namespace

int64_t TimeWindows::start_of(int64_t time) const {
  const Wide rest = (Wide{time} - from) % width;
  return int64_t(uint64_t(time) - uint64_t(rest < 0 ? rest + width : rest));
}

void TimeWindows::starts_of(std::span<const int64_t> times, std::span<int64_t> starts) const {
  if (times.empty()) return;
  const Blocks blocks(*this, times);
  if (!blocks.fit()) {
    for (size_t r = 0; r < times.size(); ++r) starts[r] = start_of(times[r]);
    return;
  }
  auto start = [first = uint64_t(blocks.first_start()), by = uint64_t(width)](uint64_t window) { return int64_t(first + window * by); };
  int64_t* to = starts.data();
  blocks.visit([&](size_t r, uint64_t window) { to[r] = start(window); },
               [&](size_t first, size_t end, uint64_t window) { std::fill(to + first, to + end, start(window)); });
}

std::optional<TimeWindows::Codes> TimeWindows::codes_of(std::span<const int64_t> times, std::span<const uint8_t> valid, uint64_t most) const {
  AlignedVector<int64_t> filled;  // invalid times stand for a valid one, so that they do not widen the range
  if (!valid.empty()) {
    const auto one = std::find_if(valid.begin(), valid.end(), [](uint8_t v) { return v != 0; });
    if (one == valid.end()) return {};
    const int64_t time = times[size_t(one - valid.begin())];
    filled.resize(times.size());
    for (size_t r = 0; r < times.size(); ++r) filled[r] = valid[r] ? times[r] : time;
    times = filled;
  }
  if (times.empty()) return {};
  const Blocks blocks(*this, times);
  if (!blocks.fit() || blocks.last() >= most) return {};
  Codes codes;
  codes.of_time.resize(times.size());
  uint32_t* to = codes.of_time.data();
  blocks.visit([&](size_t r, uint64_t window) { to[r] = uint32_t(window); },
               [&](size_t first, size_t end, uint64_t window) { std::fill(to + first, to + end, uint32_t(window)); });
  codes.starts.resize(size_t(blocks.last()) + 1);
  for (size_t w = 0; w < codes.starts.size(); ++w) codes.starts[w] = int64_t(uint64_t(blocks.first_start()) + w * uint64_t(width));
  return codes;
}

}  // namespace throng::data
