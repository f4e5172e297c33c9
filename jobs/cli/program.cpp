#include <CLI/CLI.hpp>
#include <cstdio>

#include "framework/base/error.h"
#include "framework/base/heap.h"
#include "jobs/cli/commands.h"

namespace throng::cli {

int main(int argc, char** argv) {
  keep_freed_memory();
  std::vector<std::string> arguments(argv, argv + argc);
  CLI::App app("Throng: from raw logs of what people post and do to embeddings, sequence models, topics, trends and a report.", "throng");
  app.set_version_flag("--version", "throng 0.1.0");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  throng init events.csv                 look at a file and write a job for it\n"
      "  throng run job.yaml -n 4               run it on 4 ranks, results in runs/<job>\n"
      "  throng inspect runs/<job>              what came out\n"
      "  throng submit job.yaml --on slurm      hand it to a cluster; then: throng status, logs, cancel, jobs\n"
      "\n"
      "Exit codes: 0 done, 1 a published figure was not reached, 2 job file or flags, 3 data, 4 system, 70 a bug of ours, 75 stopped at a checkpoint.");
  Action action;
  add_init(app, action);
  add_run(app, action, arguments);
  add_plan(app, action);
  add_operators(app, action);
  add_inspect(app, action);
  add_generate(app, action);
  add_export(app, action, arguments);
  add_report(app, action);
  add_apply(app, action, arguments);
  add_reproduce(app, action, arguments);
  add_submit(app, action);
  add_jobs(app, action);
  add_status(app, action);
  add_logs(app, action);
  add_cancel(app, action);
  add_serve(app, action);
  add_allocation(app, action);
  try {
    app.parse(argc, argv);
    return action ? action() : 0;
  } catch (const CLI::ParseError& e) {
    int code = app.exit(e);
    return code == 0 ? 0 : int(Fault::kJob);
  } catch (...) {
    Error error = current_error();
    std::fprintf(stderr, "throng: %s\n", error.text().c_str());
    return error.exit_code();
  }
}

}  // namespace throng::cli
