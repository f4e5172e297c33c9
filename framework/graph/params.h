// Parameters of an operator, declared once: from `fields()` come YAML parsing with line:column, the C++ API,
// `throng operators NAME` and the reference page.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "framework/base/suggest.h"
#include "framework/base/units.h"
#include "framework/graph/value.h"

namespace throng::graph {

/// An ordered map of names, as a YAML mapping writes it.
using NameMap = std::vector<std::pair<std::string, std::string>>;
/// The same of numbers.
using NumberMap = std::vector<std::pair<std::string, double>>;

/// What is known of one parameter without its struct.
struct FieldInfo {
  std::string name, type, default_text, doc;
  std::vector<std::string> choices;
  bool required = false;
};

// How each parameter type is read, written and called.
template <class M>
struct ParamType;

template <>
struct ParamType<std::string> {
  static std::string name() { return "text"; }
  static bool read(const Value& v, std::string& out, std::string& expected) {
    expected = "text";
    if (v.kind != Value::Kind::kScalar) return false;
    out = v.scalar;
    return true;
  }
  static Value write(const std::string& v) { return Value::of(v); }
};
template <>
struct ParamType<bool> {
  static std::string name() { return "true or false"; }
  static bool read(const Value& v, bool& out, std::string& expected) {
    expected = "true or false";
    if (v.kind != Value::Kind::kScalar || (v.scalar != "true" && v.scalar != "false")) return false;
    out = v.scalar == "true";
    return true;
  }
  static Value write(bool v) { return Value::of(v ? "true" : "false"); }
};
template <class N>
struct NumberParam {
  static std::string name() { return std::is_integral_v<N> ? "whole number" : "number"; }
  static bool read(const Value& v, N& out, std::string& expected) {
    expected = name();
    if (v.kind != Value::Kind::kScalar) return false;
    const char* end = v.scalar.data() + v.scalar.size();
    auto [at, code] = std::from_chars(v.scalar.data(), end, out);
    if constexpr (std::is_floating_point_v<N>)
      if (!std::isfinite(out)) return false;
    return code == std::errc() && at == end;
  }
  static Value write(N v) { return Value::of(fmt::format("{}", v)); }
};
template <>
struct ParamType<int> : NumberParam<int> {};
template <>
struct ParamType<int64_t> : NumberParam<int64_t> {};
template <>
struct ParamType<uint64_t> : NumberParam<uint64_t> {};
template <>
struct ParamType<double> : NumberParam<double> {};
template <>
struct ParamType<Duration> {
  static std::string name() { return "duration"; }
  static bool read(const Value& v, Duration& out, std::string& expected) {
    expected = "a duration such as 30s, 30m, 1h or 7d";
    auto parsed = v.kind == Value::Kind::kScalar ? parse_duration(v.scalar) : std::nullopt;
    if (parsed) out = *parsed;
    return parsed.has_value();
  }
  static Value write(Duration v) { return Value::of(format_duration(v)); }
};
template <class T>
struct ParamType<std::optional<T>> {
  static std::string name() { return ParamType<T>::name(); }
  static bool read(const Value& v, std::optional<T>& out, std::string& expected) {
    if (v.kind == Value::Kind::kNull) return out.reset(), true;
    T value{};
    if (!ParamType<T>::read(v, value, expected)) return false;
    out = std::move(value);
    return true;
  }
  static Value write(const std::optional<T>& v) { return v ? ParamType<T>::write(*v) : Value{}; }
};
/// A list; one bare value is a list of one.
template <class T>
struct ParamType<std::vector<T>> {
  static std::string name() { return "list of " + ParamType<T>::name(); }
  static bool read(const Value& v, std::vector<T>& out, std::string& expected) {
    out.clear();
    if (v.kind == Value::Kind::kNull) return true;
    if (v.kind == Value::Kind::kList) {
      for (const auto& item : v.list) {
        out.emplace_back();
        if (ParamType<T>::read(item, out.back(), expected)) continue;
        expected = "a list of " + expected;
        return false;
      }
      return true;
    }
    out.emplace_back();
    bool good = ParamType<T>::read(v, out.back(), expected);
    expected = "a list of " + expected;
    return good;
  }
  static Value write(const std::vector<T>& v) {
    Value out;
    out.kind = Value::Kind::kList;
    for (const auto& item : v) out.list.push_back(ParamType<T>::write(item));
    return out;
  }
};
/// NameMap and NumberMap.
template <class T>
struct ParamType<std::vector<std::pair<std::string, T>>> {
  using Map = std::vector<std::pair<std::string, T>>;
  static constexpr bool kNumbers = !std::is_same_v<T, std::string>;
  static std::string name() { return kNumbers ? "mapping to numbers" : "mapping"; }
  static bool read(const Value& v, Map& out, std::string& expected) {
    expected = kNumbers ? "a mapping such as {name: 0.1}" : "a mapping such as {name: value}";
    out.clear();
    if (v.kind == Value::Kind::kNull) return true;
    if (v.kind != Value::Kind::kMap) return false;
    for (const auto& e : v.map) {
      T value{};
      if (!ParamType<T>::read(e.value, value, expected)) return expected = "a " + expected + " for '" + e.key + "'", false;
      out.emplace_back(e.key, std::move(value));
    }
    return true;
  }
  static Value write(const Map& v) {
    Value out;
    out.kind = Value::Kind::kMap;
    for (const auto& [key, value] : v) out.set(key, ParamType<T>::write(value));
    return out;
  }
};

/// One parameter: name, member and meaning, with limits.
template <class T, class M>
struct ParamField {
  std::string name;
  M T::*member;
  std::string doc;
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices{};
  bool is_required = false;

