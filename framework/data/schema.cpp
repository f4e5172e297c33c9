#include "framework/data/schema.h"

#include <array>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/suggest.h"

namespace throng::data {
namespace {
constexpr std::array<std::string_view, 10> kNames{"bool",      "int32",  "int64",       "float32",       "float64",
                                                  "timestamp", "string", "list<int32>", "list<float32>", "list<string>"};
}

std::string_view type_name(Type type) { return kNames[size_t(type)]; }

std::optional<Type> type_from_name(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return Type(i);
  return {};
}

std::vector<std::string> type_names() { return {kNames.begin(), kNames.end()}; }

int Schema::find(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i)
    if (fields_[i].name == name) return int(i);
  return -1;
}

const Field& Schema::at(std::string_view name) const {
  int i = find(name);
  if (i < 0) throw job_error("no column '{}'", name).with_hint(suggest(name, names()));
  return fields_[size_t(i)];
}

std::vector<std::string> Schema::names() const {
  std::vector<std::string> names;
  for (const auto& f : fields_) names.push_back(f.name);
  return names;
}

void Schema::set(Field field) {
  int i = find(field.name);
  if (i < 0)
    fields_.push_back(std::move(field));
  else
    fields_[size_t(i)] = std::move(field);
}

Schema Schema::project(const std::vector<std::string>& names) const {
  std::vector<Field> kept;
  for (const auto& f : fields_)
    if (std::find(names.begin(), names.end(), f.name) != names.end()) kept.push_back(f);
  return Schema(std::move(kept));
}

std::string Schema::to_json() const {
  auto list = nlohmann::json::array();
  for (const auto& f : fields_) {
    nlohmann::json column{{"name", f.name}, {"type", type_name(f.type)}};
    if (!f.time_zone.empty()) column["time_zone"] = f.time_zone;
    list.push_back(column);
  }
  return list.dump();
}

Schema Schema::from_json(const std::string& text) {
  Schema schema;
  for (const auto& column : nlohmann::json::parse(text)) {
    auto type = type_from_name(column.at("type").get<std::string>());
    if (!type) throw data_error("unknown column type {}", column.at("type").dump());
    schema.add({column.at("name"), *type, column.value("time_zone", "")});
  }
  return schema;
}

}  // namespace throng::data
