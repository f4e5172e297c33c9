// Jobs of people who may not read and write everything that this program may.
#pragma once
#include <string>
#include <vector>

#include "framework/graph/job.h"

namespace throng::cli {

/// Lets relative paths of the job begin at the first of `roots`, and throws the job's faults where it names a file outside of them to
/// read, or one to write that is not below RUN/results. Links are followed: what they lead to counts.
void confine(graph::Job& job, const std::vector<std::string>& roots, graph::Faults& faults);

}  // namespace throng::cli
