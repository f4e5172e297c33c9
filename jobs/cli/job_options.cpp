#include "jobs/cli/job_options.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "framework/base/units.h"
#include "framework/engine/run_directory.h"
#include "jobs/cli/confine.h"
#include "jobs/spec/yaml_job.h"

namespace throng::cli {
namespace fs = std::filesystem;

void JobOptions::add_to(CLI::App& command) {
  command.add_option("JOB", job, "job file (YAML), or a run directory")->required();
  command.add_option("--set", set, "step.param=value: overrides a parameter (may be repeated)")->take_all()->expected(1)->allow_extra_args(false);
  command.add_option("--plugin", plugins, "shared library with operators of your own (may be repeated)")->expected(1)->allow_extra_args(false)->take_all();
  command.add_option("--data-root", data_roots, "read no file outside this folder, and write to the run directory's results/ alone; relative paths begin at the first (may be repeated)")->expected(1)->allow_extra_args(false)->take_all()->check(CLI::ExistingDirectory);
  command.add_option_function<uint64_t>("--seed", [this](const uint64_t& s) { seed = s, seed_given = true; }, "seed of all random numbers (default: the job's)");
}

uint64_t bytes_of(const char* flag, const std::string& text) {
  auto bytes = parse_bytes(text);
  if (!bytes || bytes->count < (uint64_t{1} << 20)) throw job_error("{} is '{}'; expected at least 1MiB, for example 4GiB", flag, text);
  return bytes->count;
}

double seconds_of(const char* flag, const std::string& text, double least) {
  const auto duration = parse_duration(text == "0" ? "0s" : text);
  const double seconds = duration ? double(duration->microseconds) / 1e6 : -1;
  if (seconds < 0 || (seconds > 0 && seconds < least)) throw job_error("{} is '{}'; expected {}for example 30s or 10m, or 0", flag, text, least > 0 ? fmt::format("at least {}s, ", least) : "");
  return seconds;
}

graph::Job job_of_run(const std::string& run, graph::Faults& faults) {
  engine::RunDirectory directory(run);
  if (!fs::exists(fs::path(run) / "job.yaml")) throw job_error("{}: holds no run (no job.yaml)", run);
  auto state = directory.state();
  std::vector<std::string> overrides;
  if (state.is_object()) overrides = state.value("overrides", overrides);
  graph::Job job = spec::read_job((fs::path(run) / "job.yaml").string(), overrides, faults);
  if (state.is_object()) job.folder = state.value("folder", job.folder), job.seed = state.value("seed", job.seed);
  return job;
}

graph::Job JobOptions::read(graph::Faults& faults) const {
  for (const auto& p : plugins) graph::load_plugin(p);
  graph::Job j = fs::is_directory(job) ? job_of_run(job, faults) : spec::read_job(job, set, faults);
  if (seed_given) j.seed = seed;
  if (!data_roots.empty()) confine(j, data_roots, faults);
  return j;
}

}  // namespace throng::cli
