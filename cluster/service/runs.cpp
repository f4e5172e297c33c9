#include "cluster/service/runs.h"

#include <algorithm>
#include <thread>

#include "cluster/launch/command.h"
#include "cluster/service/descriptions.h"
#include "cluster/service/drawing.h"
#include "cluster/service/token.h"
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

constexpr double kPlanSeconds = 300, kSubmitSeconds = 900;  // beyond what a slow Slurm and its queries may take
constexpr double kCancelSeconds = 60;                       // for a checkpoint, then Slurm ends it
constexpr double kSeenSeconds = 3;
constexpr int kPlansAtOnce = 2;
constexpr size_t kHandedAtOnce = 4;
constexpr auto kLook = std::chrono::seconds(1);  // between looks whether a run's turn has come

std::string new_id() { return utc_text().substr(0, 10) + "-" + random_token().substr(0, 10); }

// Written by a submission that has not come to its launcher.
bool is_cut_off(const launch::Submission& s) { return s.id.empty() && s.allocations.empty() && s.state == State::kQueued; }

// Its command may go on.
bool is_recent(const fs::path& folder) { return std::chrono::duration<double>(fs::file_time_type::clock::now() - fs::last_write_time(folder / "submission.json")).count() < kSubmitSeconds + 10; }

}  // namespace

Runs::Runs(RunsOptions options, Store& store) : options_(std::move(options)), store_(store), folder_of_jobs_(options_.root / ".gateway" / "jobs"), folder_of_removed_(options_.root / ".gateway" / "removed") {
  if (options_.most_workers <= 0) options_.most_workers = int(std::max(1U, std::thread::hardware_concurrency()));
  std::error_code ignored;
  fs::remove_all(folder_of_jobs_, ignored);  // what a killed gateway left
  make_folder(folder_of_jobs_);
  make_folder(folder_of_removed_);
  thread_ = std::thread([this] { loop(); });
  sweeper_ = std::thread([this] { sweep(); });
}

