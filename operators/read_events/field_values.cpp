#include "operators/read_events/field_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "framework/text/unicode.h"

namespace throng::op {

using data::Type;

namespace {

std::string_view trimmed(std::string_view t) {
  while (!t.empty() && (t.front() == ' ' || t.front() == '\t')) t.remove_prefix(1);
  while (!t.empty() && (t.back() == ' ' || t.back() == '\t')) t.remove_suffix(1);
  return t;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// `n` digits at `at`; negative where one is none.
int digits(const char* at, int n) {
  int value = 0;
  for (int i = 0; i < n; ++i) {
    if (!is_digit(at[i])) return -1;
    value = value * 10 + (at[i] - '0');
  }
  return value;
}

// 2024-05-01 and what may follow of T12:30:15.250Z, in UTC; `zoned` tells whether it ended with Z.
bool read_date(std::string_view text, int64_t& us, bool& zoned) {
  const char* at = text.data();
  if (text.size() < 10 || at[4] != '-' || at[7] != '-') return false;
  const int year = digits(at, 4), month = digits(at + 5, 2), day = digits(at + 8, 2);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(unsigned(month)), std::chrono::day(unsigned(day))};
  if (year < 0 || month < 0 || day < 0 || !date.ok()) return false;
  us = std::chrono::sys_days(date).time_since_epoch().count() * int64_t{86'400'000'000};
  zoned = false;
  if (text.size() == 10) return true;
  if (text.size() < 19 || (at[10] != 'T' && at[10] != ' ') || at[13] != ':' || at[16] != ':') return false;
  const int hour = digits(at + 11, 2), minute = digits(at + 14, 2), second = digits(at + 17, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return false;
  us += ((hour * 60 + minute) * int64_t{60} + second) * 1'000'000;
  size_t i = 19;
  if (i < text.size() && text[i] == '.') {
    const size_t first = ++i;
    for (int64_t scale = 100'000; i < text.size() && is_digit(text[i]); ++i, scale /= 10) us += (text[i] - '0') * scale;
    if (i == first) return false;
  }
  zoned = i < text.size() && text[i] == 'Z';
  return i + zoned == text.size();
}

}  // namespace

std::optional<int64_t> parse_whole(std::string_view text) {
  int64_t value = 0;
  auto [p, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || p != text.data() + text.size()) return {};
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  auto [p, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || p != text.data() + text.size()) return {};
  return value;
}

std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return {};
}

std::string shown(std::string_view text) {
  return text.size() <= 60 ? std::string(text) : std::string(text::substring(text::repair_utf8(text), 0, 50)) + "...";
}

FieldValues::FieldValues(const ReadEvents& params)
    : params_(params), auto_unit_(params.time_unit == "auto"), unit_(params.time_unit == "s" ? 1'000'000 : params.time_unit == "ms" ? 1000 : 1), zone_(params.time_zone) {
  for (const auto& null : params.null_values) longest_null_ = std::max(longest_null_, null.size());
}

bool FieldValues::is_named_null(std::string_view text) const { return std::find(params_.null_values.begin(), params_.null_values.end(), text) != params_.null_values.end(); }

std::optional<int64_t> FieldValues::scaled(int64_t epoch) const {
  if (auto_unit_) return data::epoch_time(epoch);
  int64_t us = 0;
  if (__builtin_mul_overflow(epoch, unit_, &us)) return {};
  return us;
}

std::optional<int64_t> FieldValues::read_time(std::string_view text) const {
  if (!params_.time_format.empty()) return zone_.parse_as(text, params_.time_format);
  if (!auto_unit_) {
    if (auto whole = parse_whole(text)) return scaled(*whole);
    if (auto number = parse_number(text)) {
      if (std::fabs(*number) * double(unit_) < 9e18) return int64_t(std::llround(*number * double(unit_)));
      return {};
    }
  }
  return data::parse_time(text, zone_);
}

std::string FieldValues::read(const data::Field& field, std::string_view text, Cell& cell) const {
  const std::string_view bare = trimmed(text);
  switch (field.type) {
    case Type::kString: return cell.text = text, "";
    case Type::kTimestamp: {
      if (auto us = read_time(bare)) return cell.whole = *us, "";
      const std::string expected = params_.time_format.empty() ? "an epoch number, RFC 3339 or a date" : params_.time_format;
      return fmt::format("'{}' is not a time: \"{}\"; expected {}", field.name, shown(text), expected);
    }
    case Type::kBool:
      if (auto v = parse_bool(bare)) return cell.whole = *v, "";
      return fmt::format("'{}' is not true or false: \"{}\"", field.name, shown(text));
    case Type::kInt32:
    case Type::kInt64:
      if (auto v = parse_whole(bare); v && (field.type == Type::kInt64 || (*v >= INT32_MIN && *v <= INT32_MAX))) return cell.whole = *v, "";
      return fmt::format("'{}' is not a whole number: \"{}\"", field.name, shown(text));
    case Type::kFloat32:
    case Type::kFloat64:
      if (auto v = parse_number(bare)) return cell.number = *v, "";
      return fmt::format("'{}' is not a number: \"{}\"", field.name, shown(text));
    default:
      cell.list.clear();
      for (size_t at = 0; at <= text.size();) {  // words of a CSV field, separated by spaces
        const size_t end = std::min(text.find(' ', at), text.size());
        if (end > at) cell.list.emplace_back(text.substr(at, end - at));
        at = end + 1;
      }
      return "";
  }
}

// Digits that a double holds exactly, divided by a power of ten that it holds exactly, are rounded once (Clinger 1990).
bool FieldValues::read_plain(std::string_view text, double& value) const {
  static constexpr double kPowers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const bool minus = !text.empty() && text[0] == '-';
  if (minus) text.remove_prefix(1);
  if (text.empty() || text.size() > 16 || !is_digit(text[0])) return false;
  int64_t sum = 0;
  size_t point = text.size();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '.' && point == text.size()) point = i;
    else if (is_digit(text[i])) sum = sum * 10 + (text[i] - '0');
    else return false;
  }
  const size_t fraction = text.size() - point - (point < text.size());
  if (text.size() - (point < text.size()) > 15) return false;
  const double size = double(sum) / kPowers[fraction];
  value = minus ? -size : size;
  return true;
}

bool FieldValues::read_plain(std::string_view text, float& value) const {
  double wide = 0;
  if (!read_plain(text, wide)) return false;
  value = float(wide);
  return true;
}

bool FieldValues::read_plain_time(std::string_view text, int64_t& microseconds) const {
  if (!params_.time_format.empty()) return false;
  int64_t epoch = 0;
  if (read_plain(text, epoch)) {
    // "2024" alone, or 20240501, is an epoch number by parse_time's rule too.
    const auto us = scaled(epoch);
    if (us) microseconds = *us;
    return us.has_value();
  }
  bool zoned = false;
  return read_date(text, microseconds, zoned) && (zoned || zone_.is_utc());
}

}  // namespace throng::op
