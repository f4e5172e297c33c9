// Job files: YAML to a graph::Job, every value with its line and column. The door to yaml-cpp.
#pragma once
#include <string>
#include <vector>

#include "framework/graph/job.h"

namespace throng::spec {

/// Reads a job file. Faults of its form are added to `faults`, so that they are reported with those of its content;
/// what could be read comes back. `overrides` are "step.param=value" or "seed=value", values as YAML.
graph::Job read_job(const std::string& path, const std::vector<std::string>& overrides, graph::Faults& faults);
/// The same from text; `file` is what places name.
graph::Job parse_job(const std::string& text, const std::string& file, const std::vector<std::string>& overrides, graph::Faults& faults);

/// A YAML file as a tree, every value with its place. A job error where it is not there or no YAML.
graph::Value read_yaml(const std::string& path, graph::Faults& faults);

}  // namespace throng::spec
