// What a batch script runs: one go at a submitted run inside an allocation, and what follows from its end.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "cluster/launch/submission.h"

namespace throng::launch {

/// Starts the ranks of the run, minds signals, and writes down what happened. Where the time was up: asks for another allocation, unless
/// two in a row have kept nothing new, or `max_requeues` is reached. Returns the exit code of the run; 75: stopped, and goes on
/// later. `program`: throng's path. `name`: of the submission; where the run was submitted again under another one in the meantime, nothing is done.
int run_allocation(const std::filesystem::path& run, const std::string& name, const std::string& program);

/// Several runs one after the other, each with its output in its own log; the code of the first that was not 0. SIGTERM ends them all, but for a run
/// that was cancelled, which ends alone.
int run_allocations(const std::vector<std::filesystem::path>& runs, const std::string& name, const std::string& program);

}  // namespace throng::launch
