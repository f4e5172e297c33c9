#include "operators/read_events/json_values.h"

#include <utility>

namespace throng::op {

simdjson::simdjson_result<simdjson::dom::element> find_path(simdjson::dom::element root, std::string_view path) {
  auto direct = root[path];  // a key may hold dots itself
  if (direct.error() == simdjson::SUCCESS) return direct;
  auto at = simdjson::simdjson_result<simdjson::dom::element>(std::move(root));
  while (!path.empty()) {
    size_t dot = path.find('.');
    at = at[path.substr(0, dot)];
    if (at.error()) return at;
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return at;
}

bool is_list_of_strings(simdjson::dom::element e) {
  if (!e.is_array()) return false;
  for (auto x : simdjson::dom::array(e))
    if (!x.is_string()) return false;
  return true;
}

}  // namespace throng::op
