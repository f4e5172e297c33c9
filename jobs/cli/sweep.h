// Parameter sweeps: --set step.param=a,b,c stands for a run with each, several of them for all combinations.
#pragma once
#include <string>
#include <vector>

namespace throng::cli {

/// The overrides of each run, the last one changing fastest. Commas within brackets, braces and quotes do not separate. At most 10,000 runs: a job error.
std::vector<std::vector<std::string>> sweep_of(const std::vector<std::string>& set);

/// Values between commas, with the same rule.
std::vector<std::string> alternatives(const std::string& text);

}  // namespace throng::cli
