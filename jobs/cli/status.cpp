#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/launch/look.h"
#include "framework/base/units.h"
#include "framework/engine/run_directory.h"
#include "jobs/cli/commands.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using launch::Outlook;
using launch::State;
using nlohmann::json;

struct Options {
  std::string name, root = "runs";
  double wait_seconds = 60;
  bool json = false;
};

std::string place_of(const Outlook& o) {
  const auto& s = o.submission;
  if (s.request.launcher == "slurm") return s.id.empty() ? "Slurm" : "Slurm job " + s.id;
  return s.request.launcher == "hosts" ? "hosts" : "this machine";
}

json json_of(const Outlook& o) {
  json j = o.submission.to_json();
  j["written_state"] = j["state"], j["state"] = state_name(o.state), j["detail"] = o.detail, j["reason"] = o.reason, j["hint"] = o.hint;
  return j;
}

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
}

int status(const Options& options) {
  const Outlook o = launch::look(launch::find_submission(options.name, options.root));
  if (!options.json) return print_outlook(o), 0;
  json j = json_of(o);
  j["progress"] = engine::RunDirectory(o.submission.run).state();
  return std::printf("%s\n", j.dump(1).c_str()), 0;
}

// The step under way, in a few words.
std::string progress_of(const Outlook& o) {
  const json state = engine::RunDirectory(o.submission.run).state();
  if (o.state == State::kFailed) return o.reason.substr(0, o.reason.find('\n')).substr(0, 80);
  if (!o.detail.empty()) return o.detail;
  if (o.state != State::kRunning || !state.is_object() || !state.contains("steps")) return "";
  for (const auto& [id, step] : state["steps"].items())
    if (step.value("state", "") == "running") return fmt::format("{} {:.0f} % {}", id, 100 * step.value("fraction", 0.0), step.value("text", ""));
  return "";
}

int list(const Options& options) {
  const auto all = launch::look(launch::submissions_under(options.root));
  if (options.json) {
    json lines = json::array();
    for (const auto& o : all) lines.push_back(json_of(o));
    return std::printf("%s\n", lines.dump(1).c_str()), 0;
  }
  if (all.empty()) return std::printf("no submissions under %s\n", options.root.c_str()), 0;
  size_t widest = 3;
  std::vector<std::string> folders;
  for (const auto& o : all) {
    folders.push_back(fs::proximate(o.submission.run).string());
    widest = std::max(widest, folders.back().size());
  }
  std::printf("%-*s  %-9s  %-16s  %-20s  %s\n", int(widest), "RUN", "STATE", "ON", "SUBMITTED", "");
  for (size_t k = 0; k < all.size(); ++k)
    std::printf("%-*s  %-9s  %-16s  %-20s  %s\n", int(widest), folders[k].c_str(), state_name(all[k].state).c_str(), place_of(all[k]).c_str(), all[k].submission.submitted.c_str(), progress_of(all[k]).c_str());
  return 0;
}

int cancel(const Options& options) {
  const fs::path run = launch::find_submission(options.name, options.root);
  const Outlook before = launch::look(run);
  if (launch::is_over(before.state)) {
    std::printf("%s is %s already\n", before.submission.job.c_str(), state_name(before.state).c_str());
    return 0;
  }
  const Outlook now = launch::cancel(run, options.wait_seconds);
  if (options.json) return std::printf("%s\n", json_of(now).dump(1).c_str()), 0;
  if (launch::is_over(now.state)) std::printf("%s is %s; 'throng submit %s' goes on from what was kept\n", now.submission.job.c_str(), state_name(now.state).c_str(), fs::proximate(run).c_str());
  else std::printf("%s was told to end, and is still %s after %s; 'throng status %s' tells when it has\n", now.submission.job.c_str(), state_name(now.state).c_str(), format_seconds(options.wait_seconds).c_str(), fs::proximate(run).c_str());
  return 0;
}

void add_name(CLI::App& command, Options& options) {
  command.add_option("RUN", options.name, "run directory, name of the job or of the submission, or Slurm's id")->required();
  command.add_option("--runs", options.root, "where run directories are looked for (default runs)");
  command.add_flag("--json", options.json, "print as JSON");
}

}  // namespace

void add_status(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("status", "What a submitted run is doing, or why it ended");
  add_name(*command, *options);
  command->footer("Examples:\n  throng status runs/job\n  throng status 4711 --json");
  command->callback([options, &action] { action = [options] { return status(*options); }; });
}

void add_jobs(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("jobs", "List submitted runs, newest first");
  command->add_option("ROOT", options->root, "where run directories are looked for (default runs)");
  command->add_flag("--json", options->json, "print as JSON");
  command->callback([options, &action] { action = [options] { return list(*options); }; });
}

void add_cancel(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("cancel", "End a submitted run, at a checkpoint where it is running");
  add_name(*command, *options);
  command->add_option("--wait", options->wait_seconds, "seconds to wait for its end (default 60)")->check(CLI::Range(0.0, 1e6));
  command->callback([options, &action] { action = [options] { return cancel(*options); }; });
}

}  // namespace throng::cli
