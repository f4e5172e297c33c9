#include "framework/data/row_text.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "framework/data/time.h"

namespace throng::data {
namespace {

using nlohmann::ordered_json;

ordered_json value_of(const Field& field, const Column& c, int64_t row) {
  if (!c.is_valid(row)) return nullptr;
  switch (c.type()) {
    case Type::kBool: return c.as_int64(row) != 0;
    case Type::kInt32:
    case Type::kInt64: return c.as_int64(row);
    case Type::kFloat32: return std::isfinite(c.as_double(row)) ? ordered_json(std::stod(fmt::format("{}", c.values<float>()[size_t(row)]))) : ordered_json(nullptr);
    case Type::kFloat64: return std::isfinite(c.as_double(row)) ? ordered_json(c.as_double(row)) : ordered_json(nullptr);
    case Type::kTimestamp: return TimeZone(field.time_zone).format(c.as_int64(row));
    case Type::kString: return std::string(c.string(row));
    case Type::kListString: {
      auto list = ordered_json::array();
      for (int64_t i = 0; i < c.list_size(row); ++i) list.push_back(std::string(c.list_string(row, i)));
      return list;
    }
    case Type::kListInt32: {
      auto list = ordered_json::array();
      for (int32_t v : c.list<int32_t>(row)) list.push_back(v);
      return list;
    }
    case Type::kListFloat32: {
      auto list = ordered_json::array();
      for (float v : c.list<float>(row)) list.push_back(std::stod(fmt::format("{}", v)));
      return list;
    }
  }
  return nullptr;
}

std::string dump(const ordered_json& j) { return j.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string row_as_json(const Batch& batch, int64_t row) {
  ordered_json j = ordered_json::object();
  for (size_t i = 0; i < batch.num_columns(); ++i) j[batch.schema()[i].name] = value_of(batch.schema()[i], batch.column(i), row);
  return dump(j);
}

std::string row_as_csv(const Batch& batch, int64_t row) {
  std::string line;
  for (size_t i = 0; i < batch.num_columns(); ++i) {
    if (i) line += ',';
    ordered_json v = value_of(batch.schema()[i], batch.column(i), row);
    if (v.is_null()) continue;
    line += quoted(v.is_string() ? v.get<std::string>() : dump(v));
  }
  return batch.num_columns() == 1 && line.empty() ? "\"\"" : line;  // many readers pass over empty lines
}

std::string header_as_csv(const Schema& schema) {
  std::string line;
  for (const auto& f : schema.fields()) line += (line.empty() ? "" : ",") + quoted(f.name);
  return line;
}

}  // namespace throng::data
