#include "cluster/service/drawing.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/page_parts.h"

namespace throng::service {

using nlohmann::json;

std::string drawing_of(const json& steps) {
  std::string dot = "digraph job { rankdir=LR; bgcolor=transparent; pad=0.1; nodesep=0.25; ranksep=0.45; node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=12, width=1.9, margin=\"0.15,0.09\"];\n";
  for (const auto& step : steps) {
    const std::string id = step.value("id", ""), op = step.value("op", "");
    const std::string name = dot_quoted(id);
    std::string lines = dot_quoted(id);
    lines.pop_back();
    lines += "\\n" + dot_quoted(op == "(co-locate)" ? "shuffle" : op).substr(1);
    lines.pop_back();
    dot += fmt::format("{} [id={}, class={}, label={}\\n \"];\n", name, dot_quoted("step-" + id), step.value("stored", false) ? "stored" : "fused", lines);
    for (const auto& from : step.value("inputs", json::array())) dot += dot_quoted(from) + " -> " + name + ";\n";
  }
  return svg_of_dot(dot + "}\n");
}

}  // namespace throng::service
