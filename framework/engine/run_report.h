// The report of a run: one self-contained HTML file, and the five sentences it opens with.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace throng::engine {

/// The sentences of the run's `report` step; empty where the job has none.
std::vector<std::string> report_sentences(const std::filesystem::path& run);

/// Writes report.html into the run directory from what the run left there.
void write_report(const std::filesystem::path& run);

}  // namespace throng::engine
