#include "framework/data/expression_functions.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "framework/text/unicode.h"

namespace throng::data {
namespace {

using Args = std::vector<const ExpressionValues*>;
using Row = ExpressionFunction::Row;
using Types = std::vector<Type>;

bool text_like(Type t) { return t == Type::kString; }

// A signature as a string of argument classes: n number, s string, t timestamp, b bool, l list or string, * anything but a list.
auto takes(std::string classes, Type result, size_t optional = 0) {
  return [=](const Types& types) -> std::optional<Type> {
    if (types.size() > classes.size() || types.size() + optional < classes.size()) return {};
    for (size_t k = 0; k < types.size(); ++k) {
      char c = classes[k];
      bool fits = (c == '*' && !is_list(types[k])) || (c == 'n' && is_number(types[k])) || (c == 's' && text_like(types[k])) ||
                  (c == 't' && types[k] == Type::kTimestamp) || (c == 'b' && types[k] == Type::kBool) ||
                  (c == 'l' && (is_list(types[k]) || text_like(types[k])));
      if (!fits) return {};
    }
    return result;
  };
}

// The common type of values that may stand for each other.
std::optional<Type> common_type(const Types& types) {
  if (types.empty() || is_list(types[0])) return {};
  Type t = types[0];
  for (Type other : types) {
    if (other == t) continue;
    if (is_number(t) && is_number(other))
      t = is_float(t) || is_float(other) ? Type::kFloat64 : Type::kInt64;
    else
      return {};
  }
  return is_integer(t) ? Type::kInt64 : is_float(t) ? Type::kFloat64 : t;
}

void copy_value(const ExpressionValues& from, size_t row, Row& out) {
  if (from.type == Type::kString)
    out.s = from.text(row);
  else if (is_float(from.type))
    out.f = from.number(row), out.i = 0;
  else
    out.i = from.whole(row), out.f = double(out.i);
}

// A position or count in a text.
int64_t clamped(double v) { return std::isnan(v) ? 0 : int64_t(std::clamp(v, -1e15, 1e15)); }

auto float_function(double (*function)(double)) {
  return [function](const Args& a, size_t r, const TimeZone&, Row& out) {
    out.f = function(a[0]->number(r));
    return std::isfinite(out.f);
  };
}

auto time_part(int TimeZone::Parts::*part) {
  return [part](const Args& a, size_t r, const TimeZone& zone, Row& out) {
    out.i = zone.parts(a[0]->whole(r)).*part;
    return true;
  };
}

std::vector<ExpressionFunction> make_functions() {
  std::vector<ExpressionFunction> f;
  auto add = [&](std::string name, std::string signature, std::string meaning, auto result, auto compute, bool nulls = false) {
    f.push_back({name, signature, meaning, result, compute, nulls});
  };
  const auto F = Type::kFloat64, I = Type::kInt64, S = Type::kString, B = Type::kBool, T = Type::kTimestamp;

  add("abs", "abs(number)", "absolute value",
      [](const Types& t) { return t.size() == 1 && is_number(t[0]) ? common_type(t) : std::nullopt; },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        if (is_float(a[0]->type)) return out.f = std::fabs(a[0]->number(r)), true;
        if (a[0]->whole(r) == INT64_MIN) throw data_error("abs({}) does not fit 64 bits", INT64_MIN);
        return out.i = std::abs(a[0]->whole(r)), true;
      });
  add("floor", "floor(number)", "largest whole number not above", takes("n", F), float_function(std::floor));
  add("ceil", "ceil(number)", "smallest whole number not below", takes("n", F), float_function(std::ceil));
  add("round", "round(number)", "nearest whole number, halves away from zero", takes("n", F), float_function(std::round));
  add("sqrt", "sqrt(number)", "square root; null below 0", takes("n", F), float_function(std::sqrt));
  add("log", "log(number)", "natural logarithm; null at and below 0", takes("n", F), float_function(std::log));
  add("exp", "exp(number)", "e to the power; null when too large", takes("n", F), float_function(std::exp));
  add("pow", "pow(base, exponent)", "power", takes("nn", F), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    out.f = std::pow(a[0]->number(r), a[1]->number(r));
    return std::isfinite(out.f);
  });
  for (bool greatest : {false, true})
    add(greatest ? "greatest" : "least", greatest ? "greatest(a, b, ..)" : "least(a, b, ..)",
        greatest ? "largest argument that is not null" : "smallest argument that is not null", common_type,
        [greatest](const Args& a, size_t r, const TimeZone&, Row& out) {
          const ExpressionValues* best = nullptr;
          for (const auto* v : a) {
            if (!v->ok(r)) continue;
            auto order = [&](auto x, auto y) { return greatest ? y < x : x < y; };
            bool better = !best                                              ? true
                          : v->type == Type::kString                         ? order(v->text(r), best->text(r))
                          : is_float(v->type) || is_float(best->type) ? order(v->number(r), best->number(r))
                                                                      : order(v->whole(r), best->whole(r));
            if (better) best = v;
          }
          if (best) copy_value(*best, r, out);
          if (best && !is_float(best->type)) out.f = best->type == Type::kString ? 0 : best->number(r);
          return best != nullptr;
        }, true);
  add("coalesce", "coalesce(a, b, ..)", "first argument that is not null", common_type,
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        for (const auto* v : a)
          if (v->ok(r)) return copy_value(*v, r, out), out.f = v->type == Type::kString ? 0 : v->number(r), true;
        return false;
      }, true);
  add("if", "if(condition, then, else)", "`then` where the condition is true, else `else`",
      [](const Types& t) -> std::optional<Type> {
        if (t.size() != 3 || t[0] != Type::kBool) return {};
        return common_type({t[1], t[2]});
      },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        const auto* v = a[0]->ok(r) && a[0]->whole(r) ? a[1] : a[2];
        if (!v->ok(r)) return false;
        copy_value(*v, r, out);
        if (v->type != Type::kString) out.f = v->number(r);
        return true;
      }, true);

  add("lower", "lower(text)", "lower case (Unicode)", takes("s", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.s = text::to_lower(a[0]->text(r)), true;
  });
  add("upper", "upper(text)", "upper case (Unicode)", takes("s", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.s = text::to_upper(a[0]->text(r)), true;
  });
  add("trim", "trim(text)", "without white space at both ends", takes("s", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    auto t = a[0]->text(r);
    size_t b = t.find_first_not_of(" \t\r\n"), e = t.find_last_not_of(" \t\r\n");
    return out.s = b == t.npos ? "" : std::string(t.substr(b, e - b + 1)), true;
  });
  add("length", "length(text or list)", "number of characters, or of elements", takes("l", I),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        out.i = is_list(a[0]->type) ? a[0]->s->list_size(int64_t(a[0]->at(r))) : text::length(a[0]->text(r));
        return true;
      });
  add("substr", "substr(text, first [, count])", "characters from position `first` (1 is the first)", takes("snn", S, 1),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        int64_t count = a.size() > 2 ? clamped(a[2]->number(r)) : INT32_MAX;
        return out.s = text::substring(a[0]->text(r), clamped(a[1]->number(r)) - 1, count), true;
      });
  add("contains", "contains(text, part)", "true where `part` occurs", takes("ss", B), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.i = a[0]->text(r).find(a[1]->text(r)) != std::string_view::npos, true;
  });
  add("starts_with", "starts_with(text, part)", "true where the text begins so", takes("ss", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.i = a[0]->text(r).starts_with(a[1]->text(r)), true; });
  add("ends_with", "ends_with(text, part)", "true where the text ends so", takes("ss", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.i = a[0]->text(r).ends_with(a[1]->text(r)), true; });
  add("replace", "replace(text, old, new)", "with every `old` replaced", takes("sss", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    auto t = a[0]->text(r), old = a[1]->text(r), fresh = a[2]->text(r);
    out.s.clear();
    size_t at = 0;
    for (size_t hit; !old.empty() && (hit = t.find(old, at)) != t.npos; at = hit + old.size())
      out.s.append(t.substr(at, hit - at)).append(fresh);
    return out.s.append(t.substr(at)), true;
  });
  add("split_part", "split_part(text, separator, n)", "the n-th part (1 is the first), \"\" where there is none", takes("ssn", S),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        auto t = a[0]->text(r), sep = a[1]->text(r);
        int64_t n = clamped(a[2]->number(r));
        size_t at = 0;
        for (int64_t k = 1; !sep.empty(); ++k) {
          size_t hit = t.find(sep, at);
          if (k == n) return out.s = t.substr(at, hit == t.npos ? t.npos : hit - at), true;
          if (hit == t.npos) break;
          at = hit + sep.size();
        }
        return out.s = sep.empty() && n == 1 ? std::string(t) : "", true;
      });
  add("concat", "concat(a, b, ..)", "texts one after the other",
      [](const Types& t) -> std::optional<Type> {
        for (Type x : t)
          if (x != Type::kString) return {};
        return t.empty() ? std::nullopt : std::optional(Type::kString);
      },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        out.s.clear();
        for (const auto* v : a) out.s += v->text(r);
        return true;
      });

  add("year", "year(ts)", "calendar year in the column's time zone", takes("t", I), time_part(&TimeZone::Parts::year));
  add("month", "month(ts)", "1 to 12", takes("t", I), time_part(&TimeZone::Parts::month));
  add("day", "day(ts)", "day of the month", takes("t", I), time_part(&TimeZone::Parts::day));
  add("hour", "hour(ts)", "0 to 23", takes("t", I), time_part(&TimeZone::Parts::hour));
  add("minute", "minute(ts)", "0 to 59", takes("t", I), time_part(&TimeZone::Parts::minute));
  add("weekday", "weekday(ts)", "1 Monday to 7 Sunday", takes("t", I), time_part(&TimeZone::Parts::weekday));
  add("epoch", "epoch(ts)", "seconds since 1970 UTC", takes("t", F), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.f = double(a[0]->whole(r)) / 1e6, true;
  });
  add("date_trunc", "date_trunc(unit, ts)", "start of the 'hour', 'day', 'week', 'month' or 'year'", takes("st", T),
      [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
        auto unit = a[0]->text(r);
        int64_t us = a[1]->whole(r);
        constexpr int64_t hour = 3'600'000'000;
        if (unit == "hour") return out.i = zone.window_start(us, hour), true;
        if (unit == "day") return out.i = zone.window_start(us, 24 * hour), true;
        if (unit == "week") return out.i = zone.window_start(us, 7 * 24 * hour), true;
        auto p = zone.parts(us);
        if (unit == "month") return out.i = zone.from_civil(p.year, p.month, 1), true;
        if (unit == "year") return out.i = zone.from_civil(p.year, 1, 1), true;
        throw data_error("date_trunc: unknown unit '{}'; expected hour, day, week, month or year", unit);
      });
  f.back().check = [](const Args& a) -> std::optional<std::string> {
    if (!a[0]) return {};
    auto unit = a[0]->text(0);
    for (const char* known : {"hour", "day", "week", "month", "year"})
      if (unit == known) return {};
    return fmt::format("unknown unit '{}'; expected hour, day, week, month or year", unit);
  };
  add("format_time", "format_time(ts, '%Y-%m-%d')", "text by a strftime format", takes("ts", S),
      [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
        return out.s = zone.format_as(a[0]->whole(r), std::string(a[1]->text(r))), true;
      });

  add("int", "int(x)", "as a whole number; fractions are cut, text that is none gives null", takes("*", I),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        if (a[0]->type == Type::kString) {
          auto t = a[0]->text(r);
          auto [p, code] = std::from_chars(t.data(), t.data() + t.size(), out.i);
          return code == std::errc() && p == t.data() + t.size();
        }
        if (!is_float(a[0]->type)) return out.i = a[0]->whole(r), true;
        double v = a[0]->number(r);
        if (!(std::fabs(v) < 9.2e18)) return false;
        return out.i = int64_t(v), true;
      });
  add("float", "float(x)", "as a number; text that is none gives null", takes("*", F), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    if (a[0]->type != Type::kString) return out.f = a[0]->number(r), true;
    auto t = a[0]->text(r);
    auto [p, code] = std::from_chars(t.data(), t.data() + t.size(), out.f);
    return code == std::errc() && p == t.data() + t.size();
  });
  add("string", "string(x)", "as text", takes("*", S), [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
    if (a[0]->type == Type::kString) return out.s = a[0]->text(r), true;
    if (a[0]->type == Type::kTimestamp) return out.s = zone.format(a[0]->whole(r)), true;
    if (a[0]->type == Type::kBool) return out.s = a[0]->whole(r) ? "true" : "false", true;
    return out.s = is_float(a[0]->type) ? fmt::format("{}", a[0]->number(r)) : std::to_string(a[0]->whole(r)), true;
  });
  add("timestamp", "timestamp(x)", "text or epoch number as a time; null where it is none", takes("*", T),
      [](const Args& a, size_t r, const TimeZone& zone, Row& out) {
        std::optional<int64_t> us;
        if (a[0]->type == Type::kString)
          us = parse_time(a[0]->text(r), zone);
        else if (a[0]->type == Type::kTimestamp)
          us = a[0]->whole(r);
        else if (is_number(a[0]->type))
          us = is_float(a[0]->type) ? epoch_time(a[0]->number(r)) : epoch_time(a[0]->whole(r));
        if (us) out.i = *us;
        return us.has_value();
      });
  return f;
}

}  // namespace

const std::vector<ExpressionFunction>& expression_functions() {
  static const auto all = make_functions();
  return all;
}

const ExpressionFunction* find_expression_function(const std::string& name) {
  for (const auto& f : expression_functions())
    if (f.name == name) return &f;
  return nullptr;
}

}  // namespace throng::data