void Runs::give_up() {
  {
    std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_all();
}

Runs::~Runs() {
  give_up();
  thread_.join();
  sweeper_.join();
  for (;;) {
    decltype(workers_) last;
    {
      std::lock_guard lock(mutex_);
      if (workers_.empty()) break;
      last.splice(last.begin(), workers_, workers_.begin());
    }
    last.front().first.join();
  }
}

bool Runs::is_over() {
  std::lock_guard lock(mutex_);
  return over_;
}

json Runs::checked(const std::string& file, const Words& words, bool estimate) {
  std::vector<std::string> command{options_.program, "plan", file, "--json"};
  if (!estimate) command.emplace_back("--no-estimate");
  command.insert(command.end(), words.job.begin(), words.job.end());
  const auto result = launch::run_command(command, kPlanSeconds, [this] { return is_over(); });
  if (result.ok()) return json::parse(result.output);
  if (result.timed_out) refuse(504, "the job could not be planned in time");
  throw Refusal{result.code == int(Fault::kJob) || result.code == int(Fault::kData) ? 422 : 500, {{"error", "the job has faults"}, {"faults", faults_of(result.trouble(), file)}}};
}

namespace {

// A turn among the few that may plan at a time.
class Turn {
 public:
  Turn(std::mutex& mutex, int& taken, int most) : mutex_(mutex), taken_(taken) {
    std::lock_guard lock(mutex_);
    if (taken_ >= most) refuse(503, "other jobs are being checked; try again in a moment");
    ++taken_;
  }
  ~Turn() {
    std::lock_guard lock(mutex_);
    --taken_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::mutex& mutex_;
  int& taken_;
};

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
  const Words words = words_of(request, options_);
  const Turn turn(mutex_, num_plans_, kPlansAtOnce);
  const JobFile file(folder_of_jobs_, new_id(), request["job"]);
  json plan = checked(file.path.string(), words, true);
  plan["drawing"] = drawing_of(plan.value("steps", json::array()));
  return plan;
}

std::string Runs::submit(const json& request, const std::string& user, const std::string& key) {
  if (!key.empty())
    if (const std::string before = store_.run_of_key(user, key); !before.empty()) return before;
  const Words words = words_of(request, options_);
  if (request.contains("after")) {
    if (!request["after"].is_string()) refuse(400, "'after' is no text");
    if (const auto first = store_.run(request["after"]); !first || first->stage == StoredRun::Stage::kRemoved) refuse(422, "'after' names no run");
  }
  StoredRun run;
  run.id = new_id(), run.user = user, run.submitted = utc_text(), run.launcher = launcher_of(request, options_), run.request = request.dump();
  {
    const Turn turn(mutex_, num_plans_, kPlansAtOnce);
    const JobFile file(folder_of_jobs_, run.id, request["job"]);
    if (!request.contains("after")) {  // what an earlier run makes is not there yet
      run.job = checked(file.path.string(), words, false).at("job").get<std::string>();
      check_words(file.path.string(), run.id, words);
    }
  }
  const std::string id = store_.add_run(run, key);
  wake();
  return id;
}

// What the launcher will say of the rest of the request.
void Runs::check_words(const std::string& file, const std::string& id, const Words& words) {
  std::vector<std::string> command{options_.program, "submit", file, "--dry-run", "--no-estimate", "--out", (options_.root / id).string()};
  command.insert(command.end(), words.job.begin(), words.job.end());
  command.insert(command.end(), words.submit.begin(), words.submit.end());
  const auto result = launch::run_command(command, kPlanSeconds, [this] { return is_over(); });
  if (result.timed_out) refuse(504, "the job could not be planned in time");
  if (!result.ok()) throw Refusal{422, {{"error", "the run cannot be had"}, {"faults", faults_of(result.trouble(), file)}}};
}

StoredRun Runs::stored(const std::string& id) const {
  auto run = store_.run(id);
  if (!run || run->stage == StoredRun::Stage::kRemoved) refuse(404, "there is no run '" + id + "'");
  return std::move(*run);
}

void Runs::cancel(const std::string& id) {
  const StoredRun run = stored(id);
  if (store_.move_stage(id, StoredRun::Stage::kAccepted, StoredRun::Stage::kCancelled)) return end_if_begun(id, run.launcher);
  if (store_.move_stage(id, StoredRun::Stage::kResumed, StoredRun::Stage::kHanded)) return;
  if (stored(id).stage != StoredRun::Stage::kHanded) refuse(409, "the run is over already");
  if (launch::is_over(look(run).state)) refuse(409, "the run is over already");
  end(id, run.launcher);
}

// Slurm's way takes time: its ranks are warned, and come to a checkpoint.
void Runs::end(const std::string& id, const std::string& launcher) {
  const fs::path folder = options_.root / id;
  if (launcher != "slurm") return void(launch::cancel(folder, 0));
  launch::wish_to_cancel(folder);
  start("", [this, folder] { launch::run_command({options_.program, "cancel", folder.string(), "--wait", fmt::format("{}", kCancelSeconds)}, kSubmitSeconds, [this] { return is_over(); }); });
}

void Runs::resume(const std::string& id) {
  if (stored(id).stage != StoredRun::Stage::kHanded) refuse(409, "the run has not begun, or waits to go on already");
  const State state = launch::look(options_.root / id).state;
  if (!launch::is_over(state)) refuse(409, "the run goes on already");
  if (state == State::kDone) refuse(409, "the run is done");
  if (!fs::exists(options_.root / id / "job.yaml")) refuse(409, "the run never came to its folder; submit it again");
  if (!store_.move_stage(id, StoredRun::Stage::kHanded, StoredRun::Stage::kResumed)) refuse(409, "the run waits to go on already");
  wake();
}

// Nobody goes on with it, as far as its folder tells.
bool Runs::has_ended(const StoredRun& run) const {
  const fs::path folder = options_.root / run.id;
  try {
    const auto there = launch::Submission::read(folder);
    return !there || (is_cut_off(*there) ? !is_recent(folder) : launch::is_over(launch::look(folder).state));
  } catch (const Error&) {
    return true;  // damaged: no command takes it up
  }
}

void Runs::remove(const std::string& id) {
  using Stage = StoredRun::Stage;
  const StoredRun run = stored(id);
  {
    std::lock_guard lock(mutex_);
    if (handing_.contains(id)) refuse(409, "the run is being handed over");
  }
  if (run.stage == Stage::kAccepted || run.stage == Stage::kResumed || !has_ended(run)) refuse(409, "the run is not over; cancel it first");
  for (const auto& waiting : store_.runs_in(Stage::kAccepted))
    if (json::parse(store_.run(waiting.id).value_or(waiting).request, nullptr, false).value("after", "") == id) refuse(409, "the run " + waiting.id + " is to follow it");
  if (!store_.move_stage(id, run.stage, Stage::kRemoved)) refuse(409, "the run has changed in this moment");
  try {
    remove_folder(id);
  } catch (const Error&) {
    store_.move_stage(id, Stage::kRemoved, run.stage);
    throw;
  }
}

// Out of sight at once, then at leisure.
void Runs::remove_folder(const std::string& id) {
  make_folder(folder_of_removed_);
  std::error_code code;
  fs::rename(options_.root / id, folder_of_removed_ / id, code);
  if (code && code != std::errc::no_such_file_or_directory) throw system_error("{}: cannot be removed: {}", (options_.root / id).string(), code.message());
  fsync_path(options_.root);  // or it might be back after a power cut, and its run not
  store_.remove_run(id);
  {
    std::lock_guard lock(mutex_);
    to_sweep_ = true;
  }
  changed_.notify_all();
}

// Deletes what was removed, also by a gateway before; one thread, which leaves the rest for the next gateway when this one ends.
void Runs::sweep() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return over_ || to_sweep_; });
      if (over_) return;
      to_sweep_ = false;
    }
    std::error_code code;
    for (auto it = fs::directory_iterator(folder_of_removed_, code); !code && it != fs::directory_iterator(); it.increment(code)) remove_tree(it->path());
  }
}

