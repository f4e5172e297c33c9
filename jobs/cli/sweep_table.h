// The runs of a sweep beside each other: how far they are, and what each has come to.
#pragma once
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace throng::cli {

/// Of the folder of a sweep: [{"run", "set", "state", "reason", "results"}], where `results` holds the numbers by which steps judge what they have learned,
/// {"step: log_loss": 0.4}, or the last losses of those that only learn.
nlohmann::json table_of_sweep(const std::filesystem::path& folder);

/// The same for people: a line a run, with the numbers in which runs differ.
void print_sweep(const std::filesystem::path& folder);

}  // namespace throng::cli
