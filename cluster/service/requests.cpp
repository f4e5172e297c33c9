#include "cluster/service/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace throng::service {

using nlohmann::json;

namespace {

// What a request may ask for beside the job: the flag of `throng submit`, and whether it is text or a whole number.
struct Field {
  const char *name, *flag;
  bool is_number;
};
constexpr Field kFields[] = {{"launcher", "--on", false},      {"nodes", "--nodes", true},         {"ranks_per_node", "--ranks-per-node", true}, {"threads", "--threads", true},
                             {"time", "--time", false},        {"memory_per_node", "--memory-per-node", false}, {"partition", "--partition", false},  {"account", "--account", false},
                             {"qos", "--qos", false},          {"signal_before", "--signal-before", false},     {"max_requeues", "--max-requeues", true}, {"memory", "--memory", false},
                             {"checkpoint_every", "--checkpoint-every", false}};

}  // namespace

void refuse(int status, const std::string& error) { throw Refusal{status, {{"error", error}}}; }

json faults_of(std::string text, const std::string& file) {
  if (text.starts_with("throng: ")) text.erase(0, 8);
  json faults = json::array();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("  hint: ") && !faults.empty()) {
      faults.back()["hint"] = line.substr(8);
    } else if (line.starts_with(file + ":")) {
      int row = 0, column = 0, used = 0;
      if (std::sscanf(line.c_str() + file.size(), ":%d:%d: %n", &row, &column, &used) == 2 && used > 0) faults.push_back({{"line", row}, {"column", column}, {"message", line.substr(file.size() + size_t(used))}});
      else faults.push_back({{"message", line.substr(file.size() + 2)}});
    } else if (!line.empty()) {
      faults.push_back({{"message", line}});
    }
  }
  return faults;
}

std::string launcher_of(const json& request, const RunsOptions& options) { return request.value("launcher", options.launchers.front()); }

Words words_of(const json& request, const RunsOptions& options) {
  if (!request.is_object()) refuse(400, "the request is no JSON object");
  if (!request.contains("job") || !request["job"].is_string()) refuse(400, "'job' is missing: the text of a job file");
  Words words;
  for (const auto& [name, value] : request.items()) {
    if (name == "job" || name == "after") continue;
    const auto text = [&, &key = name, &v = value] {
      if (!v.is_string() || v.get_ref<const std::string&>().empty()) refuse(400, "'" + key + "' is no text, or empty");
      return v.get<std::string>();
    };
    if (name == "set") {
      if (!value.is_array()) refuse(400, "'set' is no list");
      for (const auto& one : value) {
        if (!one.is_string() || one.get_ref<const std::string&>().empty()) refuse(400, "'set' has something else than texts in it");
        words.job.push_back("--set=" + one.get<std::string>());
      }
    } else if (name == "seed") {
      if (!value.is_number_unsigned()) refuse(400, "'seed' is no whole number");
      words.job.push_back("--seed=" + value.dump());
    } else {
      const auto* field = std::find_if(std::begin(kFields), std::end(kFields), [&, &key = name](const Field& f) { return key == f.name; });
      if (field == std::end(kFields)) refuse(400, "there is no field '" + name + "'");
      if (field->is_number && !value.is_number_integer()) refuse(400, "'" + name + "' is no whole number");
      words.submit.push_back(std::string(field->flag) + "=" + (field->is_number ? value.dump() : text()));
    }
  }
  const std::string launcher = launcher_of(request, options);
  if (!request.contains("launcher")) words.submit.push_back("--on=" + launcher);
  if (std::find(options.launchers.begin(), options.launchers.end(), launcher) == options.launchers.end()) refuse(400, "'launcher' is '" + launcher + "', which is not offered here");
  if (launcher == "local") {
    const auto asked = [&](const char* name) { return request.contains(name) && request[name].is_number_integer() ? request[name].get<double>() : 1.0; };
    if (const double workers = asked("ranks_per_node") * asked("threads"); workers > options.most_workers) refuse(400, fmt::format("{:.0f} ranks times threads; a run here may have {}", workers, options.most_workers));
  }
  for (const auto& root : options.data_roots) words.job.push_back("--data-root=" + root);
  words.job.push_back("--data-root=" + options.root.string());
  if (launcher == "slurm" && !options.site.empty()) words.submit.push_back("--site=" + options.site);
  return words;
}

}  // namespace throng::service
