#include "framework/data/expression_functions.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "framework/data/expression_helpers.h"
#include "framework/data/expression_rows.h"

namespace throng::data {
namespace expression {
namespace {
// Adds a function of one number; null where its value is none.
void add_float_function(const Adder& add, const char* name, const char* meaning, double (*function)(double)) {
  add(name, fmt::format("{}(number)", name), meaning, takes("n", F), [function](const Args& a, size_t r, const TimeZone&, Row& out) {
    out.f = function(a[0]->number(r));
    return std::isfinite(out.f);
  });
  add.list.back().batch = [function](const Args& a, size_t n, const TimeZone&, ExpressionValues& out) {
    out.f.resize(n);
    with_numbers(*a[0], [&, to = out.f.span()](auto value_of) {
      for (size_t r = 0; r < n; ++r) {
        to[r] = function(value_of(r));
        if (!std::isfinite(to[r])) set_null(r, n, out.valid), to[r] = 0;
      }
    });
    return true;
  };
}

// if, for numbers, times and bools: all rows at once.
bool choose(const Args& a, size_t n, const TimeZone&, ExpressionValues& out) {
  if (out.type == Type::kString) return false;
  AlignedVector<int64_t> first(n);  // all bits of a row that takes `then`; a condition that is null is 0
  with_whole(*a[0], [n, to = first.data()](auto holds) {
    for (size_t r = 0; r < n; ++r) to[r] = -int64_t(holds(r) != 0);
  });
  // Both values are read and one is masked out: a jump could not be foretold.
  auto loop = [n, mask = first.data()](auto x, auto y, auto to) {
    using Value = std::decay_t<decltype(to[0])>;
    for (size_t r = 0; r < n; ++r) to[r] = std::bit_cast<Value>((std::bit_cast<int64_t>(Value(x(r))) & mask[r]) | (std::bit_cast<int64_t>(Value(y(r))) & ~mask[r]));
  };
  if (is_float(out.type)) {
    out.f.resize(n);
    with_numbers(*a[1], [&](auto x) { with_numbers(*a[2], [&](auto y) { loop(x, y, out.f.span()); }); });
  } else {
    out.i.resize(n);
    with_whole(*a[1], [&](auto x) { with_whole(*a[2], [&](auto y) { loop(x, y, out.i.span()); }); });
  }
  if (a[1]->valid.empty() && a[2]->valid.empty()) return true;
  out.valid.resize(n);
  with_valid(*a[1], [&](auto x) { with_valid(*a[2], [&, mask = first.data(), to = out.valid.data()](auto y) {
    for (size_t r = 0; r < n; ++r) to[r] = mask[r] ? x(r) : y(r);
  }); });
  return true;
}

}  // namespace

void add_number_functions(std::vector<ExpressionFunction>& f) {
  const Adder add{f};
  add("abs", "abs(number)", "absolute value",
      [](const Types& t) { return t.size() == 1 && is_number(t[0]) ? common_type(t) : std::nullopt; },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        if (is_float(a[0]->type)) return out.f = std::fabs(a[0]->number(r)), true;
        if (a[0]->whole(r) == INT64_MIN) throw data_error("abs({}) does not fit 64 bits", INT64_MIN);
        return out.i = std::abs(a[0]->whole(r)), true;
      });
  add_float_function(add, "floor", "largest whole number not above", std::floor);
  add_float_function(add, "ceil", "smallest whole number not below", std::ceil);
  add_float_function(add, "round", "nearest whole number, halves away from zero", std::round);
  add_float_function(add, "sqrt", "square root; null below 0", std::sqrt);
  add_float_function(add, "log", "natural logarithm; null at and below 0", std::log);
  add_float_function(add, "exp", "e to the power; null when too large", std::exp);
  add_float_function(add, "log2", "logarithm to base 2; null at and below 0", std::log2);
  add_float_function(add, "log10", "logarithm to base 10; null at and below 0", std::log10);
  add("sign", "sign(number)", "-1, 0 or 1", takes("n", I), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    const double v = a[0]->number(r);
    return out.i = (v > 0) - (v < 0), !std::isnan(v);
  });
  add("nullif", "nullif(a, b)", "null where both are equal, else a",
      [](const Types& t) -> std::optional<Type> { return t.size() == 2 && common_type(t) ? common_type({t[0]}) : std::nullopt; },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        if (!a[0]->ok(r)) return false;
        const bool text = a[0]->type == Type::kString;
        if (a[1]->ok(r) && (text ? a[0]->text(r) == a[1]->text(r) : is_float(a[0]->type) || is_float(a[1]->type) ? a[0]->number(r) == a[1]->number(r) : a[0]->whole(r) == a[1]->whole(r))) return false;
        return copy_value(*a[0], r, out), true;
      }, true);
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
  f.back().batch = choose;
}

void add_conversions(std::vector<ExpressionFunction>& f) {
  const Adder add{f};
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
  f.back().batch = [](const Args& a, size_t n, const TimeZone&, ExpressionValues& out) {
    if (!is_float(a[0]->type)) return false;
    out.i.resize(n);
    with_numbers(*a[0], [&, to = out.i.span()](auto value_of) {
      for (size_t r = 0; r < n; ++r) {
        const double v = value_of(r);
        const bool fits = std::fabs(v) < 9.2e18;
        to[r] = fits ? int64_t(v) : 0;
        if (!fits) set_null(r, n, out.valid);
      }
    });
    return true;
  };
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
  add("bool", "bool(x)", "as a condition: 0 is false, other numbers true; 'true', 'false', '1', '0'; other text gives null", takes("*", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        if (a[0]->type != Type::kString) return out.i = is_float(a[0]->type) ? a[0]->number(r) != 0 : a[0]->whole(r) != 0, true;
        auto t = a[0]->text(r);
        out.i = t == "true" || t == "1";
        return out.i || t == "false" || t == "0";
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
}

}  // namespace expression

const std::vector<ExpressionFunction>& expression_functions() {
  static const auto all = [] {
    std::vector<ExpressionFunction> f;
    expression::add_number_functions(f);
    expression::add_text_functions(f);
    expression::add_time_functions(f);
    expression::add_conversions(f);
    return f;
  }();
  return all;
}

const ExpressionFunction* find_expression_function(const std::string& name) {
  for (const auto& f : expression_functions())
    if (f.name == name) return &f;
  return nullptr;
}

}  // namespace throng::data
