// Who waits for whom, in words.
#pragma once
#include <string>
#include <vector>

#include "cluster/telemetry/report.h"

namespace throng::telemetry {

/// A line for each group of ranks that do the same, those that wait for a second and more last: "rank 1 writes its dataset for 40 s in
/// step 'sessions'", "ranks 0, 2-3 wait for 39 s in exchange 4 of step 'sessions', for rank 1". Ranks that were not heard of for
/// five seconds come first.
std::vector<std::string> explain(const std::vector<RankReport>& reports);

}  // namespace throng::telemetry
