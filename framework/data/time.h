// Times as people write them, and their calendar parts in a time zone. The door to Abseil's time library.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace throng::data {

/// A time zone by IANA name; "" and "UTC" are UTC. Cheap to copy, thread-safe.
class TimeZone {
 public:
  TimeZone();
  /// A job error with a hint when the name is unknown on this machine.
  explicit TimeZone(const std::string& name);

  bool is_utc() const;
  struct Parts {
    int year, month, day, hour, minute, second, weekday;  ///< weekday: 1 = Monday … 7 = Sunday
  };
  Parts parts(int64_t microseconds) const;
  /// Microseconds of a local civil time; days, hours … may lie outside their range and carry over.
  int64_t from_civil(int64_t year, int64_t month, int64_t day, int64_t hour = 0, int64_t minute = 0, int64_t second = 0) const;
  /// Start of the window of `width` microseconds around a time: windows of whole days begin at local midnight (7-day
  /// windows on Mondays), shorter ones at multiples of their width since local midnight; a width of more than a day that is
  /// not whole days counts from 1970-01-05 UTC.
  int64_t window_start(int64_t microseconds, int64_t width) const;
  /// RFC 3339 in this zone, with as many digits of a second as needed.
  std::string format(int64_t microseconds) const;
  std::string format_as(int64_t microseconds, const std::string& strftime_format) const;
  std::optional<int64_t> parse_as(std::string_view text, const std::string& strptime_format) const;

 private:
  struct Zone;
  std::shared_ptr<const Zone> zone_;
};

/// Reads an epoch number (seconds, milliseconds or microseconds, told apart by size), RFC 3339, "2024-05-01 12:30[:15]",
/// or a date alone ("2024-05-01", "2024/5/1"); without an offset it is local time in `zone`.
std::optional<int64_t> parse_time(std::string_view text, const TimeZone& zone);
/// The epoch rule of parse_time for a number.
std::optional<int64_t> epoch_time(double value);
std::optional<int64_t> epoch_time(int64_t value);

}  // namespace throng::data
