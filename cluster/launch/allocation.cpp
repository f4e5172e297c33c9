#include "cluster/launch/allocation.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>

#include "cluster/launch/background.h"
#include "cluster/launch/local.h"
#include "cluster/launch/look.h"
#include "cluster/launch/slurm.h"
#include "framework/base/clock.h"
#include "framework/base/host_name.h"
#include "framework/base/units.h"
#include "framework/engine/commit_mark.h"
#include "framework/engine/run_directory.h"

namespace throng::launch {
namespace fs = std::filesystem;
using engine::CommitMark;

namespace {

constexpr int kStalledAllocations = 2;
constexpr double kAboutTheLimit = 90;  // seconds before the limit in which TERM means that the time is up, where Slurm does not say

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text ? text : "";
}

// Slurm's name of the job that this process is in; empty outside.
std::string slurm_id() {
  const std::string array = variable("SLURM_ARRAY_JOB_ID");
  return array.empty() ? variable("SLURM_JOB_ID") : array + "_" + variable("SLURM_ARRAY_TASK_ID");
}

// The batch script had the signal before this program began.
bool warned_before() { return !variable("THRONG_WARNED").empty(); }

void say(const std::string& text) { std::fprintf(stderr, "throng: %s\n", text.c_str()), std::fflush(stderr); }

// Waits until the submission before this one is done. A scheduler's allocation is given back instead: false.
bool wait_for_the_one_before(const Submission& submission, std::string& trouble) {
  const std::string& after = submission.request.after;
  if (after.empty()) return true;
  Outlook first;
  // Slurm is asked by many: less and less.
  for (double wait = 0.2;; wait = std::min(first.submission.request.launcher == "slurm" ? 120.0 : 5.0, wait * 1.3)) {
    try {
      first = look(after);  // settles one that ended without a word
    } catch (const Error& e) {
      return trouble = fmt::format("the run that it was to follow cannot be read: {}", e.message()), true;
    }
    if (first.state == State::kDone) return true;
    if (is_over(first.state)) return trouble = fmt::format("the run that it was to follow is {}: {}", state_name(first.state), after), true;
    if (submission.request.launcher == "slurm") return false;
    if (cancel_wished(submission.run) || signals_seen().end) return true;
    const auto now = Submission::read(submission.run);
    if (!now || now->name != submission.name) return true;
    std::this_thread::sleep_for(std::chrono::duration<double>(wait));
  }
}

// The step that was under way.
std::string step_under_way(const fs::path& run) {
  const auto state = engine::RunDirectory(run).state();
  if (!state.is_object() || !state.contains("steps")) return "";
  for (const auto& [id, step] : state["steps"].items())
    if (step.value("state", "") == "running") return fmt::format("step '{}' ({})", id, step.value("op", ""));
  return "";
}

// Slurm starts it again although someone who looked took it for dead.
bool is_back(const Submission& s) {
  return s.state == State::kFailed && !s.allocations.empty() && s.allocations.back().outcome == "killed" && !variable("SLURM_RESTART_COUNT").empty();
}

class Go {
 public:
  Go(fs::path run, std::string name, std::string program) : run_(std::move(run)), name_(std::move(name)), program_(std::move(program)) {}

  int run() {
    mind_signals();
    Submission submission = *Submission::read(run_);
    const bool in_slurm = submission.request.launcher == "slurm";
    if (in_slurm && slurm_id().empty()) throw job_error("{}: was submitted to Slurm, but this is no job of Slurm's", run_.string());
    if (submission.name != name_) return superseded(submission);
    if (is_over(submission.state) && !is_back(submission)) {
      say(fmt::format("{}: is {} already", run_.string(), state_name(submission.state)));
      return submission.code;
    }
    std::string trouble;
    const bool ready = cancel_wished(run_) || wait_for_the_one_before(submission, trouble);
    if (cancel_wished(run_)) return end(State::kCancelled, 0, "cancelled", "");
    if (!trouble.empty()) return end(State::kFailed, int(Fault::kSystem), trouble, "");
    if (!ready) return go_on_after_the_one_before(submission);
    if (!begin(submission)) return superseded(*Submission::read(run_));
    if (in_slurm) {
      deadline_ = seconds_left(slurm_id());
      if (!deadline_ && submission.request.seconds > 0) deadline_ = submission.request.seconds;
    }
    return start(submission);
  }

