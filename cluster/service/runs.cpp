#include "cluster/service/runs.h"

#include <algorithm>
#include <thread>

#include "cluster/launch/command.h"
#include "cluster/service/drawing.h"
#include "cluster/service/token.h"
#include "cluster/telemetry/explain.h"
#include "cluster/telemetry/metrics.h"
#include "cluster/telemetry/recorder.h"
#include "framework/base/clock.h"
#include "framework/base/files.h"
#include "framework/engine/run_directory.h"

namespace throng::service {

namespace fs = std::filesystem;
using launch::Outlook;
using launch::State;
using nlohmann::json;

namespace {

constexpr double kPlanSeconds = 120, kSubmitSeconds = 120;
constexpr auto kLook = std::chrono::seconds(1);  // between looks whether a run's turn has come

// What a request may ask for beside the job: the flag of `throng submit`, and whether it is text or a whole number.
struct Field {
  const char *name, *flag;
  bool is_number;
};
constexpr Field kFields[] = {{"launcher", "--on", false},      {"nodes", "--nodes", true},         {"ranks_per_node", "--ranks-per-node", true}, {"threads", "--threads", true},
                             {"time", "--time", false},        {"memory_per_node", "--memory-per-node", false}, {"partition", "--partition", false},  {"account", "--account", false},
                             {"qos", "--qos", false},          {"signal_before", "--signal-before", false},     {"max_requeues", "--max-requeues", true}, {"memory", "--memory", false},
                             {"checkpoint_every", "--checkpoint-every", false}};

[[noreturn]] void refuse(int status, const std::string& error) { throw Refusal{status, {{"error", error}}}; }

// The text of a failed verb without this program's name, and its faults with their places in the job file.
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

std::string new_id() { return utc_text().substr(0, 10) + "-" + random_token().substr(0, 10); }

bool has_folder(const StoredRun& run) { return run.stage == StoredRun::Stage::kHanded || run.stage == StoredRun::Stage::kResumed; }

std::string name_of_stage(const StoredRun& run) {
  switch (run.stage) {
    case StoredRun::Stage::kRefused: return "refused";
    case StoredRun::Stage::kCancelled: return "cancelled";
    default: return "queued";
  }
}

// The step under way.
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

// Points of the curves that steps draw while they learn.
json curves_of(const fs::path& run) {
  json curves = json::object();
  std::error_code code;
  for (auto it = fs::directory_iterator(run / "steps", code); !code && it != fs::directory_iterator(); it.increment(code)) {
    const fs::path file = it->path() / "state" / "curve.json";
    std::error_code gone;
    if (!fs::exists(file, gone)) continue;
    if (const json curve = json::parse(read_file(file), nullptr, false); !curve.is_discarded()) curves[it->path().filename().string()] = curve;
  }
  return curves;
}

}  // namespace

Runs::Runs(RunsOptions options, Store& store) : options_(std::move(options)), store_(store), folder_of_jobs_(options_.root / ".gateway" / "jobs") {
  if (options_.most_ranks <= 0) options_.most_ranks = int(std::max(1U, std::thread::hardware_concurrency()));
  make_folder(folder_of_jobs_);
  thread_ = std::thread([this] { loop(); });
}

Runs::~Runs() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Runs::Words Runs::words_of(const json& request) const {
  if (!request.is_object()) refuse(400, "the request is no JSON object");
  if (!request.contains("job") || !request["job"].is_string()) refuse(400, "'job' is missing: the text of a job file");
  Words words;
  for (const auto& [name, value] : request.items()) {
    if (name == "job" || name == "after") continue;
    const auto text = [&, &key = name, &v = value] {
      if (!v.is_string()) refuse(400, "'" + key + "' is no text");
      return v.get<std::string>();
    };
    if (name == "set") {
      if (!value.is_array()) refuse(400, "'set' is no list");
      for (const auto& one : value) {
        if (!one.is_string()) refuse(400, "'set' has something else than texts in it");
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
  const std::string launcher = request.value("launcher", "local");
  if (std::find(options_.launchers.begin(), options_.launchers.end(), launcher) == options_.launchers.end()) refuse(400, "'launcher' is '" + launcher + "', which is not offered here");
  if (launcher == "local" && request.value("ranks_per_node", 1) > options_.most_ranks) refuse(400, fmt::format("'ranks_per_node' is {}; a run here may have {}", request["ranks_per_node"].dump(), options_.most_ranks));
  for (const auto& root : options_.data_roots) words.job.push_back("--data-root=" + root);
  words.job.push_back("--data-root=" + options_.root.string());
  if (launcher == "slurm" && !options_.site.empty()) words.submit.push_back("--site=" + options_.site);
  return words;
}

json Runs::checked(const std::string& file, const Words& words, bool estimate) const {
  std::vector<std::string> command{options_.program, "plan", file, "--json"};
  if (!estimate) command.emplace_back("--no-estimate");
  command.insert(command.end(), words.job.begin(), words.job.end());
  const auto result = launch::run_command(command, kPlanSeconds);
  if (result.ok()) return json::parse(result.output);
  if (result.timed_out) refuse(504, "the job could not be planned in time");
  throw Refusal{result.code == int(Fault::kJob) || result.code == int(Fault::kData) ? 422 : 500, {{"error", "the job has faults"}, {"faults", faults_of(result.trouble(), file)}}};
}

namespace {

// A job file for as long as a verb needs it.
struct JobFile {
  fs::path path;
  JobFile(const fs::path& folder, const std::string& name, const std::string& text) : path(folder / (name + ".yaml")) { write_file_atomically(path, text); }
  ~JobFile() {
    std::error_code ignored;
    fs::remove(path, ignored);
  }
};

}  // namespace

json Runs::plan(const json& request) {
  const Words words = words_of(request);
  const JobFile file(folder_of_jobs_, new_id(), request["job"]);
  json plan = checked(file.path.string(), words, true);
  plan["drawing"] = drawing_of(plan.value("steps", json::array()), folder_of_jobs_);
  return plan;
}

std::string Runs::submit(const json& request, const std::string& user, const std::string& key) {
  const Words words = words_of(request);
  if (request.contains("after")) {
    if (!request["after"].is_string()) refuse(400, "'after' is no text");
    if (!store_.run(request["after"])) refuse(422, "'after' names no run");
  }
  StoredRun run;
  run.id = new_id(), run.user = user, run.submitted = utc_text(), run.request = request.dump();
  {
    const JobFile file(folder_of_jobs_, run.id, request["job"]);
    // What an earlier run makes is not there yet.
    run.job = request.contains("after") ? "" : checked(file.path.string(), words, false).at("job").get<std::string>();
  }
  const std::string id = store_.add_run(run, key);
  wake();
  return id;
}

StoredRun Runs::stored(const std::string& id) const {
  auto run = store_.run(id);
  if (!run) refuse(404, "there is no run '" + id + "'");
  return std::move(*run);
}

void Runs::cancel(const std::string& id) {
  const StoredRun run = stored(id);
  if (store_.move_stage(id, StoredRun::Stage::kAccepted, StoredRun::Stage::kCancelled)) return;
  if (store_.move_stage(id, StoredRun::Stage::kResumed, StoredRun::Stage::kHanded)) return;
  if (run.stage != StoredRun::Stage::kHanded && stored(id).stage != StoredRun::Stage::kHanded) refuse(409, "the run is over already");
  const fs::path folder = options_.root / id;
  if (launch::is_over(launch::look(folder).state)) refuse(409, "the run is over already");
  launch::cancel(folder, 0);
}

void Runs::resume(const std::string& id) {
  if (stored(id).stage != StoredRun::Stage::kHanded) refuse(409, "the run has not begun, or waits to go on already");
  const State state = launch::look(options_.root / id).state;
  if (!launch::is_over(state)) refuse(409, "the run goes on already");
  if (state == State::kDone) refuse(409, "the run is done");
  if (!store_.move_stage(id, StoredRun::Stage::kHanded, StoredRun::Stage::kResumed)) refuse(409, "the run waits to go on already");
  wake();
}

void Runs::wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

json Runs::summary(const StoredRun& run, const Outlook* outlook) const {
  const json request = json::parse(run.request);
  json s{{"number", run.number}, {"id", run.id}, {"job", run.job}, {"user", run.user}, {"submitted", run.submitted}, {"launcher", request.value("launcher", "local")}, {"state", name_of_stage(run)}, {"reason", run.note}, {"detail", ""}};
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

json Runs::list(int64_t before, int limit) {
  const auto runs = store_.runs(before, limit);
  std::vector<fs::path> folders;
  for (const auto& run : runs)
    if (has_folder(run)) folders.push_back(options_.root / run.id);
  std::map<fs::path, Outlook> found;
  for (auto& outlook : launch::look(folders)) {
    const fs::path folder = outlook.submission.run;
    found[folder.filename()] = std::move(outlook);
  }
  json all = json::array();
  for (const auto& run : runs) {
    const auto at = found.find(run.id);
    const bool known = has_folder(run) && at != found.end();
    all.push_back(summary(run, known ? &at->second : nullptr));
    if (known && !launch::is_over(at->second.state)) all.back()["progress"] = progress_of(engine::RunDirectory(options_.root / run.id).state());
  }
  return {{"runs", all}, {"total", store_.num_runs()}};
}

json Runs::describe(const std::string& id) {
  const StoredRun run = stored(id);
  const fs::path folder = options_.root / id;
  if (!has_folder(run)) {
    json s = summary(run, nullptr);
    s["request"] = json::parse(run.request);
    return s;
  }
  const Outlook outlook = launch::look(folder);
  json s = summary(run, &outlook);
  s["request"] = json::parse(run.request);
  s["allocations"] = outlook.submission.to_json()["allocations"];
  const json state = engine::RunDirectory(folder).state();
  s["progress"] = progress_of(state);
  s["steps"] = state.is_object() ? state.value("steps", json::object()) : json::object();
  s["graph"] = state.is_object() ? state.value("graph", json::array()) : json::array();
  s["order"] = state.is_object() ? state.value("order", json::array()) : json::array();
  s["curves"] = curves_of(folder);
  const auto ranks = telemetry::read_ranks(folder);
  s["num_ranks"] = ranks.num_ranks;
  s["ranks_age_seconds"] = ranks.age_seconds;
  s["rank_reports"] = json::array();
  for (const auto& r : ranks.ranks) s["rank_reports"].push_back(r.to_json());
  s["ranks_explained"] = launch::is_over(outlook.state) ? json::array() : json(telemetry::explain(ranks.ranks));
  std::error_code code;
  s["has_report"] = fs::exists(folder / "report.html", code);
  return s;
}

fs::path Runs::folder(const std::string& id) const {
  if (!has_folder(stored(id))) refuse(404, "the run has not begun");
  return options_.root / id;
}

std::string Runs::drawing(const std::string& id) {
  const json state = engine::RunDirectory(folder(id)).state();
  if (!state.is_object() || !state.contains("graph")) refuse(404, "the run has no graph yet");
  return drawing_of(state["graph"], folder_of_jobs_);
}

std::string Runs::metrics() {
  std::vector<telemetry::RunReports> all;
  for (const auto& run : store_.runs(0, 1000)) {
    if (!has_folder(run) || !is_active(run)) continue;
    auto ranks = telemetry::read_ranks(options_.root / run.id);
    if (!ranks.ranks.empty()) all.emplace_back(run.id, std::move(ranks.ranks));
  }
  return telemetry::prometheus_text(all);
}

bool Runs::is_active(const StoredRun& run) {
  {
    std::lock_guard lock(mutex_);
    if (ended_.contains(run.id)) return false;
  }
  try {
    if (!launch::is_over(launch::look(options_.root / run.id).state)) return true;
  } catch (const Error&) {
    // its folder is gone
  }
  std::lock_guard lock(mutex_);
  ended_.insert(run.id);
  return false;
}

// True where it left the stage of waiting.
bool Runs::hand_over(const StoredRun& run) {
  const fs::path folder = options_.root / run.id;
  const json request = json::parse(run.request);
  std::vector<std::string> command{options_.program, "submit"};
  std::optional<JobFile> file;
  if (run.stage == StoredRun::Stage::kResumed) {
    if (!launch::is_over(launch::look(folder).state)) {  // by a gateway that was killed then
      store_.move_stage(run.id, StoredRun::Stage::kResumed, StoredRun::Stage::kHanded);
      return true;
    }
    command.push_back(folder.string());
  } else if (const auto there = launch::Submission::read(folder)) {
    // Handed over before this gateway was started anew, unless that was cut off on its way.
    const bool cut_off = there->allocations.empty() && there->id.empty();
    const double age = std::chrono::duration<double>(fs::file_time_type::clock::now() - fs::last_write_time(folder / "submission.json")).count();
    if (!cut_off) {
      store_.move_stage(run.id, StoredRun::Stage::kAccepted, StoredRun::Stage::kHanded);
      return true;
    }
    if (!launch::is_over(there->state) && age < kSubmitSeconds + 10) return false;  // it may still be on its way
    if (!launch::is_over(there->state)) launch::cancel(folder, 0);
    command.push_back(folder.string());
  } else {
    Words words;
    try {
      words = words_of(request);
    } catch (const Refusal& r) {  // what is offered may have changed
      store_.set_stage(run.id, StoredRun::Stage::kRefused, r.body.value("error", ""));
      return true;
    }
    if (request.contains("after")) {
      const auto first = store_.run(request["after"]);
      if (!first || first->stage == StoredRun::Stage::kRefused || first->stage == StoredRun::Stage::kCancelled) {
        store_.set_stage(run.id, StoredRun::Stage::kRefused, "the run that it was to follow has not run");
        return true;
      }
      if (first->stage == StoredRun::Stage::kAccepted) return false;
      words.submit.push_back("--after=" + (options_.root / first->id).string());
    }
    file.emplace(folder_of_jobs_, run.id, request["job"]);
    command.push_back(file->path.string());
    command.insert(command.end(), words.job.begin(), words.job.end());
    command.insert(command.end(), words.submit.begin(), words.submit.end());
    command.insert(command.end(), {"--out", folder.string()});
  }
  command.emplace_back("--json");
  const auto result = launch::run_command(command, kSubmitSeconds);
  std::string why;
  if (!result.ok())
    for (const auto& fault : faults_of(result.trouble(), file ? file->path.string() : "")) why += (why.empty() ? "" : "\n") + fault.value("message", "");
  if (run.stage == StoredRun::Stage::kResumed) {
    {
      std::lock_guard lock(mutex_);
      ended_.erase(run.id);
    }
    if (!store_.move_stage(run.id, StoredRun::Stage::kResumed, StoredRun::Stage::kHanded)) return true;
    store_.set_stage(run.id, StoredRun::Stage::kHanded, why);
  } else if (result.ok() || launch::Submission::read(folder)) {
    if (!store_.move_stage(run.id, StoredRun::Stage::kAccepted, StoredRun::Stage::kHanded)) {  // cancelled in the meantime
      launch::cancel(folder, 0);
      store_.set_stage(run.id, StoredRun::Stage::kHanded);
    }
  } else {
    store_.set_stage(run.id, StoredRun::Stage::kRefused, why);
  }
  return true;
}

void Runs::loop() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLook, [this] { return over_ || woken_; });
      woken_ = false;
      if (over_) return;
    }
    try {
      auto waiting = store_.runs_in(StoredRun::Stage::kResumed);
      for (auto& run : store_.runs_in(StoredRun::Stage::kAccepted)) waiting.push_back(std::move(run));
      if (waiting.empty()) continue;
      int active = 0;
      bool counted = false;
      for (const auto& run : waiting) {
        const bool local = json::parse(run.request).value("launcher", "local") == "local";
        if (local && !counted) {
          counted = true;
          for (const auto& one : store_.runs(0, 10000))
            if (one.stage == StoredRun::Stage::kHanded && json::parse(one.request).value("launcher", "local") == "local") active += is_active(one);
        }
        if (local && active >= options_.at_once) continue;
        if (hand_over(run) && local) ++active;
        std::lock_guard lock(mutex_);
        if (over_) return;
      }
    } catch (const std::exception& e) {
      std::fprintf(stderr, "throng: warning: %s\n", e.what());
    }
  }
}

}  // namespace throng::service
