#include "framework/data/time.h"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <charconv>
#include <cmath>

#include "framework/base/error.h"

namespace throng::data {

struct TimeZone::Zone {
  absl::TimeZone zone;
  bool is_utc;
};

namespace {
constexpr int64_t kSecond = 1'000'000, kDay = 86'400 * kSecond;

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
}  // namespace

TimeZone::TimeZone() : zone_(std::make_shared<Zone>(Zone{absl::UTCTimeZone(), true})) {}

TimeZone::TimeZone(const std::string& name) {
  Zone zone{absl::UTCTimeZone(), name.empty() || name == "UTC"};
  if (!zone.is_utc && !absl::LoadTimeZone(name, &zone.zone))
    throw job_error("unknown time zone '{}'", name)
        .with_hint("expected an IANA name such as Asia/Shanghai or Europe/Berlin; is the package tzdata installed?");
  zone_ = std::make_shared<Zone>(zone);
}

TimeZone::Parts TimeZone::parts(int64_t us) const {
  auto info = zone_->zone.At(absl::FromUnixMicros(us));
  int weekday = int(absl::GetWeekday(info.cs)) + 1;  // absl: Monday is 0
  return {int(info.cs.year()), info.cs.month(), info.cs.day(), info.cs.hour(), info.cs.minute(), info.cs.second(), weekday};
}

int64_t TimeZone::from_civil(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t minute, int64_t second) const {
  return absl::ToUnixMicros(absl::FromCivil(absl::CivilSecond(year, month, day, hour, minute, second), zone_->zone));
}

bool TimeZone::is_utc() const { return zone_->is_utc; }

int64_t TimeZone::window_start(int64_t us, int64_t width) const {
  THRONG_CHECK(width > 0, "a window of {} us", width);
  constexpr int64_t kMonday = 4 * kDay;  // 1970-01-05
  const bool whole_days = width % kDay == 0;
  if ((zone_->is_utc && whole_days) || (width > kDay && !whole_days)) return floor_div(us - kMonday, width) * width + kMonday;
  if (zone_->is_utc) {
    int64_t midnight = floor_div(us, kDay) * kDay;
    return midnight + floor_div(us - midnight, width) * width;
  }
  auto info = zone_->zone.At(absl::FromUnixMicros(us));
  absl::CivilDay day(info.cs);
  if (whole_days) {
    int64_t days = width / kDay, since = day - absl::CivilDay(1970, 1, 5);
    return absl::ToUnixMicros(absl::FromCivil(absl::CivilSecond(day - (since - floor_div(since, days) * days)), zone_->zone));
  }
  int64_t midnight = absl::ToUnixMicros(absl::FromCivil(absl::CivilSecond(day), zone_->zone));
  return midnight + floor_div(us - midnight, width) * width;
}

std::string TimeZone::format(int64_t us) const {
  absl::Time time = absl::FromUnixMicros(us);
  bool whole = us % kSecond == 0;
  if (zone_->is_utc) return absl::FormatTime(whole ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%E*SZ", time, zone_->zone);
  return absl::FormatTime(whole ? "%Y-%m-%dT%H:%M:%S%Ez" : "%Y-%m-%dT%H:%M:%E*S%Ez", time, zone_->zone);
}

std::string TimeZone::format_as(int64_t us, const std::string& format) const {
  return absl::FormatTime(format, absl::FromUnixMicros(us), zone_->zone);
}

std::optional<int64_t> TimeZone::parse_as(std::string_view text, const std::string& format) const {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(format, absl::string_view(text.data(), text.size()), zone_->zone, &time, &error)) return {};
  return absl::ToUnixMicros(time);
}

std::optional<int64_t> epoch_time(int64_t value) {
  if (value == INT64_MIN) return {};
  int64_t size = value < 0 ? -value : value;
  if (size < 100'000'000'000) return value * kSecond;
  if (size < 100'000'000'000'000) return value * 1000;
  return value;
}

std::optional<int64_t> epoch_time(double value) {
  if (!(std::fabs(value) < 9e18)) return {};
  double size = std::fabs(value);
  double us = size < 1e11 ? value * 1e6 : size < 1e14 ? value * 1e3 : value;
  return int64_t(std::llround(us));
}

std::optional<int64_t> parse_time(std::string_view text, const TimeZone& zone) {
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end && *at == ' ') ++at;
  while (at < end && end[-1] == ' ') --end;
  if (at == end) return {};

  auto number = [&](int min_digits, int max_digits) -> int64_t {
    int64_t value = 0;
    int n = 0;
    while (at < end && n < max_digits && *at >= '0' && *at <= '9') value = value * 10 + (*at++ - '0'), ++n;
    return n >= min_digits ? value : -1;
  };
  auto skip = [&](char c) { return at < end && *at == c ? (++at, true) : false; };

  // Digits only (with sign or fraction): an epoch number.
  if (end - at < 5 || (at[4] != '-' && at[4] != '/')) {
    int64_t whole = 0;
    if (auto [p, code] = std::from_chars(at, end, whole); code == std::errc() && p == end) return epoch_time(whole);
    double value = 0;
    if (auto [p, code] = std::from_chars(at, end, value, std::chars_format::fixed); code == std::errc() && p == end)
      return epoch_time(value);
    return {};
  }

  int64_t year = number(4, 4);
  char separator = *at++;
  int64_t month = number(1, 2);
  if (year < 0 || month < 1 || month > 12 || !skip(separator)) return {};
  int64_t day = number(1, 2);
  if (day < 1 || day > 31) return {};
  if (absl::CivilDay(year, month, day).day() != day) return {};  // 31 February
  int64_t hour = 0, minute = 0, second = 0, micros = 0;
  if (at < end) {
    if (*at != 'T' && *at != 't' && *at != ' ') return {};
    ++at;
    hour = number(1, 2);
    if (hour < 0 || hour > 24 || !skip(':')) return {};
    minute = number(2, 2);
    if (minute < 0 || minute > 59) return {};
    if (skip(':')) {
      second = number(2, 2);
      if (second < 0 || second > 60) return {};
      if (skip('.') || skip(',')) {
        const char* digits = at;
        int64_t scale = 100'000;
        for (; at < end && *at >= '0' && *at <= '9'; ++at, scale /= 10) micros += (*at - '0') * scale;
        if (at == digits) return {};
      }
    }
    if (hour == 24 && (minute != 0 || second != 0 || micros != 0)) return {};
  }
  while (at < end && *at == ' ') ++at;
  if (at == end) return zone.from_civil(year, month, day, hour, minute, second) + micros;
  static const TimeZone utc;
  int64_t us = utc.from_civil(year, month, day, hour, minute, second) + micros;
  if ((*at == 'Z' || *at == 'z') && at + 1 == end) return us;
  if (*at != '+' && *at != '-') return {};
  int64_t sign = *at++ == '-' ? -1 : 1;
  int64_t offset_hours = number(2, 2);
  if (offset_hours < 0 || offset_hours > 23) return {};
  skip(':');
  int64_t offset_minutes = at < end ? number(2, 2) : 0;
  if (offset_minutes < 0 || offset_minutes > 59 || at != end) return {};
  return us - sign * (offset_hours * 60 + offset_minutes) * 60 * kSecond;
}

}  // namespace throng::data
