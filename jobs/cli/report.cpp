#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "framework/base/error.h"
#include "framework/engine/run_report.h"
#include "jobs/cli/commands.h"

namespace throng::cli {

void add_report(CLI::App& app, Action& action) {
  auto run = std::make_shared<std::string>();
  auto* command = app.add_subcommand("report", "Write report.html of a run again, and print its five sentences");
  command->add_option("RUN", *run, "run directory")->required();
  command->footer("Example:\n  throng report runs/quickstart");
  command->callback([run, &action] {
    action = [run] {
      if (!std::filesystem::exists(std::filesystem::path(*run) / "job.yaml")) throw data_error("{}: holds no run (no job.yaml)", *run);
      engine::write_report(*run);
      for (const auto& s : engine::report_sentences(*run)) std::printf("%s\n", s.c_str());
      std::printf("report: %s\n", (std::filesystem::path(*run) / "report.html").c_str());
      return 0;
    };
  });
}

}  // namespace throng::cli
