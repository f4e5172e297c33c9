#include "framework/data/column_range.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace throng::data {
namespace {

template <class T, class At>
ColumnRange bounds(const Column& c, const At& at) {
  bool any = false;
  T least{}, greatest{};
  for (int64_t r = 0; r < c.size(); ++r) {
    if (!c.is_valid(r)) continue;
    const T v = at(r);
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(v)) continue;
    if (!any || v < least) least = v;
    if (!any || greatest < v) greatest = v;
    any = true;
  }
  if (!any) return {};
  if constexpr (std::is_same_v<T, std::string_view>) {
    if (least.size() > ColumnRange::kLongestText || greatest.size() > ColumnRange::kLongestText) return {};
    return {std::string(least), std::string(greatest)};
  } else if constexpr (std::is_floating_point_v<T>) {
    return {double(least), double(greatest)};
  } else {
    return {int64_t(least), int64_t(greatest)};
  }
}

template <class T>
ColumnRange fixed_bounds(const Column& c) {
  auto v = c.values<T>();
  if (!std::is_floating_point_v<T> && !c.has_nulls() && !v.empty()) {  // without branches
    T least = v[0], greatest = v[0];
    for (T x : v) least = x < least ? x : least, greatest = greatest < x ? x : greatest;
    return {int64_t(least), int64_t(greatest)};
  }
  return bounds<T>(c, [&](int64_t r) { return v[size_t(r)]; });
}

nlohmann::json value_to_json(const ColumnRange::Value& v) {
  if (auto* i = std::get_if<int64_t>(&v)) return *i;
  if (auto* d = std::get_if<double>(&v)) return std::isinf(*d) ? nlohmann::json(*d > 0 ? "+" : "-") : nlohmann::json(*d);
  return std::get<std::string>(v);
}

}  // namespace

ColumnRange ColumnRange::of(const Column& c) {
  switch (c.type()) {
    case Type::kBool: return fixed_bounds<uint8_t>(c);
    case Type::kInt32: return fixed_bounds<int32_t>(c);
    case Type::kInt64:
    case Type::kTimestamp: return fixed_bounds<int64_t>(c);
    case Type::kFloat32: return fixed_bounds<float>(c);
    case Type::kFloat64: return fixed_bounds<double>(c);
    case Type::kString: return bounds<std::string_view>(c, [&](int64_t r) { return c.string(r); });
    default: return {};
  }
}

// [kind, least, greatest]
nlohmann::json ColumnRange::to_json() const {
  if (!known()) return nullptr;
  nlohmann::json j{least.index(), value_to_json(least), value_to_json(greatest)};
  if (least.index() == 3) {
    try {
      j.dump();
    } catch (const nlohmann::json::exception&) {  // text that is not UTF-8 has no place in a manifest
      return nullptr;
    }
  }
  return j;
}

ColumnRange ColumnRange::from_json(const nlohmann::json& j) {
  if (j.is_null()) return {};
  auto value = [&](const nlohmann::json& v) -> Value {
    if (j.at(0) == 1) return v.get<int64_t>();
    if (j.at(0) == 2) return v.is_string() ? (v == "+" ? HUGE_VAL : -HUGE_VAL) : v.get<double>();
    return v.get<std::string>();
  };
  return {value(j.at(1)), value(j.at(2))};
}

void ColumnRange::merge(const ColumnRange& other) {
  if (!known() || !other.known()) {
    *this = {};
    return;
  }
  if (other.least < least) least = other.least;
  if (greatest < other.greatest) greatest = other.greatest;
}

}  // namespace throng::data