void Runs::remove_tree(const fs::path& path) {
  std::error_code code;
  if (is_over()) return;
  if (fs::is_directory(fs::symlink_status(path, code)))
    for (auto it = fs::directory_iterator(path, code); !code && it != fs::directory_iterator(); it.increment(code)) remove_tree(it->path());
  fs::remove(path, code);
}

void Runs::wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
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
    all.push_back(summary_of(run, known ? &at->second : nullptr));
    if (known && !launch::is_over(at->second.state)) all.back()["progress"] = progress_of(engine::RunDirectory(options_.root / run.id).state());
  }
  return {{"runs", all}, {"total", store_.num_runs()}};
}

json Runs::describe(const std::string& id) {
  const StoredRun run = stored(id);
  if (!has_folder(run)) return description_of(run, {}, nullptr);
  Outlook outlook;
  try {
    outlook = look(run);
  } catch (const Error&) {
    stored(id);  // refuses one that was removed in this moment
    throw;
  }
  return description_of(run, options_.root / id, &outlook);
}

fs::path Runs::folder(const std::string& id) const {
  if (!has_folder(stored(id))) refuse(404, "the run has not begun");
  return options_.root / id;
}

std::string Runs::drawing(const std::string& id) {
  const json state = engine::RunDirectory(folder(id)).state();
  if (!state.is_object() || !state.contains("graph")) refuse(404, "the run has no graph yet");
  return drawing_of(state["graph"]);
}

std::string Runs::metrics() {
  std::vector<telemetry::RunReports> all;
  for (const auto& run : store_.runs(0, 1000)) try {
      if (!has_folder(run) || look(run).state != State::kRunning) continue;
      auto ranks = telemetry::read_ranks(options_.root / run.id);
      ranks.age();
      if (!ranks.ranks.empty()) all.emplace_back(run.id, std::move(ranks.ranks));
    } catch (const Error&) {
      // its folder is gone, or damaged: who asks for that run is told
    }
  return telemetry::prometheus_text(all);
}

