#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cluster/launch/look.h"
#include "framework/base/units.h"
#include "framework/engine/run_directory.h"
#include "cluster/telemetry/explain.h"
#include "cluster/telemetry/recorder.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/outlook_text.h"
#include "jobs/cli/sweep_table.h"

namespace throng::cli {
namespace {

using launch::Outlook;
using nlohmann::json;

// What the steps have come to: the run's own state file.
std::vector<std::string> lines_of_steps(const json& state) {
  std::vector<std::string> lines;
  if (!state.is_object() || !state.contains("order")) return lines;
  for (const auto& name : state["order"]) {
    const std::string id = name;
    if (!state["steps"].contains(id)) {
      lines.push_back(fmt::format("  {:<16} {:<18} -", id, ""));
      continue;
    }
    const json& step = state["steps"][id];
    const std::string is = step.value("state", "");
    const std::string rows = format_count(uint64_t(step.value("rows", int64_t{0}))) + " rows";
    lines.push_back(is == "running" ? fmt::format("  {:<16} {:<18} {:<10} {:3.0f} %  {}", id, step.value("op", ""), is, 100 * step.value("fraction", 0.0), step.value("text", ""))
                                    : fmt::format("  {:<16} {:<18} {:<10} {}  {}", id, step.value("op", ""), is, rows, is == "done" ? format_seconds(step.value("seconds", 0.0)) : ""));
  }
  return lines;
}

// What the ranks do, or did when they were last heard of.
std::vector<std::string> lines_of_ranks(const Outlook& o) {
  telemetry::RanksFile file = telemetry::read_ranks(o.submission.run);
  const bool running = o.state == launch::State::kRunning;
  if (file.ranks.empty() || !(running || o.state == launch::State::kFailed)) return {};
  if (running) file.age();
  uint64_t sum = 0, most = 0;
  std::set<std::string> hosts;
  std::set<std::pair<std::string, int>> processes;
  for (auto& r : file.ranks) {
    hosts.insert(r.host);
    if (!processes.insert({r.host, r.pid}).second) continue;  // ranks of one process
    sum += r.resident_bytes, most = std::max(most, r.resident_bytes);
  }
  std::vector<std::string> lines{fmt::format("  {} on {}, {} resident{}{}", file.num_ranks == 1 ? "1 rank" : fmt::format("{} ranks", file.num_ranks), hosts.size() == 1 ? *hosts.begin() : fmt::format("{} hosts", hosts.size()), format_bytes(sum),
                                             processes.size() > 1 ? fmt::format(", at most {} in one", format_bytes(most)) : "", running ? "" : "; when they were last heard of, at " + file.updated + ":")};
  for (const auto& line : telemetry::explain(file.ranks)) lines.push_back("  " + line);
  return lines;
}

void print_outlook(const Outlook& o) {
  const auto& s = o.submission;
  std::printf("%s  %s%s\n", s.job.c_str(), state_name(o.state).c_str(), o.detail.empty() ? "" : (" (" + o.detail + ")").c_str());
  std::printf("  on      %s, submitted %s\n  run     %s\n", place_of(o).c_str(), s.submitted.c_str(), s.run.c_str());
  if (s.allocations.size() > 1 || s.requeues > 0)
    for (size_t k = 0; k < s.allocations.size(); ++k) {
      const auto& a = s.allocations[k];
      std::printf("  %s %s%s%s, %s\n", k == 0 ? "went   " : "       ", a.started.c_str(), a.ended.empty() ? "" : " to ", a.ended.c_str(), (a.outcome + (a.nodes.empty() ? "" : " on " + a.nodes)).c_str());
    }
  if (!o.reason.empty()) std::printf("  reason  %s\n", o.reason.c_str());
  if (!o.hint.empty()) std::printf("  hint    %s\n", o.hint.c_str());
  const auto lines = lines_of_steps(engine::RunDirectory(s.run).state());
  if (!lines.empty()) std::printf("\n");
  for (const auto& line : lines) std::printf("%s\n", line.c_str());
  const auto of_ranks = lines_of_ranks(o);
  if (!of_ranks.empty()) std::printf("\n");
  for (const auto& line : of_ranks) std::printf("%s\n", line.c_str());
}

int status(const NamedRun& options) {
  for (const auto& folder : {std::filesystem::path(options.name), std::filesystem::path(options.root) / options.name})
    if (std::filesystem::exists(folder / "sweep.json")) {
      if (options.json) std::printf("%s\n", json{{"sweep", table_of_sweep(folder)}}.dump(1).c_str());
      else print_sweep(folder);
      return 0;
    }
  const Outlook o = launch::look(launch::find_submission(options.name, options.root));
  if (!options.json) return print_outlook(o), 0;
  json j = json_of(o);
  j["progress"] = engine::RunDirectory(o.submission.run).state();
  auto ranks = telemetry::read_ranks(o.submission.run);
  if (o.state == launch::State::kRunning) ranks.age();
  j["ranks"] = json::array();
  for (const auto& r : ranks.ranks) j["ranks"].push_back(r.to_json());
  j["ranks_age_seconds"] = ranks.age_seconds;
  j["ranks_explained"] = telemetry::explain(ranks.ranks);
  return std::printf("%s\n", j.dump(1).c_str()), 0;
}

}  // namespace

void add_status(CLI::App& app, Action& action) {
  auto options = std::make_shared<NamedRun>();
  auto* command = app.add_subcommand("status", "What a submitted run or sweep is doing, or why it ended");
  options->add_to(*command);
  command->footer("Examples:\n  throng status runs/job\n  throng status runs/sweep      its runs beside each other\n  throng status 4711 --json");
  command->callback([options, &action] { action = [options] { return status(*options); }; });
}

}  // namespace throng::cli
