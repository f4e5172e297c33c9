// A job as it was when it was submitted: later changes of its file, or of the small files that it names, do not reach it.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "framework/graph/job.h"

namespace throng::cli {

struct FrozenJob {
  std::vector<std::string> overrides;  ///< step.param=value, so that data is found from the run directory and small files are its copies
  std::vector<std::string> warnings;   ///< files that are too large for a copy
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> copies;  ///< from, to

  /// Puts the job file and the copies into the run directory.
  void write(const graph::Job& job, const std::filesystem::path& run) const;
};

/// `graph`: of the job, built and checked. `run`: absolute. Inputs of sources are data and stay where they are.
FrozenJob freeze(const graph::Job& job, const graph::Graph& graph, const std::filesystem::path& run);

}  // namespace throng::cli
