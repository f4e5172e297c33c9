#include "cluster/launch/look.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <thread>

#include "cluster/launch/background.h"
#include "cluster/launch/slurm.h"
#include "framework/base/clock.h"
#include "framework/base/suggest.h"

namespace throng::launch {
namespace fs = std::filesystem;

namespace {

bool of_slurm(const Submission& s) { return s.request.launcher == "slurm"; }
std::string go_on_hint(const Submission& s) { return fmt::format("throng submit {} goes on from what was kept", s.run.string()); }

Outlook as_written(const Submission& s) { return {s, s.state, "", s.reason, s.hint}; }

Outlook ended(const Submission& s, State state, const std::string& reason) {
  Outlook o = as_written(s);
  const bool cancelled = cancel_wished(s.run);
  o.state = cancelled ? State::kCancelled : state;
  o.reason = cancelled ? "cancelled" : reason;
  o.hint = cancelled ? "" : go_on_hint(s);
  return o;
}

// What was found out for good is kept, unless the run itself has said something in the meantime.
Outlook settle(const Submission& seen, const std::string& reason, State state = State::kFailed, const std::string& hint = "") {
  Outlook now = ended(seen, state, reason);
  if (!hint.empty()) now.hint = hint;
  bool changed = false;
  try {
    const Submission written = Submission::update(seen.run, [&](Submission& s) {
      if (s.to_json() != seen.to_json()) return void(changed = true);
      s.state = now.state, s.reason = now.reason, s.hint = now.hint, s.code = s.code ? s.code : int(Fault::kSystem);
      for (auto& a : s.allocations)
        if (a.outcome == "running") a.outcome = "killed", a.ended = utc_text();
    });
    return changed ? as_written(written) : now;
  } catch (const Error&) {
    return now;  // of someone else, say, and not for us to write
  }
}

Outlook with_slurm(const Submission& s, const SlurmJob& job) {
  Outlook o = as_written(s);
  switch (job.known) {
    case SlurmJob::Known::kNoAnswer:
      o.detail = "as last written; Slurm does not answer: " + job.trouble;
      return o;
    case SlurmJob::Known::kGone:
      if (const auto again = Submission::read(s.run); again && is_over(again->state)) return as_written(*again);
      return settle(s, fmt::format("Slurm does not know job {} any more: it ended without a word", s.id));
    case SlurmJob::Known::kWaiting:
      o.state = State::kQueued;
      o.detail = "Slurm: " + (job.reason.empty() ? job.state : job.reason);
      if (s.state == State::kRunning) o.detail += "; Slurm has put it back into the queue";
      if (job.reason == "DependencyNeverSatisfied") o.hint = "the job that it waits for will not end well: throng cancel " + s.run.string();
      return o;
    case SlurmJob::Known::kRunning: o.detail = s.state == State::kQueued ? "Slurm: " + job.state : ""; return o;
    case SlurmJob::Known::kEnded:
      if (const auto again = Submission::read(s.run); again && is_over(again->state)) return as_written(*again);
      return settle(s, job.why(), job.state.starts_with("CANCELLED") ? State::kCancelled : State::kFailed);
  }
  return o;
}

Outlook with_process(const Submission& s) {
  const auto alive = is_alive(s.id);
  Outlook o = as_written(s);
  if (!alive) o.detail = fmt::format("as last written, on {}", s.id.substr(0, s.id.find(':')));
  if (alive != false) return o;
  if (const auto again = Submission::read(s.run); again && is_over(again->state)) return as_written(*again);
  return settle(s, "its process ended without a word: it was killed, or the machine went down");
}

// A rank was killed: whether for its memory, only Slurm knows, and it is asked once.
Outlook with_slurms_reason(const Submission& s) {
  const SlurmJob job = look_at_slurm(s.id);
  const bool ended = job.known == SlurmJob::Known::kEnded;
  if (!ended && job.known != SlurmJob::Known::kGone) return as_written(s);
  const std::string hint = ended && job.state.starts_with("OUT_OF_MEMORY") ? fmt::format("ask for more with --memory-per-node, or fewer ranks on a node: throng submit {} goes on", s.run.string()) : s.hint;
  return settle(s, s.reason + "; " + (ended ? job.why() : "Slurm says no more of it"), State::kFailed, hint);
}

Submission read(const fs::path& run) {
  auto s = Submission::read(run);
  if (!s) throw job_error("{}: holds no submission", run.string()).with_hint("'throng jobs' lists them");
  return *s;
}

}  // namespace

Outlook look(const fs::path& run) {
  const Submission s = read(run);
  if (of_slurm(s) && s.state == State::kFailed && !s.id.empty() && s.reason.find("Slurm") == s.reason.npos && s.reason.find("signal 9") != s.reason.npos) return with_slurms_reason(s);
  if (is_over(s.state) || s.id.empty()) return as_written(s);  // without an id it is about to be handed over
  if (!of_slurm(s)) return with_process(s);
  return with_slurm(s, look_at_slurm(s.id));
}

std::vector<Outlook> look(const std::vector<fs::path>& runs) {
  std::vector<Submission> all;
  std::vector<std::string> ids;
  std::vector<Outlook> found;
  for (const auto& run : runs) {
    try {
      all.push_back(read(run));
    } catch (const Error& e) {  // one that is damaged does not hide the others
      Outlook o;
      o.submission.run = run, o.submission.job = run.filename().string();
      o.state = State::kFailed, o.reason = e.message(), o.hint = e.hint();
      found.push_back(o);
      continue;
    }
    if (!is_over(all.back().state) && of_slurm(all.back()) && !all.back().id.empty()) ids.push_back(all.back().id);
  }
  const auto queue = slurm_queue(ids);
  std::optional<SlurmJob> silent;  // Slurm did not answer once: nobody waits for it again
  for (const auto& s : all) {
    const bool asks = !is_over(s.state) && of_slurm(s) && !s.id.empty();
    const auto at = queue.find(s.id);
    if (!asks) found.push_back(look(s.run));
    else if (at != queue.end()) found.push_back(with_slurm(s, at->second));
    else if (silent) found.push_back(with_slurm(s, *silent));
    else {
      const SlurmJob job = look_at_slurm(s.id);
      if (job.known == SlurmJob::Known::kNoAnswer) silent = job;
      found.push_back(with_slurm(s, job));
    }
  }
  return found;
}

std::vector<fs::path> submissions_under(const fs::path& root) {
  std::vector<std::pair<std::string, fs::path>> found;
  auto take = [&](const fs::path& folder) {
    try {
      if (auto s = Submission::read(folder)) found.emplace_back(s->submitted + s->name, folder);
    } catch (const Error&) {
      found.emplace_back("", folder);  // damaged: whoever looks at it is told so
    }
  };
  std::error_code code;
  for (auto it = fs::directory_iterator(root, code); !code && it != fs::directory_iterator(); it.increment(code)) {
    if (!it->is_directory()) continue;
    take(it->path());
    if (!fs::exists(it->path() / "sweep.json")) continue;
    std::error_code inner;
    for (auto one = fs::directory_iterator(it->path(), inner); !inner && one != fs::directory_iterator(); one.increment(inner))
      if (one->is_directory()) take(one->path());
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second < b.second; });
  std::vector<fs::path> runs;
  for (auto& [time, path] : found) runs.push_back(std::move(path));
  return runs;
}