 private:
  // Its place in the queue came before the other's end: that one goes on in another job.
  int go_on_after_the_one_before(const Submission& submission) {
    const auto first = Submission::read(submission.request.after);
    if (submission.requeues >= submission.request.max_requeues) return fail(fmt::format("it waited {} times for {}, as often as --max-requeues allows", submission.requeues, submission.request.after), "");
    Submission::update(run_, [](Submission& s) { ++s.requeues; });
    const std::string problem = hand_over(submission, first->id);
    if (!problem.empty()) return end(State::kFailed, int(Fault::kSystem), fmt::format("cannot wait on for {}: {}", submission.request.after, problem), "");
    return int(Fault::kStopped);
  }

  int superseded(const Submission& now) {
    say(fmt::format("{} ends: the run was submitted again as {}", name_, now.name));
    return 0;
  }

  // False where the run is another submission's by now.
  bool begin(const Submission& submission) {
    const bool in_slurm = submission.request.launcher == "slurm";
    bool ours = true;
    Submission::update(run_, [&](Submission& s) {
      if (s.name != name_ || (is_over(s.state) && !is_back(s))) return void(ours = false);
      for (auto& a : s.allocations)
        if (a.outcome == "running") a.outcome = "killed", a.ended = utc_text();  // nobody was left to say so
      Allocation a{in_slurm ? slurm_id() : fmt::format("{}", ::getpid()), in_slurm ? variable("SLURM_JOB_NODELIST") : host_name(), utc_text(), "", "running", CommitMark::of(run_).to_json(), nullptr};
      s.allocations.push_back(a);
      s.state = State::kRunning;
      if (in_slurm) s.id = slurm_id();
      else if (s.id.empty()) s.id = own_id();  // who started it may not come to write it
      s.reason = s.hint = "", s.code = 0;
    });
    return ours;
  }

  int start(const Submission& submission) {
    const Request& request = submission.request;
    LocalOptions options;
    const bool counted = !request.hostfile.empty() || request.hosts.find(':') != request.hosts.npos;  // the hosts say how many
    options.num_ranks = counted ? 0 : request.num_ranks();
    options.hosts = request.hosts, options.hostfile = request.hostfile, options.mpi_args = request.mpi_args;
    options.in_allocation = request.launcher == "slurm", options.threads = request.threads;
    if (options.in_allocation) {
      if (request.site.start == "srun") options.srun_mpi = request.site.mpi;
      options.mpi_args = request.site.mpi_args + " " + options.mpi_args;
    }
    std::vector<std::string> command{program_, "run", (run_ / "job.yaml").string()};
    command.insert(command.end(), request.run.begin(), request.run.end());
    for (const std::string& word : {std::string("--out"), run_.string(), std::string("--threads"), std::to_string(request.threads)}) command.push_back(word);
    if (fs::exists(run_ / "state.json")) command.push_back("--resume");
    say(fmt::format("{} starts {} ranks{}", utc_text(), counted ? "the hosts'" : std::to_string(request.num_ranks()), options.in_allocation ? fmt::format(" on {} in job {}", variable("SLURM_JOB_NODELIST"), slurm_id()) : ""));
    try {
      if (warned_before() || signals_seen().end || signals_seen().warning) throw Error(Fault::kStopped, "told to stop before the ranks were started");
      const int code = run_local(command, options);
      if (code == 0) return end(State::kDone, 0, "", "");
      throw Error(Fault(code), fmt::format("the run ended with code {}", code));
    } catch (const Error& error) {
      return ended(submission, error);
    }
  }

