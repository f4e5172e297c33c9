#include "cluster/service/drawing.h"

#include <nlohmann/json.hpp>

#include "cluster/launch/command.h"
#include "cluster/service/token.h"
#include "framework/base/files.h"

namespace throng::service {

using nlohmann::json;

namespace {

constexpr double kSeconds = 10;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : static_cast<unsigned char>(c) < 32 ? " " : std::string(1, c);
  return out + "\"";
}

}  // namespace

std::string drawing_of(const json& steps, const std::filesystem::path& folder) {
  std::string dot = "digraph job { rankdir=LR; bgcolor=transparent; pad=0.1; nodesep=0.25; ranksep=0.45; node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=12, width=1.9, margin=\"0.15,0.09\"];\n";
  for (const auto& step : steps) {
    const std::string id = step.value("id", ""), op = step.value("op", "");
    const std::string name = quoted(id);
    std::string lines = quoted(id);
    lines.pop_back();
    lines += "\\n" + quoted(op == "(co-locate)" ? "shuffle" : op).substr(1);
    lines.pop_back();
    dot += fmt::format("{} [id={}, class={}, label={}\\n \"];\n", name, quoted("step-" + id), step.value("stored", false) ? "stored" : "fused", lines);
    for (const auto& from : step.value("inputs", json::array())) dot += quoted(from.get<std::string>()) + " -> " + name + ";\n";
  }
  dot += "}\n";
  const std::filesystem::path file = folder / (random_token().substr(0, 16) + ".dot");
  write_file_atomically(file, dot);
  const auto result = launch::run_command({"dot", "-Tsvg", file.string()}, kSeconds);
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  const size_t at = result.output.find("<svg");
  return result.ok() && at != std::string::npos ? result.output.substr(at) : "";
}

}  // namespace throng::service
