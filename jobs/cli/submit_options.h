// What `throng submit` is told, and what it asks of a launcher.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cluster/launch/submission.h"
#include "framework/engine/plan.h"
#include "jobs/cli/engine_options.h"
#include "jobs/cli/job_options.h"

namespace CLI {
class App;
}

namespace throng::cli {

struct SubmitOptions {
  JobOptions job;
  EngineOptions engine;
  launch::Request request;
  std::string out, time, memory_of_node, signal_before, site, after, root = "runs", hang_timeout;
  int at_once = 0;
  bool array = false, dry_run = false, json = false, only_new = false;
  CLI::App* command = nullptr;

  void add_to(CLI::App& command);
  /// Whether the command line has it.
  bool given(const char* flag) const;
};

/// What the command line says over what `before` says: the request of an earlier submission of the run, or none. A job
/// error where it cannot be asked of the launcher, or has a fault that would else be told when the run's turn has come.
launch::Request request_of(const SubmitOptions& options, const std::optional<launch::Request>& before);

/// Fills in the run or job that must be done first: as said now, or when the run was submitted before.
void resolve_after(const SubmitOptions& options, launch::Request& request);

/// The words of an earlier submission's `throng run`, with what is said anew.
std::vector<std::string> words_again(const SubmitOptions& options, std::vector<std::string> words);

/// What is asked for beside what the plan foresees: a line for each thing to change.
std::vector<std::string> compare_with_plan(const graph::Job& job, const engine::Plan& plan, const SubmitOptions& options, const launch::Request& request);

}  // namespace throng::cli
