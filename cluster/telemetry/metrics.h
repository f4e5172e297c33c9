// The ranks' reports as metrics in Prometheus' text form.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "cluster/telemetry/report.h"

namespace throng::telemetry {

/// A run's name, which is a label of each metric, and its ranks.
using RunReports = std::pair<std::string, std::vector<RankReport>>;

/// Version 0.0.4 of the exposition format (https://prometheus.io/docs/instrumenting/exposition_formats/).
std::string prometheus_text(const std::vector<RunReports>& runs);

}  // namespace throng::telemetry
