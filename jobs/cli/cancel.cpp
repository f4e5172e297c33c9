#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/launch/look.h"
#include "framework/base/units.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/outlook_text.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using launch::Outlook;

struct Options {
  NamedRun run;
  double wait_seconds = 60;
};

int cancel(const Options& options) {
  const fs::path run = launch::find_submission(options.run.name, options.run.root);
  const Outlook before = launch::look(run);
  if (launch::is_over(before.state)) {
    std::printf("%s is %s already\n", before.submission.job.c_str(), state_name(before.state).c_str());
    return 0;
  }
  const Outlook now = launch::cancel(run, options.wait_seconds);
  if (options.run.json) return std::printf("%s\n", json_of(now).dump(1).c_str()), 0;
  if (launch::is_over(now.state)) std::printf("%s is %s; 'throng submit %s' goes on from what was kept\n", now.submission.job.c_str(), state_name(now.state).c_str(), fs::proximate(run).c_str());
  else std::printf("%s was told to end, and is still %s after %s; 'throng status %s' tells when it has\n", now.submission.job.c_str(), state_name(now.state).c_str(), format_seconds(options.wait_seconds).c_str(), fs::proximate(run).c_str());
  return 0;
}

}  // namespace

void add_cancel(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("cancel", "End a submitted run, at a checkpoint where it is running");
  options->run.add_to(*command);
  command->add_option("--wait", options->wait_seconds, "seconds to wait for its end (default 60)")->check(CLI::Range(0.0, 1e6));
  command->callback([options, &action] { action = [options] { return cancel(*options); }; });
}

}  // namespace throng::cli
