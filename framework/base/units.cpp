#include "framework/base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace throng {
namespace {

constexpr std::array<std::pair<std::string_view, int64_t>, 7> kDurations{{{"w", 604'800'000'000},
                                                                          {"d", 86'400'000'000},
                                                                          {"h", 3'600'000'000},
                                                                          {"m", 60'000'000},
                                                                          {"s", 1'000'000},
                                                                          {"ms", 1000},
                                                                          {"us", 1}}};
constexpr std::array<std::pair<std::string_view, uint64_t>, 10> kBytes{{{"", 1},
                                                                        {"B", 1},
                                                                        {"KiB", 1ull << 10},
                                                                        {"MiB", 1ull << 20},
                                                                        {"GiB", 1ull << 30},
                                                                        {"TiB", 1ull << 40},
                                                                        {"KB", 1000},
                                                                        {"MB", 1'000'000},
                                                                        {"GB", 1'000'000'000},
                                                                        {"TB", 1'000'000'000'000}}};

// Splits "1.5h" into number and unit; nullopt when the number is missing.
std::optional<std::pair<double, std::string_view>> split_number(std::string_view text) {
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || !(value >= 0)) return {};
  std::string_view unit = text.substr(size_t(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return std::pair(value, unit);
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  auto parts = split_number(text);
  if (!parts) return {};
  for (auto [unit, factor] : kDurations)
    if (parts->second == unit && parts->first * double(factor) < 9e18)
      return Duration{int64_t(std::llround(parts->first * double(factor)))};
  return {};
}

std::optional<Bytes> parse_bytes(std::string_view text) {
  auto parts = split_number(text);
  if (!parts) return {};
  for (auto [unit, factor] : kBytes)
    if (parts->second == unit && parts->first * double(factor) < 1.8e19)
      return Bytes{uint64_t(parts->first * double(factor))};
  return {};
}

std::string format_duration(Duration duration) {
  if (duration.microseconds == 0) return "0s";
  for (auto [unit, factor] : kDurations)
    if (duration.microseconds % factor == 0) return fmt::format("{}{}", duration.microseconds / factor, unit);
  return fmt::format("{}us", duration.microseconds);
}

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> names{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = double(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < names.size()) value /= 1024, ++unit;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, names[unit]);
}

std::string format_count(uint64_t count) {
  std::string digits = std::to_string(count), out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

std::string format_seconds(double seconds) {
  if (seconds < 120) return fmt::format("{:.2f} s", seconds);
  auto whole = int64_t(seconds);
  if (whole < 7200) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

}  // namespace throng
