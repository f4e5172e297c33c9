// Flags that `run` and `plan` share: which job, which overrides, which plugins.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "framework/graph/job.h"

namespace CLI {
class App;
}

namespace throng::cli {

struct JobOptions {
  std::string job;
  std::vector<std::string> set, plugins, data_roots;
  uint64_t seed = 0;
  bool seed_given = false;

  void add_to(CLI::App& command);
  /// Loads plugins and reads the job file, or the job of a run directory. Faults of the file's form are collected.
  graph::Job read(graph::Faults& faults) const;
};

/// The bytes of a flag such as --memory; a job error where they are none, or less than 1 MiB.
uint64_t bytes_of(const char* flag, const std::string& text);

/// The seconds of a flag such as --checkpoint-every: 0, or `least` and more; a job error otherwise.
double seconds_of(const char* flag, const std::string& text, double least = 0);

/// The job that a run directory was made from, with its overrides and folder. A job error where the folder holds no run.
graph::Job job_of_run(const std::string& run, graph::Faults& faults);

}  // namespace throng::cli
