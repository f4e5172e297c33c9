// Values of a JSON record. The door to simdjson; internal to read_events.
#pragma once
#include <simdjson.h>

#include <string_view>

namespace throng::op {

/// The value at a dotted path.
simdjson::simdjson_result<simdjson::dom::element> find_path(simdjson::dom::element root, std::string_view path);
bool is_list_of_strings(simdjson::dom::element e);

}  // namespace throng::op
