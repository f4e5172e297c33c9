#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "cluster/launch/look.h"
#include "framework/base/clock.h"
#include "framework/base/stop_signal.h"
#include "jobs/cli/commands.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string name, root = "runs";
  int lines = -1;
  bool follow = false;
};

// Where the last `lines` lines begin.
std::streamoff start_of_last(std::ifstream& file, int lines) {
  file.seekg(0, std::ios::end);
  std::streamoff at = file.tellg();
  if (at <= 0) return 0;
  constexpr std::streamoff kBlock = 4096;
  std::string block;
  int found = -1;  // the newline at the very end closes the last line
  while (at > 0) {
    const std::streamoff from = std::max<std::streamoff>(0, at - kBlock);
    block.resize(size_t(at - from));
    file.seekg(from);
    file.read(block.data(), at - from);
    for (size_t k = block.size(); k-- > 0;)
      if (block[k] == '\n' && ++found == lines) return from + std::streamoff(k) + 1;
    at = from;
  }
  return 0;
}

// Prints what is there from `at` on, and returns where it ended.
std::streamoff print_from(const fs::path& path, std::streamoff at) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return at;
  file.seekg(0, std::ios::end);
  if (file.tellg() < at) at = 0;  // it was begun anew
  file.seekg(at);
  char block[1 << 16];
  while (file.read(block, sizeof block), file.gcount() > 0) {
    std::fwrite(block, 1, size_t(file.gcount()), stdout);
    at += file.gcount();
  }
  std::fflush(stdout);
  return at;
}

int logs(const Options& options) {
  const fs::path run = launch::find_submission(options.name, options.root), log = launch::log_of(run);
  std::streamoff at = 0;
  if (options.lines >= 0)
    if (std::ifstream file(log, std::ios::binary); file) at = start_of_last(file, options.lines);
  at = print_from(log, at);
  if (!options.follow) return 0;
  catch_stop_signals();
  // The file is looked at often; the process or Slurm, who may be asked by many, less and less.
  double until_asked = 2;
  Stopwatch since_asked;
  while (!stop_wished()) {
    const auto written = launch::Submission::read(run);
    bool over = !written || launch::is_over(written->state);
    if (!over && since_asked.seconds() > until_asked) {
      over = launch::is_over(launch::look(run).state);
      until_asked = std::min(120.0, until_asked * 1.5), since_asked = Stopwatch();
    }
    at = print_from(log, at);
    if (over) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  return 0;
}

}  // namespace

void add_logs(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("logs", "Show what a submitted run has printed");
  command->add_option("RUN", options->name, "run directory, name of the job or of the submission, or Slurm's id")->required();
  command->add_option("--runs", options->root, "where run directories are looked for (default runs)");
  command->add_option("--tail", options->lines, "only the last lines")->check(CLI::Range(0, 1000000000));
  command->add_flag("-f,--follow", options->follow, "go on until the run has ended, or Ctrl-C");
  command->callback([options, &action] { action = [options] { return logs(*options); }; });
}

}  // namespace throng::cli
