// A trial: a job run on the first rows of its sources, through the real engine, beside the real run.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "framework/engine/choices.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {

struct Trial {
  std::map<std::string, StepRecord> records;
  double fraction = 0, seconds = 0;
  std::string trouble;         ///< why it ended early, if it did
  std::optional<Fault> fault;  ///< of that error; none where it is no error of ours (out of memory, say)
};

/// Local, on one thread. Runs the steps on the first `fraction` of each source's rows (at least one), as one partition, in `folder`, which is
/// removed afterwards. Rows and bytes follow from the data alone. Steps that write outside are left out, and what reads from them.
/// It is ended after `limit_seconds` (0: none), at the next place where a step can stop; what was done by then is in the records.
/// `discovered`: what each source found. `look` is called with the finished run before it is removed.
Trial run_trial(graph::Job job, const std::map<std::string, std::string>& discovered, const Choices& choices, double fraction, const std::filesystem::path& folder,
                const std::function<void(const RunDirectory&)>& look = {}, double limit_seconds = 0);

/// The steps that `step` is made of, itself included.
graph::Job steps_before(const graph::Job& job, const std::string& step);

/// Rows of the source as it estimates them; 0 for other operators, -1 where the source does not know.
int64_t estimated_rows(const graph::Operator& op);

/// A growth law carried on to the whole: rows grow by a power of the input (a table of words grows slower than its text), at most linearly.
double grown(double small, double large, double small_fraction, double large_fraction);

}  // namespace throng::engine
