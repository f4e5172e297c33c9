#include "cluster/launch/allocation.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "jobs/cli/commands.h"
#include "jobs/cli/ranks.h"

namespace throng::cli {

void add_allocation(CLI::App& app, Action& action) {
  auto runs = std::make_shared<std::vector<std::filesystem::path>>();
  auto* command = app.add_subcommand("allocation", "What a batch script runs: one go at a submitted run")->group("");
  command->add_option("RUN", *runs, "run directory of a submission; several: one after the other")->required();
  auto name = std::make_shared<std::string>();
  command->add_option("--name", *name, "the submission that it is part of")->required();
  command->callback([runs, name, &action] { action = [runs, name] { return launch::run_allocations(*runs, *name, program_path()); }; });
}

}  // namespace throng::cli
