// Expression functions on times. Those that look at a calendar do so in the column's time zone, or in one that is named.
#include <map>

#include "framework/base/suggest.h"
#include "framework/data/expression_helpers.h"
#include "framework/data/expression_rows.h"
#include "framework/data/time_windows.h"

namespace throng::data::expression {
namespace {

// The zone named by argument `at`, or the column's.
const TimeZone& zone_of(const Args& a, size_t at, size_t row, const TimeZone& own) {
  if (a.size() <= at) return own;
  thread_local std::map<std::string, TimeZone, std::less<>> known;
  auto name = a[at]->text(row);
  auto it = known.find(name);
  if (it == known.end()) it = known.emplace(std::string(name), TimeZone(std::string(name))).first;
  return it->second;
}

auto zone_fault(size_t at) {
  return [at](const Args& a) -> std::optional<std::string> {
    if (a.size() <= at || !a[at]) return {};
    try {
      TimeZone(std::string(a[at]->text(0)));
    } catch (const Error& e) {
      return e.message();
    }
    return {};
  };
}

auto time_part(int TimeZone::Parts::*part) {
  return [part](const Args& a, size_t r, const TimeZone& zone, Row& out) {
    out.i = zone_of(a, 1, r, zone).parts(a[0]->whole(r)).*part;
    return true;
  };
}

const std::vector<std::string> kUnits{"second", "minute", "hour", "day", "week", "month", "quarter", "year"};

std::optional<std::string> unit_fault(const Args& a) {
  if (!a[0]) return {};
  const std::string unit(a[0]->text(0));
  if (std::find(kUnits.begin(), kUnits.end(), unit) != kUnits.end()) return {};
  std::string hint = suggest(unit, kUnits);
  return fmt::format("unknown unit '{}'; expected second, minute, hour, day, week, month, quarter or year", unit) + (hint.empty() ? "" : "; " + hint);
}
[[noreturn]] void unknown_unit(std::string_view unit) { throw data_error("unknown unit '{}'; expected second, minute, hour, day, week, month, quarter or year", unit); }

// Months of a unit, or 0; microseconds of a unit, or 0.
int64_t months_of(std::string_view unit) { return unit == "month" ? 1 : unit == "quarter" ? 3 : unit == "year" ? 12 : 0; }
int64_t clock_of(std::string_view unit) { return unit == "second" ? 1'000'000 : unit == "minute" ? 60'000'000 : unit == "hour" ? 3'600'000'000 : 0; }
int64_t days_of(std::string_view unit) { return unit == "day" ? 1 : unit == "week" ? 7 : 0; }

int64_t truncated(std::string_view unit, int64_t us, const TimeZone& zone) {
  constexpr int64_t hour = 3'600'000'000;
  if (int64_t width = clock_of(unit)) return zone.window_start(us, width);
  if (int64_t days = days_of(unit)) return zone.window_start(us, days * 24 * hour);
  const auto p = zone.parts(us);
  if (unit == "month") return zone.from_civil(p.year, p.month, 1);
  if (unit == "quarter") return zone.from_civil(p.year, (p.month - 1) / 3 * 3 + 1, 1);
  if (unit == "year") return zone.from_civil(p.year, 1, 1);
  unknown_unit(unit);
}

// What date_trunc cuts by, where it is a constant unit of one length, in UTC.
std::optional<TimeWindows> windows_of(const Args& a, const TimeZone& zone) {
  if (!a[0]->constant || a[0]->valid.size() == 1 || a.size() > 2 || a[1]->constant || !zone.is_utc()) return {};
  const auto unit = a[0]->text(0);
  constexpr int64_t kDay = 86'400'000'000, kMonday = 4 * kDay;
  const int64_t width = clock_of(unit) ? clock_of(unit) : days_of(unit) * kDay;
  if (width == 0) return {};
  return TimeWindows{unit == "week" ? kMonday : 0, width};
}

// Days since 1970 of a civil date (Howard Hinnant's days_from_civil).
int64_t civil_day(int64_t y, int64_t m, int64_t d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400, doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int64_t days_in_month(int64_t year, int64_t month) { return month == 2 ? 28 + (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)) : 30 + (month + month / 8) % 2; }

}  // namespace

void add_time_functions(std::vector<ExpressionFunction>& f) {
  const Adder add{f};
  const std::pair<const char*, std::pair<const char*, int TimeZone::Parts::*>> parts[] = {{"year", {"calendar year", &TimeZone::Parts::year}},
                                                                                         {"month", {"1 to 12", &TimeZone::Parts::month}},
                                                                                         {"day", {"day of the month", &TimeZone::Parts::day}},
                                                                                         {"hour", {"0 to 23", &TimeZone::Parts::hour}},
                                                                                         {"minute", {"0 to 59", &TimeZone::Parts::minute}},
                                                                                         {"second", {"0 to 59", &TimeZone::Parts::second}},
                                                                                         {"weekday", {"1 Monday to 7 Sunday", &TimeZone::Parts::weekday}}};
  for (const auto& [name, about] : parts) {
    add(name, std::string(name) + "(ts [, zone])", std::string(about.first) + (std::string(name) == "year" ? ", in the column's time zone or the one named" : ""), takes("ts", I, 1), time_part(about.second));
    f.back().check = zone_fault(1);
  }
  add("day_of_year", "day_of_year(ts [, zone])", "1 to 366", takes("ts", I, 1), [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
    const auto p = zone_of(a, 1, r, zone).parts(a[0]->whole(r));
    return out.i = civil_day(p.year, p.month, p.day) - civil_day(p.year, 1, 1) + 1, true;
  });
  f.back().check = zone_fault(1);
  add("epoch", "epoch(ts)", "seconds since 1970 UTC", takes("t", F), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.f = double(a[0]->whole(r)) / 1e6, true;
  });
  f.back().batch = [](const Args& a, size_t n, const TimeZone&, ExpressionValues& out) {
    out.f.resize(n);
    with_whole(*a[0], [&, to = out.f.span()](auto value_of) {
      for (size_t r = 0; r < n; ++r) to[r] = double(value_of(r)) / 1e6;
    });
    return true;
  };
  add("date_trunc", "date_trunc(unit, ts [, zone])", "start of the 'second', 'minute', 'hour', 'day', 'week', 'month', 'quarter' or 'year'", takes("sts", T, 1),
      [](const Args& a, size_t r, const TimeZone& zone, Row& out) { return out.i = truncated(a[0]->text(r), a[1]->whole(r), zone_of(a, 2, r, zone)), true; });
  f.back().check = [zones = zone_fault(2)](const Args& a) { return unit_fault(a) ? unit_fault(a) : zones(a); };
  f.back().batch = [](const Args& a, size_t n, const TimeZone& zone, ExpressionValues& out) {
    const auto windows = windows_of(a, zone);
    if (!windows) return false;
    out.i.resize(n);
    windows->starts_of(a[1]->i.span(), out.i.span());
    return true;
  };
  f.back().codes = [](const Args& a, size_t n, const TimeZone& zone, ExpressionCodes& out) {
    const auto windows = windows_of(a, zone);
    auto codes = windows ? windows->codes_of(a[1]->i.span(), a[1]->valid, n) : std::nullopt;
    if (!codes) return false;
    out.of_row = std::move(codes->of_time), out.values = std::move(codes->starts);
    return true;
  };
  add("date_diff", "date_diff(unit, from, to [, zone])", "how many starts of a unit lie between two times, as SQL counts them", takes("stts", I, 1),
      [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
        const TimeZone& in = zone_of(a, 3, r, zone);
        const auto unit = a[0]->text(r);
        const auto x = in.parts(a[1]->whole(r)), y = in.parts(a[2]->whole(r));
        if (int64_t months = months_of(unit)) {
          auto count = [&](const TimeZone::Parts& p) { return (int64_t{p.year} * 12 + p.month - 1) / months; };
          return out.i = count(y) - count(x), true;
        }
        if (int64_t days = days_of(unit)) {  // weeks begin on Mondays: day 0 was a Thursday
          auto count = [&](const TimeZone::Parts& p) { return (civil_day(p.year, p.month, p.day) + (days == 7 ? 3 + 7'000'000 : 0)) / days; };
          return out.i = days == 1 ? civil_day(y.year, y.month, y.day) - civil_day(x.year, x.month, x.day) : count(y) - count(x), true;
        }
        if (!clock_of(unit)) unknown_unit(unit);
        return out.i = (truncated(unit, a[2]->whole(r), in) - truncated(unit, a[1]->whole(r), in)) / clock_of(unit), true;
      });
  f.back().check = [zones = zone_fault(3)](const Args& a) { return unit_fault(a) ? unit_fault(a) : zones(a); };
  add("date_add", "date_add(unit, count, ts [, zone])", "so many units later by the calendar; a day that a month lacks becomes its last", takes("snts", T, 1),
      [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
        const TimeZone& in = zone_of(a, 3, r, zone);
        const auto unit = a[0]->text(r);
        const int64_t n = clamped(a[1]->number(r)), us = a[2]->whole(r);
        if (std::abs(n) > 10'000'000'000) throw data_error("date_add of {} {}s is out of range", n, unit);
        if (int64_t width = clock_of(unit)) {
          if (__builtin_mul_overflow(n, width, &out.i) || __builtin_add_overflow(us, out.i, &out.i)) throw data_error("date_add of {} {}s is out of range", n, unit);
          return true;
        }
        const auto p = in.parts(us);
        const int64_t below = ((us % 1'000'000) + 1'000'000) % 1'000'000;
        if (int64_t days = days_of(unit)) return out.i = in.from_civil(p.year, p.month, p.day + n * days, p.hour, p.minute, p.second) + below, true;
        const int64_t months = months_of(unit);
        if (!months) unknown_unit(unit);
        if (std::abs(n) > 1'000'000) throw data_error("date_add of {} {}s is out of range", n, unit);
        const int64_t month = int64_t{p.year} * 12 + p.month - 1 + n * months, year = month >= 0 ? month / 12 : (month - 11) / 12;
        return out.i = in.from_civil(year, month - year * 12 + 1, std::min<int64_t>(p.day, days_in_month(year, month - year * 12 + 1)), p.hour, p.minute, p.second) + below, true;
      });
  f.back().check = [zones = zone_fault(3)](const Args& a) { return unit_fault(a) ? unit_fault(a) : zones(a); };
  add("format_time", "format_time(ts, '%Y-%m-%d' [, zone])", "text by a strftime format", takes("tss", S, 1), [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
    return out.s = zone_of(a, 2, r, zone).format_as(a[0]->whole(r), std::string(a[1]->text(r))), true;
  });
  f.back().check = zone_fault(2);
  add("parse_time", "parse_time(text, '%d.%m.%Y' [, zone])", "the time a text names by a strptime format; null where it does not fit", takes("sss", T, 1),
      [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
        auto us = zone_of(a, 2, r, zone).parse_as(a[0]->text(r), std::string(a[1]->text(r)));
        if (us) out.i = *us;
        return us.has_value();
      });
  f.back().check = zone_fault(2);
}

}  // namespace throng::data::expression
