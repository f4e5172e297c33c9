#include "framework/engine/run_report.h"

#include <set>

#include "framework/base/files.h"
#include "framework/base/page_parts.h"
#include "framework/base/units.h"
#include "framework/engine/estimate.h"
#include "framework/engine/report_page.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// What the run's report step counted; null where the job has none.
json findings_of(const RunDirectory& run) {
  for (const auto& [id, record] : run.records())
    if (record.op == "report" && fs::exists(run.state(id) / "report.json")) return json::parse(read_file(run.state(id) / "report.json"));
  return nullptr;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

// JSON that may stand inside a script element.
std::string script_safe(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '<' ? "\\u003c" : std::string(1, c);
  return out;
}

// The graph drawn by graphviz; a list of steps where dot is missing.
std::string draw_graph(const json& state, const std::map<std::string, json>& nodes) {
  std::string dot = "digraph job { rankdir=LR; bgcolor=\"transparent\"; node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef3f9\", color=\"#9fb4cc\", fontname=\"sans-serif\", fontsize=11]; edge [color=\"#7d8b99\"];\n";
  std::string list = "<ul>";
  for (const auto& step : state.value("graph", json::array())) {
    std::string id = step["id"], op = step["op"];
    if (op == "(co-locate)") op = "shuffle";
    auto node = nodes.find(id);
    std::string rows = node == nodes.end() ? "" : "\\n" + format_count(node->second["rows"].get<uint64_t>()) + " rows";
    dot += fmt::format("{} [label=\"{}\\n{}{}\"{}];\n", dot_quoted(id), id, op, rows, step["stored"].get<bool>() ? ", penwidth=1.6" : ", style=\"rounded,filled,dashed\"");
    for (const auto& from : step["inputs"]) dot += fmt::format("{} -> {};\n", dot_quoted(from), dot_quoted(id));
    list += "<li>" + escaped(id + " (" + op + ")") + "</li>";
  }
  dot += "}\n";
  const std::string svg = svg_of_dot(dot);
  return svg.empty() ? list + "</ul>" : svg;
}

}  // namespace

std::vector<std::string> report_sentences(const fs::path& run) {
  std::vector<std::string> sentences;
  json findings = findings_of(RunDirectory(run));
  if (findings.is_object())
    for (const auto& s : findings["sentences"]) sentences.push_back(s["text"]);
  return sentences;
}

void write_report(const fs::path& folder) {
  RunDirectory run(folder);
  json state = run.state();
  if (!state.is_object()) state = json::object();
  json findings = findings_of(run);
  auto records = run.records();

  std::map<std::string, json> nodes;
  json steps = json::array();
  const json forecast = state.contains("predicted") ? state["predicted"] : json();
  const int workers = state.value("ranks", 1) * state.value("threads", 1);
  std::vector<std::string> order = state.value("order", std::vector<std::string>());
  for (const auto& id : order) {
    auto it = records.find(id);
    if (it == records.end()) continue;
    const StepRecord& r = it->second;
    for (const auto& [name, node] : r.nodes.items()) {
      nodes[name] = node;
      const bool whole = name == r.id;
      json predicted = predicted_of(forecast, name, workers);
      if (predicted.is_null()) predicted = json::object();
      steps.push_back({{"id", name}, {"op", node["op"]}, {"rows", node["rows"]}, {"predicted", predicted.value("rows", json())}, {"predicted_seconds", predicted.value("seconds", json())}, {"predicted_memory", predicted.value("memory", json())}, {"counters", node["counters"]},
                       {"seconds", whole ? json(r.seconds) : json(node["seconds"])}, {"shuffled", whole ? r.bytes_shuffled : 0}, {"memory", whole ? r.peak_memory_bytes : 0}});
    }
  }
  // What steps have learned or judged, whatever their operator.
  json learned = json::array();
  for (const auto& id : order) {
    const auto it = records.find(id);
    if (it == records.end()) continue;
    json one{{"step", id}, {"op", it->second.op}};
    for (const char* name : {"result", "curve", "profile"})
      if (it->second.metrics.contains(name)) one[name] = it->second.metrics[name];
    if (one.contains("result") || one.contains("curve")) learned.push_back(std::move(one));
  }
  json hot_keys = json::array();
  for (const auto& [id, r] : records)
    for (const auto& key : r.metrics.value("hot_keys", json::array())) hot_keys.push_back(key);
  std::string title = findings.is_object() && !findings.value("title", "").empty() ? findings["title"].get<std::string>() : state.value("job", "run");
  json page{{"title", title}, {"findings", findings}, {"steps", steps}, {"learned", learned}, {"hot_keys", hot_keys}};
  const auto counted = [&](const char* key, const char* one, const char* more) { return fmt::format("{} {}", state.value(key, 1), state.value(key, 1) == 1 ? one : more); };
  page["subtitle"] = fmt::format("{} · {} × {} · {}", state.value("started", ""), counted("ranks", "rank", "ranks"), counted("threads", "thread", "threads"), format_seconds(state.value("seconds", 0.0)));
  page["run"] = json::array({{"job", state.value("job", "")}, {"started", state.value("started", "")}, {"ranks", state.value("ranks", 1)}, {"threads", state.value("threads", 1)},
                             {"seed", state.value("seed", uint64_t{1})}, {"state", state.value("state", "")}});
  std::string language = findings.is_object() ? findings.value("language", "en") : "en";

  std::string chart = chart_code(), licence = chart_licence();  // into the page, never into this repository
  for (size_t at; (at = licence.find("*/")) != std::string::npos;) licence.replace(at, 2, "* /");
  for (size_t at; (at = chart.find("</script")) != std::string::npos;) chart.replace(at, 8, "<\\/script");

  std::string html(report_page::kHtml);
  html = replaced(html, "{{LANGUAGE}}", language);
  html = replaced(html, "{{TITLE}}", replaced(escaped(title), "{{", "{&#123;"));
  html = replaced(html, "{{STYLE}}", std::string(report_page::kStyle));
  html = replaced(html, "{{GRAPH}}", draw_graph(state, nodes));
  html = replaced(html, "{{SCRIPT}}", std::string(report_page::kScript));
  html = replaced(html, "{{DATA}}", script_safe(page.dump(-1, ' ', false, json::error_handler_t::replace)));
  html = replaced(html, "{{CHART_LICENCE}}", chart.empty() ? "" : licence);
  html = replaced(html, "{{CHART_CODE}}", chart);
  write_file_atomically(folder / "report.html", html);
}

}  // namespace throng::engine