// As `launch::look`; Slurm is asked no more than every few seconds.
Outlook Runs::look(const StoredRun& run) {
  const bool cached = run.launcher == "slurm";
  if (cached) {
    std::lock_guard lock(mutex_);
    if (const auto at = seen_.find(run.id); at != seen_.end() && at->second.since.seconds() < kSeenSeconds) return at->second.outlook;
  }
  Outlook outlook = launch::look(options_.root / run.id);
  if (cached) {
    std::lock_guard lock(mutex_);
    std::erase_if(seen_, [](const auto& s) { return s.second.since.seconds() >= kSeenSeconds; });
    seen_[run.id] = {outlook, Stopwatch()};
  }
  return outlook;
}

// Of one handed over on this machine.
bool Runs::is_active(const std::string& id) {
  const fs::path folder = options_.root / id;
  std::error_code code;
  const bool gone = !fs::exists(folder, code) && !code;
  try {
    if (!gone && !launch::is_over(launch::look(folder).state)) return true;
  } catch (const Error&) {
    return true;  // it cannot be read now: its place is kept
  }
  store_.set_ended(id, true);
  return false;
}

// Looks first how far it has come: a gateway may have been killed at any moment, while `throng submit` goes on. Where it cannot be told yet,
// it is left as it is, for a later pass.
void Runs::hand_over(const std::string& id) {
  const auto run = store_.run(id);
  if (!run) return;
  using Stage = StoredRun::Stage;
  const bool resumed = run->stage == Stage::kResumed;
  if (!resumed && run->stage != Stage::kAccepted) return;  // cancelled since
  const fs::path folder = options_.root / id;
  json request = json::parse(run->request);
  if (!request.contains("launcher")) request["launcher"] = run->launcher;  // as it was when the run was accepted
  const auto there = launch::Submission::read(folder);
  const bool cut_off = there && is_cut_off(*there);
  if (cut_off && is_recent(folder)) return;
  if (cut_off) launch::cancel(folder, 0);
  const bool untouched = !there || (there->allocations.empty() && there->id.empty());
  if (!cut_off && (resumed ? there && !launch::is_over(launch::look(folder).state) : !untouched)) {
    store_.move_stage(id, run->stage, Stage::kHanded);
    return;
  }

  std::vector<std::string> command{options_.program, "submit"};
  std::optional<JobFile> file;
  if (resumed) {
    command.push_back(folder.string());
  } else {
    Words words;
    try {
      words = words_of(request, options_);
    } catch (const Refusal& r) {  // what is offered may have changed
      store_.set_stage(id, Stage::kRefused, r.body.value("error", ""));
      return;
    }
    if (request.contains("after")) {
      const auto first = store_.run(request["after"]);
      if (!first || first->stage == Stage::kRefused || first->stage == Stage::kCancelled) {
        store_.set_stage(id, Stage::kRefused, "the run that it was to follow has not run, or was removed");
        return;
      }
      if (first->stage == Stage::kAccepted) return;
      words.submit.push_back("--after=" + (options_.root / first->id).string());
    }
    file.emplace(folder_of_jobs_, id, request["job"]);
    command.push_back(file->path.string());
    command.insert(command.end(), words.job.begin(), words.job.end());
    command.insert(command.end(), words.submit.begin(), words.submit.end());
    command.insert(command.end(), {"--out", folder.string()});
    // What a gateway that was killed had called may go on and come first, and its run may have ended by then.
    if (!there) command.emplace_back("--new");
  }
  command.emplace_back("--json");
  const auto result = launch::run_command(command, kSubmitSeconds, [this] { return is_over(); });
  if (is_over()) return;  // the next gateway sees how far it came
  const auto now = launch::Submission::read(folder);
  std::string why;
  if (!result.ok()) {
    if (now && is_cut_off(*now)) return;
    for (const auto& fault : faults_of(result.trouble(), file ? file->path.string() : "")) why += (why.empty() ? "" : "\n") + fault.value("message", "");
  }
  const bool begun = result.ok() || (now && (!launch::is_over(now->state) || !now->allocations.empty()));
  if (resumed || begun) {
    store_.set_ended(id, false);
    const bool wanted = store_.move_stage(id, run->stage, Stage::kHanded);  // else it was cancelled in the meantime
    store_.set_stage(id, Stage::kHanded, resumed ? why : "");
    if (!wanted && begun) end(id, run->launcher);
  } else if (store_.move_stage(id, Stage::kAccepted, Stage::kRefused)) {
    store_.set_stage(id, Stage::kRefused, why);
  }
}

