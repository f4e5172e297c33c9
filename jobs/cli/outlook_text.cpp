#include "jobs/cli/outlook_text.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace throng::cli {

void NamedRun::add_to(CLI::App& command) {
  command.add_option("RUN", name, "run directory, name of the job or of the submission, or Slurm's id")->required();
  command.add_option("--runs", root, "where run directories are looked for (default runs)");
  command.add_flag("--json", json, "print as JSON");
}

std::string place_of(const launch::Outlook& o) {
  const auto& s = o.submission;
  if (s.request.launcher == "slurm") return s.id.empty() ? "Slurm" : "Slurm job " + s.id;
  return s.request.launcher == "hosts" ? "hosts" : "this machine";
}

nlohmann::json json_of(const launch::Outlook& o) {
  nlohmann::json j = o.submission.to_json();
  j["written_state"] = j["state"], j["state"] = state_name(o.state), j["detail"] = o.detail, j["reason"] = o.reason, j["hint"] = o.hint;
  return j;
}

}  // namespace throng::cli