  int ended(const Submission& submission, const Error& error) {
    const bool signalled = warned_before() || signals_seen().warning || signals_seen().end;
    const bool stopped = error.fault() == Fault::kStopped;
    const bool cut = !stopped && signalled && error.fault() == Fault::kSystem;  // the ranks did not come to a checkpoint in time
    if (!stopped && !cut) return end(State::kFailed, error.exit_code(), error.message(), error.fault() == Fault::kSystem && error.hint().find("--resume") != std::string::npos ? fmt::format("throng submit {} goes on", run_.string()) : error.hint());
    say(error.message());
    if (cancel_wished(run_)) return end(State::kCancelled, int(Fault::kStopped), "cancelled", "");
    if (submission.request.launcher == "slurm" && signals_seen().end && !time_is_up()) return ended_from_outside(error);
    if (submission.request.launcher != "slurm") return end(State::kStopped, int(Fault::kStopped), error.message(), fmt::format("throng submit {} goes on", run_.string()));
    return go_on(cut ? "killed" : "stopped", error);
  }

  // Otherwise TERM is from elsewhere: scancel, a node that failed, or another job that takes its place.
  bool time_is_up() const { return ended_by_slurm(slurm_id()).value_or(deadline_ && since_start_.seconds() > *deadline_ - kAboutTheLimit); }

  // Slurm knows whether it comes back: nobody asks for that here, or scancel would be undone.
  int ended_from_outside(const Error& error) {
    close_allocation("stopped");
    Submission::update(run_, [&](Submission& s) {
      s.state = State::kQueued, s.reason = "ended from outside before its time was up: " + error.message(), s.hint = "", s.code = int(Fault::kStopped);
    });
    say("ended from outside before its time was up: whether it goes on is Slurm's to say");
    return int(Fault::kStopped);
  }

  // Asks for another allocation, unless that would lead nowhere.
  int go_on(const std::string& outcome, const Error& error) {
    close_allocation(outcome);
    const Submission submission = *Submission::read(run_);
    const Request& request = submission.request;
    int stalled = 0;
    for (auto a = submission.allocations.rbegin(); a != submission.allocations.rend() && !a->kept_after.is_null(); ++a, ++stalled)
      if (!CommitMark::same(CommitMark::from_json(a->kept_before), CommitMark::from_json(a->kept_after))) break;
    const std::string time = request.seconds > 0 ? "of " + format_duration_of(request.seconds) + " " : "";
    if (stalled >= kStalledAllocations) {
      const std::string step = step_under_way(run_);
      return fail(fmt::format("{}{} allocations {}in a row ended before anything new was kept", step.empty() ? "" : step + ": ", stalled, time),
                  fmt::format("ask for more --time than {}, or let checkpoints come more often: --checkpoint-every for stages, checkpoint_every or checkpoint_after of the step for training; the ranks are told to stop {} before the end (--signal-before)",
                              request.seconds > 0 ? format_duration_of(request.seconds) : "now", format_duration_of(double(request.signal_seconds))));
    }
    if (submission.requeues >= request.max_requeues)
      return fail(fmt::format("{}; it was put back into the queue {} times, as often as --max-requeues allows", error.message(), submission.requeues), fmt::format("throng submit {} goes on", run_.string()));
    if (request.site.requeue == "never") return end(State::kStopped, int(Fault::kStopped), error.message(), fmt::format("throng submit {} goes on", run_.string()));

    // Written first: the job's processes get TERM as soon as Slurm has put it back.
    Submission::update(run_, [&](Submission& s) { s.state = State::kQueued, ++s.requeues; });
    std::string problem;
    if (request.site.requeue == "requeue" && !request.site.leaves_out("requeue")) {
      say("asks Slurm for another allocation");
      for (int attempt = 0; attempt < 6; ++attempt) {  // a controller may be away for a moment
        if (attempt > 0) std::this_thread::sleep_for(std::chrono::seconds(1 << attempt));
        problem = requeue(slurm_id());
        if (problem.empty()) return int(Fault::kStopped);
        if (signals_seen().end || !is_no_answer(problem)) break;
      }
      say("Slurm does not put the job back: " + problem);
    }
    problem = hand_over(submission, slurm_id());
    if (problem.empty()) return int(Fault::kStopped);
    return fail(fmt::format("{}; another allocation cannot be had: {}", error.message(), problem), fmt::format("throng submit {} goes on", run_.string()));
  }

