#include "cluster/service/descriptions.h"

#include "cluster/telemetry/explain.h"
#include "cluster/telemetry/recorder.h"
#include "framework/base/files.h"
#include "framework/engine/run_directory.h"

namespace throng::service {

namespace fs = std::filesystem;
using launch::Outlook;
using launch::State;
using nlohmann::json;

namespace {

std::string name_of_stage(const StoredRun& run) {
  switch (run.stage) {
    case StoredRun::Stage::kRefused: return "refused";
    case StoredRun::Stage::kCancelled: return "cancelled";
    default: return "queued";
  }
}

constexpr size_t kMostPoints = 500;  // of a curve: more cannot be seen apart

json thinned(const json& points) {
  if (!points.is_array() || points.size() <= kMostPoints) return points;
  json few = json::array();
  for (size_t k = 0; k < kMostPoints; ++k) few.push_back(points[k * (points.size() - 1) / (kMostPoints - 1)]);
  return few;
}

// Points of the curves that steps draw while they learn.
json curves_of(const fs::path& run) {
  json curves = json::object();
  std::error_code code;
  for (auto it = fs::directory_iterator(run / "steps", code); !code && it != fs::directory_iterator(); it.increment(code)) {
    const fs::path file = it->path() / "state" / "curve.json";
    std::error_code gone;
    if (!fs::exists(file, gone)) continue;
    if (const json curve = json::parse(read_file(file), nullptr, false); !curve.is_discarded()) curves[it->path().filename().string()] = thinned(curve);
  }
  return curves;
}

}  // namespace

bool has_folder(const StoredRun& run) { return run.stage == StoredRun::Stage::kHanded || run.stage == StoredRun::Stage::kResumed; }

json progress_of(const json& state) {
  if (!state.is_object() || !state.contains("steps")) return nullptr;
  size_t done = 0;
  json now;
  for (const auto& [id, step] : state["steps"].items()) {
    const std::string is = step.value("state", "");
    if (is == "running") now = {{"step", id}, {"fraction", step.value("fraction", 0.0)}, {"text", step.value("text", "")}, {"seconds", step.value("seconds", 0.0)}};
    else ++done;
  }
  return {{"done", done}, {"steps", state.contains("order") ? state["order"].size() : state["steps"].size()}, {"now", now}};
}

json summary_of(const StoredRun& run, const Outlook* outlook) {
  json s{{"number", run.number}, {"id", run.id}, {"job", run.job}, {"user", run.user}, {"submitted", run.submitted}, {"launcher", run.launcher}, {"state", name_of_stage(run)}, {"reason", run.note}, {"detail", ""}};
  if (!outlook) {
    if (run.stage == StoredRun::Stage::kAccepted) s["detail"] = "waits for its turn";
    return s;
  }
  if (run.stage == StoredRun::Stage::kResumed) {
    s["state"] = "queued", s["detail"] = "waits for its turn to go on";
  } else {
    s["state"] = state_name(outlook->state), s["detail"] = outlook->detail, s["hint"] = outlook->hint;
    s["reason"] = outlook->reason + (run.note.empty() ? "" : "\nit could not go on: " + run.note);
  }
  s["ranks"] = outlook->submission.request.num_ranks(), s["threads"] = outlook->submission.request.threads;
  if (!outlook->submission.job.empty()) s["job"] = outlook->submission.job;
  return s;
}

json description_of(const StoredRun& run, const fs::path& folder, const Outlook* outlook) {
  json s = summary_of(run, outlook);
  s["request"] = json::parse(run.request);
  if (!outlook) return s;
  s["allocations"] = outlook->submission.to_json()["allocations"];
  const json state = engine::RunDirectory(folder).state();
  s["progress"] = progress_of(state);
  s["steps"] = state.is_object() ? state.value("steps", json::object()) : json::object();
  s["graph"] = state.is_object() ? state.value("graph", json::array()) : json::array();
  s["order"] = state.is_object() ? state.value("order", json::array()) : json::array();
  s["curves"] = curves_of(folder);
  auto ranks = telemetry::read_ranks(folder);
  if (outlook->state == State::kRunning) ranks.age();
  s["num_ranks"] = ranks.num_ranks;
  s["ranks_age_seconds"] = ranks.age_seconds;
  s["rank_reports"] = json::array();
  for (const auto& r : ranks.ranks) s["rank_reports"].push_back(r.to_json());
  s["ranks_explained"] = launch::is_over(outlook->state) ? json::array() : json(telemetry::explain(ranks.ranks));
  std::error_code code;
  s["has_report"] = fs::exists(folder / "report.html", code);
  return s;
}

}  // namespace throng::service
