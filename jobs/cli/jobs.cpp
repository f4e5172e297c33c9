#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/launch/look.h"
#include "framework/base/units.h"
#include "framework/engine/run_directory.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/outlook_text.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using launch::Outlook;
using launch::State;
using nlohmann::json;

struct Options {
  std::string root = "runs";
  bool json = false;
};

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

}  // namespace

void add_jobs(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("jobs", "List submitted runs, newest first");
  command->add_option("ROOT", options->root, "where run directories are looked for (default runs)");
  command->add_flag("--json", options->json, "print as JSON");
  command->callback([options, &action] { action = [options] { return list(*options); }; });
}

}  // namespace throng::cli
