// Values of columns as the accumulators take them. Internal to aggregation.
#pragma once
#include <string>
#include <type_traits>

#include "framework/data/column.h"

namespace throng::data::accumulators {

template <class T>
constexpr Type kTypeOf = std::is_same_v<T, double> ? Type::kFloat64 : Type::kInt64;

template <class T>
T value_at(const Column& c, int64_t row) {
  if constexpr (std::is_same_v<T, double>) return c.as_double(row);
  else if constexpr (std::is_same_v<T, std::string>) return std::string(c.string(row));
  else return c.as_int64(row);
}
template <class T>
void append_value(Column& c, const T& v) {
  if constexpr (std::is_same_v<T, std::string>) c.append_string(v);
  else if (c.type() == Type::kBool) c.append(uint8_t(v));
  else c.append(v);
}

template <class Visit>
void with_numbers(const Column& c, const Visit& visit) {
  switch (c.type()) {
    case Type::kBool: return visit(c.values<uint8_t>());
    case Type::kInt32: return visit(c.values<int32_t>());
    case Type::kFloat32: return visit(c.values<float>());
    case Type::kFloat64: return visit(c.values<double>());
    default: return visit(c.values<int64_t>());
  }
}

}  // namespace throng::data::accumulators