fs::path find_submission(const std::string& text, const fs::path& root) {
  if (fs::exists(fs::path(text) / "submission.json")) return text;
  if (!text.empty() && fs::exists(root / text / "submission.json")) return root / text;
  if (fs::exists(fs::path(text) / "sweep.json")) throw job_error("{}: is a sweep of several runs", text).with_hint(fmt::format("name one of them, such as {0}/1; 'throng status {0}' shows them", text));
  if (fs::is_directory(text)) throw job_error("{}: holds no submission", text).with_hint("'throng inspect' shows a run that 'throng run' made");
  std::vector<std::string> known;
  std::optional<fs::path> found, of_array;
  for (const auto& run : submissions_under(root)) {
    std::optional<Submission> s;
    try {
      s = Submission::read(run);
    } catch (const Error&) {
      continue;
    }
    known.push_back(s->name), known.push_back(s->job), known.push_back(s->id);
    const bool had_this_id = std::any_of(s->allocations.begin(), s->allocations.end(), [&](const Allocation& a) { return a.id == text; });
    if (!found && (s->name == text || s->id == text || s->job == text || (of_slurm(*s) && had_this_id))) found = run;  // the newest
    if (of_slurm(*s) && s->id.starts_with(text + "_")) of_array = run;
  }
  if (!found && of_array) throw job_error("{} is an array of several runs", text).with_hint(fmt::format("name one of them, such as {}; 'throng status {}' shows them", of_array->string(), of_array->parent_path().string()));
  if (found) return *found;
  const std::string meant = suggest(text, known);
  throw job_error("no submission '{}' under {}", text, root.string()).with_hint(meant.empty() || known.size() > 60 ? "name its run directory; 'throng jobs' lists what there is" : meant);
}

Outlook cancel(const fs::path& run, double wait_seconds) {
  Outlook o = look(run);
  if (is_over(o.state)) return o;
  const Submission& s = o.submission;
  if (!of_slurm(s) && !s.id.empty() && !is_alive(s.id))
    throw system_error("{}: is seen to on {}, which only a command there can end", run.string(), s.id.substr(0, s.id.find(':'))).with_hint("run 'throng cancel' there");
  wish_to_cancel(run);
  const Stopwatch watch;
  auto wait_for_its_end = [&](double seconds, const auto& over) {
    for (double wait = 0.1; watch.seconds() < seconds; wait = std::min(2.0, wait * 1.3)) {
      if (over()) return true;
      std::this_thread::sleep_for(std::chrono::duration<double>(wait));
    }
    return false;
  };
  auto written = [&] { return is_over(read(run).state); };
  if (of_slurm(s) && !s.id.empty()) {
    // Its batch process first: TERM would reach the ranks past it, and srun would kill them.
    const bool runs = s.state == State::kRunning && o.state == State::kRunning;
    if (runs && warn_job(s.id).empty() && wait_for_its_end(wait_seconds, written)) return look(run);
    if (const std::string trouble = scancel(s.id); !trouble.empty()) {
      forget_cancel(run);
      throw system_error("Slurm does not end job {}: {}", s.id, trouble);
    }
    wait_for_its_end(runs ? wait_seconds + 10 : wait_seconds, [&] { return is_over(look(run).state); });
    return look(run);
  }
  if (s.state == State::kRunning) signal_process(s.id, SIGTERM);
  Submission::update(run, [](Submission& now) {
    if (now.state == State::kQueued) now.state = State::kCancelled, now.reason = "cancelled", now.code = int(Fault::kStopped);
  });
  wait_for_its_end(wait_seconds, written);
  return look(run);
}

}  // namespace throng::launch