  // A job of the same script that starts when `id` has ended. Empty, or why it could not be submitted.
  std::string hand_over(const Submission& submission, const std::string& id) {
    try {
      std::vector<std::string> flags{"--dependency=afterany:" + id};
      if (const std::string index = variable("SLURM_ARRAY_TASK_ID"); !index.empty()) flags.push_back("--array=" + index);
      // Within a job sbatch takes the job's values from the environment, but those of the script come first.
      const std::string name = fmt::format("{}.{:08x}", submission.name, std::random_device()());  // to be found by, where sbatch gives no answer
      const std::string next = submit_to_slurm(submission.script, name, flags);
      const std::string whole = variable("SLURM_ARRAY_TASK_ID").empty() ? next : next + "_" + variable("SLURM_ARRAY_TASK_ID");
      Submission::update(run_, [&](Submission& s) { s.state = State::kQueued, s.id = whole; });
      say(fmt::format("goes on in job {}", whole));
      return "";
    } catch (const Error& e) {
      return e.message();
    }
  }

  void close_allocation(const std::string& outcome) {
    Submission::update(run_, [&](Submission& s) {
      if (s.allocations.empty() || s.allocations.back().outcome != "running") return;
      auto& a = s.allocations.back();
      a.outcome = outcome, a.ended = utc_text(), a.kept_after = CommitMark::of(run_).to_json();
    });
  }

  int fail(const std::string& reason, const std::string& hint) { return end(State::kFailed, int(Fault::kSystem), reason, hint); }

  int end(State state, int code, const std::string& reason, const std::string& hint) {
    close_allocation(state == State::kDone ? "done" : state == State::kFailed ? "failed" : "stopped");
    Submission::update(run_, [&](Submission& s) { s.state = state, s.code = code, s.reason = reason, s.hint = hint; });
    if (state == State::kFailed) say(reason + (hint.empty() ? "" : "\n  hint: " + hint));
    return code;
  }

  fs::path run_;
  std::string name_, program_;
  std::optional<double> deadline_;  // seconds after the start
  Stopwatch since_start_;
};

}  // namespace

int run_allocation(const fs::path& run, const std::string& name, const std::string& program) {
  if (!Submission::read(run)) throw job_error("{}: holds no submission", run.string());
  return Go(fs::canonical(run), name, program).run();
}

int run_allocations(const std::vector<fs::path>& runs, const std::string& name, const std::string& program) {
  if (runs.size() == 1) return run_allocation(runs[0], name, program);
  int first_code = 0;
  bool ended = false;
  for (const auto& run : runs) try {
      if (ended) {
        Submission::update(run, [&](Submission& s) {
          if (s.name == name && !is_over(s.state)) s.state = State::kStopped, s.reason = "told to stop before its turn came", s.hint = fmt::format("throng submit {} goes on", run.string());
        });
        continue;
      }
      const int log = ::open(log_of(run).c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
      if (log < 0) throw system_error("{}: cannot be written: {}", log_of(run).string(), std::strerror(errno));
      std::fflush(stdout), ::dup2(log, STDOUT_FILENO), ::dup2(log, STDERR_FILENO), ::close(log);
      const int code = run_allocation(run, name, program);
      if (first_code == 0) first_code = code;
      // A TERM for a run that was cancelled is that run's alone.
      if (signals_seen().end && cancel_wished(run)) forget_signals();
      ended = signals_seen().end;
    } catch (const Error& e) {  // its folder is gone, say: the others go on
      say(e.text());
      if (first_code == 0) first_code = e.exit_code();
    }
  return first_code;
}

}  // namespace throng::launch
