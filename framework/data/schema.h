// Column types and the schema of a dataset.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace throng::data {

/// What a column holds. Timestamps are microseconds since 1970 UTC; strings are UTF-8.
enum class Type : uint8_t {
  kBool, kInt32, kInt64, kFloat32, kFloat64, kTimestamp, kString, kListInt32, kListFloat32, kListString
};

std::string_view type_name(Type type);
std::optional<Type> type_from_name(std::string_view name);
std::vector<std::string> type_names();

/// Bytes of one value: of a row for fixed types, of an element for lists, 1 for strings.
constexpr size_t value_bytes(Type type) {
  switch (type) {
    case Type::kBool:
    case Type::kString:
    case Type::kListString: return 1;
    case Type::kInt32:
    case Type::kFloat32:
    case Type::kListInt32:
    case Type::kListFloat32: return 4;
    default: return 8;
  }
}
constexpr bool is_list(Type t) {
  return t == Type::kListInt32 || t == Type::kListFloat32 || t == Type::kListString;
}
constexpr bool is_fixed(Type t) { return t != Type::kString && !is_list(t); }
constexpr bool is_integer(Type t) { return t == Type::kInt32 || t == Type::kInt64; }
constexpr bool is_float(Type t) { return t == Type::kFloat32 || t == Type::kFloat64; }
constexpr bool is_number(Type t) { return is_integer(t) || is_float(t); }

/// A named column. `time_zone` (IANA name) says in which zone days and hours of a timestamp are meant.
struct Field {
  std::string name;
  Type type = Type::kString;
  std::string time_zone{};
  bool operator==(const Field&) const = default;
};

class Schema {
 public:
  Schema() = default;
  Schema(std::initializer_list<Field> fields) : fields_(fields) {}
  explicit Schema(std::vector<Field> fields) : fields_(std::move(fields)) {}

  const std::vector<Field>& fields() const { return fields_; }
  size_t size() const { return fields_.size(); }
  const Field& operator[](size_t i) const { return fields_[i]; }
  /// Index of the column, or -1.
  int find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) >= 0; }
  /// The column of that name; a job error with suggestions where there is none.
  const Field& at(std::string_view name) const;
  std::vector<std::string> names() const;
  /// Appends a column, or replaces the one of that name.
  void set(Field field);
  void add(Field field) { fields_.push_back(std::move(field)); }
  /// The named columns, in this schema's order; unknown names are ignored.
  Schema project(const std::vector<std::string>& names) const;

  std::string to_json() const;
  static Schema from_json(const std::string& json);
  bool operator==(const Schema&) const = default;

 private:
  std::vector<Field> fields_;
};

}  // namespace throng::data