// A run that was cancelled before it was handed over, as it seemed: a gateway that was killed had begun to.
void Runs::end_if_begun(const std::string& id, const std::string& launcher) {
  const fs::path folder = options_.root / id;
  if (!launch::Submission::read(folder)) return;
  store_.set_stage(id, StoredRun::Stage::kHanded);
  if (!launch::is_over(launch::look(folder).state)) end(id, launcher);
}

// What a gateway that was killed had begun.
void Runs::recover() {
  for (const auto& run : store_.runs_in(StoredRun::Stage::kRemoved)) try {
      remove_folder(run.id);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "throng: warning: run %s: %s\n", run.id.c_str(), e.what());
    }
  for (const auto& run : store_.runs_in(StoredRun::Stage::kCancelled)) try {
      end_if_begun(run.id, run.launcher);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "throng: warning: run %s: %s\n", run.id.c_str(), e.what());
    }
}

// Work that may take long, in a thread of its own; `id`: of a run that it hands over.
void Runs::start(const std::string& id, const std::function<void()>& work) {
  std::lock_guard lock(mutex_);
  for (auto at = workers_.begin(); at != workers_.end();) {
    if (at->second) at->first.join();
    at = at->second ? workers_.erase(at) : std::next(at);
  }
  auto& place = workers_.emplace_back();
  place.first = std::thread([this, id, work, &place] {
    try {
      work();
    } catch (const Refusal& r) {
      std::fprintf(stderr, "throng: warning: run %s: %s\n", id.c_str(), r.body.dump().c_str());
    } catch (const std::exception& e) {
      std::fprintf(stderr, "throng: warning: run %s: %s\n", id.c_str(), e.what());
    }
    std::lock_guard done(mutex_);
    if (!id.empty()) handing_.erase(id), woken_ = true;
    place.second = true;
    changed_.notify_all();
  });
}

// Begins to hand over what has its turn.
void Runs::pass() {
  auto waiting = store_.runs_in(StoredRun::Stage::kResumed);
  for (auto& run : store_.runs_in(StoredRun::Stage::kAccepted)) waiting.push_back(std::move(run));
  std::optional<int> active;  // on this machine
  for (const auto& run : waiting) {
    const bool local = run.launcher == "local";
    if (local && !active) {
      active = 0;
      for (const auto& id : store_.unended_here()) *active += is_active(id);
    }
    {
      std::lock_guard lock(mutex_);
      if (over_ || handing_.size() >= kHandedAtOnce) return;
      if (handing_.contains(run.id)) continue;
      const auto here = std::count_if(handing_.begin(), handing_.end(), [](const auto& h) { return h.second; });
      if (local && *active + here >= options_.at_once) continue;
      handing_[run.id] = local;
    }
    start(run.id, [this, id = run.id] { hand_over(id); });
  }
}

void Runs::loop() {
  try {
    recover();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "throng: warning: %s\n", e.what());
  }
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kLook, [this] { return over_ || woken_; });
      woken_ = false;
      if (over_) return;
    }
    try {
      pass();
    } catch (const std::exception& e) {
      std::fprintf(stderr, "throng: warning: %s\n", e.what());
    }
  }
}

}  // namespace throng::service
