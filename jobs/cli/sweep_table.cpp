#include "jobs/cli/sweep_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "cluster/launch/look.h"
#include "framework/base/files.h"
#include "framework/engine/run_directory.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMostColumns = 6;

// Numbers of a tree, each by the names that lead to it.
void add_numbers(const json& tree, const std::string& name, json& out) {
  if (tree.is_number()) out[name] = tree;
  if (!tree.is_object()) return;
  for (const auto& [key, value] : tree.items()) add_numbers(value, name.ends_with(": ") ? name + key : name + " " + key, out);
}

json results_of(const fs::path& run) {
  json results = json::object();
  for (const auto& [id, record] : engine::RunDirectory(run).records()) {
    const json& metrics = record.metrics;
    if (metrics.contains("result")) add_numbers(metrics["result"], id + ": ", results);
    else if (metrics.contains("curve") && metrics["curve"].is_array() && !metrics["curve"].empty()) add_numbers(metrics["curve"].back(), id + ": ", results);
  }
  return results;
}

}  // namespace

json table_of_sweep(const fs::path& folder) {
  json rows = json::parse(read_file(folder / "sweep.json"));
  std::vector<fs::path> runs;
  for (const auto& row : rows) runs.push_back(folder / row.at("run").get<std::string>());
  std::map<std::string, launch::Outlook> found;
  for (auto& outlook : launch::look(runs)) {
    const std::string name = outlook.submission.run.filename().string();
    found[name] = std::move(outlook);
  }
  for (auto& row : rows) {
    const std::string name = row["run"];
    const auto at = found.find(name);
    row["state"] = at == found.end() ? "unknown" : state_name(at->second.state);
    row["reason"] = at == found.end() ? "" : at->second.reason;
    row["results"] = results_of(folder / name);
  }
  return rows;
}

void print_sweep(const fs::path& folder) {
  const json rows = table_of_sweep(folder);
  // What is the same in all runs tells nothing of them.
  std::map<std::string, std::set<std::string>> values;
  std::map<std::string, int> states;
  for (const auto& row : rows) {
    ++states[row["state"]];
    for (const auto& set : row["set"]) values["set " + set.get<std::string>().substr(0, set.get<std::string>().find('='))].insert(set.get<std::string>());
    for (const auto& [name, value] : row["results"].items()) values[name].insert(value.dump());
  }
  std::vector<std::string> columns;
  for (const auto& [name, different] : values)
    if (!name.starts_with("set ") && different.size() > 1 && columns.size() < kMostColumns) columns.push_back(name);

  std::vector<std::vector<std::string>> table{{"RUN", "STATE", "WITH"}};
  table[0].insert(table[0].end(), columns.begin(), columns.end());
  for (const auto& row : rows) {
    std::string with;
    for (const std::string set : row["set"])
      if (values["set " + set.substr(0, set.find('='))].size() > 1) with += (with.empty() ? "" : " ") + set;
    std::vector<std::string> line{row["run"], row["state"], with};
    for (const auto& name : columns) line.push_back(row["results"].contains(name) ? fmt::format("{:.6g}", row["results"][name].get<double>()) : "-");
    table.push_back(std::move(line));
  }
  std::string summary;
  for (const auto& [state, count] : states) summary += fmt::format("{}{} {}", summary.empty() ? "" : ", ", count, state);
  std::printf("%s: a sweep of %zu runs, %s\n", folder.string().c_str(), rows.size(), summary.c_str());
  std::vector<size_t> widths(table[0].size(), 0);
  for (const auto& line : table)
    for (size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  for (const auto& line : table) {
    std::string text = " ";
    for (size_t c = 0; c < line.size(); ++c) text += c >= 3 ? fmt::format(" {:>{}} ", line[c], widths[c]) : fmt::format(" {:<{}} ", line[c], widths[c]);
    std::printf("%s\n", text.substr(0, text.find_last_not_of(' ') + 1).c_str());
  }
}

}  // namespace throng::cli
