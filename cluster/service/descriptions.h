// A run in JSON, as users are told of it.
#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cluster/launch/look.h"
#include "cluster/service/store.h"

namespace throng::service {

/// A launcher has, or had it: it has a folder.
bool has_folder(const StoredRun& run);
/// A line of a list; without `outlook` what the store knows.
nlohmann::json summary_of(const StoredRun& run, const launch::Outlook* outlook);
/// How far a run directory's state.json is; null where there is none.
nlohmann::json progress_of(const nlohmann::json& state);
/// The summary with the request, and of a run with a folder all there is to say, but for files and logs.
nlohmann::json description_of(const StoredRun& run, const std::filesystem::path& folder, const launch::Outlook* outlook);

}  // namespace throng::service
