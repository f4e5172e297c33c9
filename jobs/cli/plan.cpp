#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "framework/comm/threads_backend.h"
#include "framework/engine/run.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/job_options.h"

namespace throng::cli {

void add_plan(CLI::App& app, Action& action) {
  auto options = std::make_shared<JobOptions>();
  auto* command = app.add_subcommand("plan", "Check a job and show its stages without running it");
  options->add_to(*command);
  command->footer("Example:\n  throng plan job.yaml");
  command->callback([options, &action] {
    action = [options] {
      comm::run_on_threads(1, [&](comm::Communicator& comm) {
        graph::Faults faults;
        graph::Job job = options->read(faults);
        std::printf("%s", engine::prepare(job, comm, std::move(faults)).text().c_str());
      });
      return 0;
    };
  });
}

}  // namespace throng::cli
