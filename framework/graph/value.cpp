#include "framework/graph/value.h"

#include <algorithm>

namespace throng::graph {

const Value* Value::find(const std::string& key) const {
  for (const auto& entry : map)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

void Value::set(const std::string& key, Value value) {
  kind = Kind::kMap;
  for (auto& entry : map)
    if (entry.key == key) {
      entry.value = std::move(value);
      return;
    }
  map.push_back({key, value.place, std::move(value)});
}

std::string Value::canonical() const {
  auto quote = [](const std::string& text) { return fmt::format("{}:{}", text.size(), text); };
  std::string out;
  switch (kind) {
    case Kind::kNull: return "~";
    case Kind::kScalar: return quote(scalar);
    case Kind::kList:
      for (const auto& v : list) out += v.canonical() + ",";
      return "[" + out + "]";
    case Kind::kMap:
      for (const auto& e : map) out += quote(e.key) + "=" + e.value.canonical() + ",";
      return "{" + out + "}";
  }
  return out;
}

void Faults::add(const Place& place, std::string message, std::string hint) {
  std::string text = place.prefix() + message;
  if (!hint.empty()) text += "\n  hint: " + hint;
  faults_.push_back({place, std::move(text)});
}

void Faults::throw_if_any() const {
  if (faults_.empty()) return;
  auto sorted = faults_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const One& a, const One& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  std::string text;
  for (const auto& f : sorted) text += (text.empty() ? "" : "\n") + f.text;
  throw Error(Fault::kJob, text);
}

}  // namespace throng::graph