  ParamField min(double v) && { return low = v, std::move(*this); }
  ParamField max(double v) && { return high = v, std::move(*this); }
  ParamField one_of(std::vector<std::string> v) && { return choices = std::move(v), std::move(*this); }
  ParamField required() && { return is_required = true, std::move(*this); }

  /// `defaults` is a T, or what derives from it and may begin otherwise.
  FieldInfo info(const T& defaults) const {
    Value written = ParamType<M>::write(defaults.*member);
    return {name, ParamType<M>::name(), is_required ? "" : show(written), doc, choices, is_required};
  }
  void read(const Value& value, T& into, Faults& faults) const {
    std::string expected;
    if (!ParamType<M>::read(value, into.*member, expected)) {
      std::string got = value.kind == Value::Kind::kScalar ? "'" + value.scalar + "'"
                        : value.kind == Value::Kind::kList ? "a list"
                        : value.kind == Value::Kind::kMap  ? "a mapping"
                                                           : "nothing";
      return faults.add(value.place, fmt::format("'{}' is {}; expected {}", name, got, expected));
    }
    if constexpr (std::is_arithmetic_v<M> && !std::is_same_v<M, bool>) {
      double v = double(into.*member);
      if (v < low || v > high) {
        std::string range = std::isinf(high)  ? fmt::format("at least {}", low)
                            : std::isinf(low) ? fmt::format("at most {}", high)
                                              : fmt::format("{} to {}", low, high);
        faults.add(value.place, fmt::format("'{}' is {}; expected {}", name, value.scalar, range));
      }
    }
    if constexpr (std::is_same_v<M, std::string>) check_choice(into.*member, value.place, faults);
    if constexpr (std::is_same_v<M, std::vector<std::string>>)
      for (const auto& one : into.*member) check_choice(one, value.place, faults);
  }

 private:
  void check_choice(const std::string& given, const Place& place, Faults& faults) const {
    if (choices.empty() || std::find(choices.begin(), choices.end(), given) != choices.end()) return;
    faults.add(place, fmt::format("'{}' is '{}'", name, given), suggest(given, choices));
  }
  static std::string show(const Value& v) {
    std::string out;
    switch (v.kind) {
      case Value::Kind::kNull: return "none";
      case Value::Kind::kScalar: return v.scalar.empty() ? "\"\"" : v.scalar;
      case Value::Kind::kList:
        for (const auto& one : v.list) out += (out.empty() ? "" : ", ") + show(one);
        return "[" + out + "]";
      case Value::Kind::kMap:
        for (const auto& e : v.map) out += (out.empty() ? "" : ", ") + e.key + ": " + show(e.value);
        return "{" + out + "}";
    }
    return out;
  }
};

template <class T, class M>
ParamField<T, M> field(std::string name, M T::*member, std::string doc) {
  return {std::move(name), member, std::move(doc)};
}
template <class... F>
auto fields(F... f) {
  return std::tuple<F...>(std::move(f)...);
}

template <class T>
std::vector<FieldInfo> field_infos() {
  std::vector<FieldInfo> infos;
  const T defaults{};
  std::apply([&](const auto&... f) { (infos.push_back(f.info(defaults)), ...); }, T::fields());
  return infos;
}

/// Reads a mapping into a parameter struct; unknown, missing and ill-typed parameters become faults.
template <class T>
T read_params(const Value& map, const Place& place, Faults& faults) {
  T params;
  std::vector<std::string> known;
  auto all = T::fields();
  std::apply([&](const auto&... f) { (known.push_back(f.name), ...); }, all);
  for (const auto& entry : map.map) {
    bool found = false;
    auto try_field = [&](const auto& f) {
      if (f.name == entry.key) found = true, f.read(entry.value, params, faults);
    };
    std::apply([&](const auto&... f) { (try_field(f), ...); }, all);
    if (!found)
      faults.add(entry.key_place, fmt::format("unknown parameter of op '{}': '{}'", T::kOp, entry.key), suggest(entry.key, known));
  }
  auto require = [&](const auto& f) {
    if (f.is_required && !map.find(f.name))
      faults.add(place, fmt::format("op '{}' needs the parameter '{}': {}", T::kOp, f.name, f.doc));
  };
  std::apply([&](const auto&... f) { (require(f), ...); }, all);
  return params;
}

/// Every parameter with its value, in declared order: the basis of step keys and of graph equality.
template <class T>
Value write_params(const T& params) {
  Value map;
  map.kind = Value::Kind::kMap;
  // Fields may belong to a base of the struct.
  auto write_one = [&]<class Base, class M>(const ParamField<Base, M>& f) { map.set(f.name, ParamType<M>::write(params.*(f.member))); };
  std::apply([&](const auto&... f) { (write_one(f), ...); }, T::fields());
  return map;
}

}  // namespace throng::graph
