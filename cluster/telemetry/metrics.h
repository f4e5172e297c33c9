// The ranks' reports as metrics in Prometheus' text form.
#pragma once
#include <string>
#include <vector>

#include "cluster/telemetry/report.h"

namespace throng::telemetry {

/// Version 0.0.4 of the exposition format (https://prometheus.io/docs/instrumenting/exposition_formats/); `run` is a label of each.
std::string prometheus_text(const std::string& run, const std::vector<RankReport>& reports);

}  // namespace throng::telemetry
