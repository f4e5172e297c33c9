// What the lists of expression functions share. Internal to framework/data.
#pragma once
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "framework/data/expression_functions.h"

namespace throng::data::expression {

using Args = std::vector<const ExpressionValues*>;
using Row = ExpressionFunction::Row;
using Types = std::vector<Type>;

inline bool text_like(Type t) { return t == Type::kString; }

// A signature as a string of argument classes: n number, s string, t timestamp, b bool, l list or string, * anything but a list.
inline auto takes(std::string classes, Type result, size_t optional = 0) {
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
inline std::optional<Type> common_type(const Types& types) {
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

inline void copy_value(const ExpressionValues& from, size_t row, Row& out) {
  if (from.type == Type::kString)
    out.s = from.text(row);
  else if (is_float(from.type))
    out.f = from.number(row), out.i = 0;
  else
    out.i = from.whole(row), out.f = double(out.i);
}

// A position or count in a text.
inline int64_t clamped(double v) { return std::isnan(v) ? 0 : int64_t(std::clamp(v, -1e15, 1e15)); }

/// Adds functions to a list.
struct Adder {
  std::vector<ExpressionFunction>& list;
  template <class R, class C>
  void operator()(std::string name, std::string signature, std::string meaning, R result, C compute, bool nulls = false) const {
    list.push_back({std::move(name), std::move(signature), std::move(meaning), result, compute, nulls, {}, {}, {}});
  }
};
inline constexpr auto F = Type::kFloat64, I = Type::kInt64, S = Type::kString, B = Type::kBool, T = Type::kTimestamp;

void add_number_functions(std::vector<ExpressionFunction>& f);
void add_text_functions(std::vector<ExpressionFunction>& f);
void add_time_functions(std::vector<ExpressionFunction>& f);
void add_conversions(std::vector<ExpressionFunction>& f);

}  // namespace throng::data::expression
