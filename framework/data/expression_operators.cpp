#include "framework/data/expression_operators.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "framework/data/expression_rows.h"

namespace throng::data::expression {
namespace {

using Values = ExpressionValues;

struct Less {
  bool operator()(int64_t x, int64_t y) const { return x < y; }
  bool operator()(double x, double y) const { return x < y || (std::isnan(y) && !std::isnan(x)); }
  bool operator()(std::string_view x, std::string_view y) const { return x < y; }
};
struct Equal {
  bool operator()(int64_t x, int64_t y) const { return x == y; }
  bool operator()(double x, double y) const { return x == y || (std::isnan(x) && std::isnan(y)); }
  bool operator()(std::string_view x, std::string_view y) const { return x == y; }
};

template <class Holds>
void compare_rows(const Values& a, const Values& b, bool negate, std::span<int64_t> out) {
  auto loop = [&](auto x, auto y) {
    const Holds holds;
    for (size_t r = 0; r < out.size(); ++r) out[r] = holds(x(r), y(r)) != negate;
  };
  if (a.type == Type::kString) return loop([&](size_t r) { return a.text(r); }, [&](size_t r) { return b.text(r); });
  if (is_float(a.type) || is_float(b.type)) return with_numbers(a, [&](auto x) { with_numbers(b, [&](auto y) { loop(x, y); }); });
  with_whole(a, [&](auto x) { with_whole(b, [&](auto y) { loop(x, y); }); });
}

void clear_nulls(Values& v) {
  if (v.valid.empty()) return;
  with_valid(v, [to = v.i.span()](auto there) {
    for (size_t r = 0; r < to.size(); ++r) to[r] &= -int64_t{there(r)};
  });
}

// 0 for false, 1 for true, 2 for null.
AlignedVector<uint8_t> truths(const Values& v, size_t n) {
  AlignedVector<uint8_t> out(n);
  with_whole(v, [&](auto x) { with_valid(v, [&, to = out.data()](auto there) {
    for (size_t r = 0; r < n; ++r) to[r] = uint8_t((there(r) ^ 1) << 1 | (there(r) & uint8_t(x(r) != 0)));
  }); });
  return out;
}

Values float_arithmetic(char op, const Values& a, const Values& b, size_t n) {
  Values out;
  out.type = Type::kFloat64;
  out.f.resize(n);
  const auto to = out.f.span();
  auto each = [&](auto value) {
    with_numbers(a, [&](auto x) { with_numbers(b, [&](auto y) {
      for (size_t r = 0; r < to.size(); ++r) to[r] = value(x(r), y(r));
    }); });
  };
  if (op == '+') each([](double x, double y) { return x + y; });
  if (op == '-') each([](double x, double y) { return x - y; });
  if (op == '*') each([](double x, double y) { return x * y; });
  if (op == '/') each([](double x, double y) { return y == 0 ? 0 : x / y; });
  if (op == '%') each([](double x, double y) { return y == 0 ? 0 : std::fmod(x, y); });
  if (op == '/' || op == '%')
    with_numbers(b, [&](auto y) {
      for (size_t r = 0; r < n; ++r)
        if (y(r) == 0) set_null(r, n, out.valid);
    });
  return out;
}

Values whole_arithmetic(const std::string& op, const Values& a, const Values& b, size_t n) {
  Values out;
  out.i.resize(n);
  const auto to = out.i.span();
  auto each = [&](auto overflows) {
    with_whole(a, [&](auto x) { with_whole(b, [&](auto y) {
      for (size_t r = 0; r < to.size(); ++r)
        if (overflows(x(r), y(r), &to[r]) && a.ok(r) && b.ok(r)) throw data_error("{} {} {} does not fit a 64-bit whole number", x(r), op, y(r));
    }); });
  };
  if (op == "+") each([](int64_t x, int64_t y, int64_t* z) { return __builtin_add_overflow(x, y, z); });
  if (op == "-") each([](int64_t x, int64_t y, int64_t* z) { return __builtin_sub_overflow(x, y, z); });
  if (op == "*") each([](int64_t x, int64_t y, int64_t* z) { return __builtin_mul_overflow(x, y, z); });
  if (op == "//") each([](int64_t x, int64_t y, int64_t* z) { return y == -1 ? __builtin_sub_overflow(int64_t{0}, x, z) : (*z = y == 0 ? 0 : x / y, false); });
  if (op == "%") each([](int64_t x, int64_t y, int64_t* z) { return *z = y == 0 || y == -1 ? 0 : x % y, false; });
  if (op == "//" || op == "%")
    with_whole(b, [&](auto y) {
      for (size_t r = 0; r < n; ++r)
        if (y(r) == 0) set_null(r, n, out.valid);
    });
  return out;
}

Values shifted_times(char op, const Values& times, const Values& seconds, size_t n) {
  Values out;
  out.i.resize(n);
  const double sign = op == '-' ? -1 : 1;
  for (size_t r = 0; r < n; ++r) {
    if (!times.ok(r) || !seconds.ok(r)) {
      out.i[r] = 0;
      continue;
    }
    const double shift = sign * seconds.number(r) * 1e6;
    if (!(std::fabs(shift) < 9e18) || __builtin_add_overflow(times.whole(r), int64_t(std::llround(shift)), &out.i[r]))
      throw data_error("a time {} {} seconds is out of range", op, seconds.number(r));
  }
  return out;
}

Values between_times(const Values& a, const Values& b, size_t n) {
  Values out;
  out.f.resize(n);
  const auto to = out.f.span();
  with_whole(a, [&](auto x) { with_whole(b, [&](auto y) {
    for (size_t r = 0; r < to.size(); ++r) to[r] = double(x(r) - y(r)) / 1e6;
  }); });
  return out;
}

}  // namespace

int compare_values(const Values& a, const Values& b, size_t r) {
  auto three_way = [](auto x, auto y) { return Less()(x, y) ? -1 : Less()(y, x) ? 1 : 0; };
  if (a.type == Type::kString) return three_way(a.text(r), b.text(r));
  if (is_float(a.type) || is_float(b.type)) return three_way(a.number(r), b.number(r));
  return three_way(a.whole(r), b.whole(r));
}

Values compare(const std::string& op, Values a, Values b, size_t n) {
  Values out;
  out.type = Type::kBool;
  keep_valid(a, n, out.valid);
  keep_valid(b, n, out.valid);
  out.i.resize(n);
  if (op == ">" || op == "<=") std::swap(a, b);
  if (op == "==" || op == "!=") compare_rows<Equal>(a, b, op == "!=", out.i.span());
  else compare_rows<Less>(a, b, op == "<=" || op == ">=", out.i.span());
  clear_nulls(out);
  return out;
}

Values logic(const std::string& op, const Values& a, const Values& b, size_t n) {
  Values out;
  out.type = Type::kBool;
  out.i.resize(n);
  const auto to = out.i.span();
  if (a.valid.empty() && b.valid.empty()) {
    with_whole(a, [&](auto x) { with_whole(b, [&](auto y) {
      if (op == "or") for (size_t r = 0; r < n; ++r) to[r] = (x(r) | y(r)) != 0;
      else for (size_t r = 0; r < n; ++r) to[r] = (x(r) != 0) & (y(r) != 0);
    }); });
    return out;
  }
  const auto x = truths(a, n), y = truths(b, n);
  const uint8_t stop = op == "or";  // what decides alone
  out.valid.resize(n);
  const auto join = [&, rows = n, left = x.data(), right = y.data(), valid = out.valid.data()] {
    for (size_t r = 0; r < rows; ++r) {
      const uint8_t decided = uint8_t(left[r] == stop) | uint8_t(right[r] == stop), known = decided | uint8_t((left[r] | right[r]) < 2);
      to[r] = known & (decided ^ stop ^ 1);
      valid[r] = known;
    }
  };
  join();
  if (std::find(out.valid.begin(), out.valid.end(), 0) == out.valid.end()) out.valid.clear();
  return out;
}

Values arithmetic(const Expression::Node& node, const Values& a, const Values& b, size_t n) {
  const char op = node.name[0];
  Values out = a.type == Type::kTimestamp && b.type == Type::kTimestamp ? between_times(a, b, n)
               : a.type == Type::kTimestamp                             ? shifted_times(op, a, b, n)
               : node.type == Type::kFloat64                            ? float_arithmetic(op, a, b, n)
                                                                        : whole_arithmetic(node.name, a, b, n);
  out.type = node.type;
  keep_valid(a, n, out.valid);
  keep_valid(b, n, out.valid);
  return out;
}

Values unary(const Expression::Node& node, const Values& a, size_t n) {
  Values out;
  out.type = node.type;
  keep_valid(a, n, out.valid);
  if (is_float(node.type)) {
    out.f.resize(n);
    for (size_t r = 0; r < n; ++r) out.f[r] = -a.number(r);
    return out;
  }
  out.i.resize(n);
  const bool negate = node.name == "not";
  for (size_t r = 0; r < n; ++r) {
    const int64_t x = a.whole(r);
    if (!negate && x == INT64_MIN) throw data_error("-({}) does not fit a 64-bit whole number", x);
    out.i[r] = negate ? !x : -x;
  }
  clear_nulls(out);
  return out;
}

}  // namespace throng::data::expression
