#include "cluster/launch/submission.h"

#include <algorithm>

#include "framework/base/clock.h"
#include "framework/base/file_lock.h"
#include "framework/base/files.h"

namespace throng::launch {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kVersion = 1;
const std::vector<std::string> kStates{"queued", "running", "stopped", "done", "failed", "cancelled"};

fs::path file_of(const fs::path& run) { return run / "submission.json"; }
fs::path lock_file(const fs::path& run) { return run / "submission.lock"; }
fs::path cancel_file(const fs::path& run) { return run / "submission.cancel"; }

json to_json(const Request& r) {
  return {{"launcher", r.launcher}, {"nodes", r.nodes}, {"ranks_per_node", r.ranks_per_node}, {"threads", r.threads}, {"seconds", r.seconds}, {"memory_of_node", r.memory_of_node},
          {"signal_seconds", r.signal_seconds}, {"max_requeues", r.max_requeues}, {"hosts", r.hosts}, {"hostfile", r.hostfile}, {"mpi_args", r.mpi_args}, {"partition", r.partition}, {"account", r.account}, {"qos", r.qos}, {"after", r.after}, {"after_id", r.after_id},
          {"site", r.site.to_json()}, {"run", r.run}};
}

Request request_of(const json& j) {
  Request r;
  r.launcher = j.at("launcher"), r.nodes = j.at("nodes"), r.ranks_per_node = j.at("ranks_per_node"), r.threads = j.at("threads"), r.seconds = j.at("seconds"), r.memory_of_node = j.at("memory_of_node");
  r.signal_seconds = j.at("signal_seconds"), r.max_requeues = j.at("max_requeues"), r.hosts = j.at("hosts"), r.hostfile = j.at("hostfile"), r.mpi_args = j.at("mpi_args");
  r.partition = j.at("partition"), r.account = j.at("account"), r.qos = j.at("qos");
  r.after = j.at("after"), r.after_id = j.at("after_id"), r.site = Site::from_json(j.at("site")), r.run = j.at("run").get<std::vector<std::string>>();
  return r;
}

json to_json(const Allocation& a) {
  return {{"id", a.id}, {"nodes", a.nodes}, {"started", a.started}, {"ended", a.ended}, {"outcome", a.outcome}, {"kept_before", a.kept_before}, {"kept_after", a.kept_after}};
}

Allocation allocation_of(const json& j) {
  return {j.at("id"), j.at("nodes"), j.at("started"), j.at("ended"), j.at("outcome"), j.at("kept_before"), j.at("kept_after")};
}

}  // namespace

std::string state_name(State state) { return kStates[size_t(state)]; }

json Submission::to_json() const {
  json goes = json::array();
  for (const auto& a : allocations) goes.push_back(launch::to_json(a));
  return {{"version", kVersion}, {"name", name}, {"run", run.string()}, {"job", job}, {"request", launch::to_json(request)}, {"state", state_name(state)}, {"id", id}, {"script", script}, {"submitted", submitted},
          {"requeues", requeues}, {"allocations", goes}, {"reason", reason}, {"hint", hint}, {"code", code}};
}

Submission Submission::from_json(const json& j) {
  if (j.at("version") != kVersion) throw system_error("it is of version {}, not {}", j.at("version").dump(), kVersion);
  Submission s;
  s.name = j.at("name"), s.run = j.at("run").get<std::string>(), s.job = j.at("job"), s.request = request_of(j.at("request"));
  const auto at = std::find(kStates.begin(), kStates.end(), j.at("state").get<std::string>());
  if (at == kStates.end()) throw system_error("unknown state '{}'", j.at("state").get<std::string>());
  s.state = State(at - kStates.begin());
  s.id = j.at("id"), s.script = j.at("script"), s.submitted = j.at("submitted"), s.requeues = j.at("requeues"), s.reason = j.at("reason"), s.hint = j.at("hint"), s.code = j.at("code");
  for (const auto& a : j.at("allocations")) s.allocations.push_back(allocation_of(a));
  return s;
}

std::optional<Submission> Submission::read(const fs::path& run) {
  if (!fs::exists(file_of(run))) return {};
  try {
    Submission s = from_json(json::parse(read_file(file_of(run))));
    s.run = fs::weakly_canonical(run);  // the folder may have been moved
    return s;
  } catch (const std::exception& e) {
    throw system_error("{}: is damaged: {}", file_of(run).string(), e.what()).with_hint("remove it, and submit the job file again with this folder as --out; what the run has kept stays");
  }
}

Submission Submission::update(const fs::path& run, const std::function<void(Submission&)>& change) {
  if (!fs::exists(file_of(run))) throw job_error("{}: holds no submission", run.string());
  const FileLock lock(lock_file(run), FileLock::Wait::kUntilFree);
  auto submission = read(run);
  if (!submission) throw job_error("{}: holds no submission", run.string());
  change(*submission);
  submission->write();
  return *submission;
}

void Submission::put(const std::optional<Submission>& before) const {
  const FileLock lock(lock_file(run), FileLock::Wait::kUntilFree);
  const auto now = read(run);
  if (now.has_value() != before.has_value() || (now && now->to_json() != before->to_json()))
    throw job_error("{}: was submitted or changed by another command in this moment", run.string()).with_hint("see 'throng status " + run.string() + "', and submit again");
  write();
}

void Submission::write() const { write_file_atomically(file_of(run), to_json().dump(1)); }

void wish_to_cancel(const fs::path& run) { write_file_atomically(cancel_file(run), utc_text() + "\n"); }
bool cancel_wished(const fs::path& run) { return fs::exists(cancel_file(run)); }
void forget_cancel(const fs::path& run) {
  std::error_code none;
  fs::remove(cancel_file(run), none);
}

fs::path log_of(const fs::path& run) { return run / "submission.log"; }

}  // namespace throng::launch
