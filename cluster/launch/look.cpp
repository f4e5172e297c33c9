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

Outlook failed(const Submission& s, const std::string& reason) {
  Outlook o = as_written(s);
  o.state = cancel_wished(s.run) ? State::kCancelled : State::kFailed;
  o.reason = o.state == State::kCancelled ? "cancelled" : reason;
  o.hint = o.state == State::kCancelled ? "" : go_on_hint(s);
  return o;
}

// What was found out for good is kept, unless the run itself has said something in the meantime.
Outlook settle(const Submission& seen, const std::string& reason) {
  Outlook now = failed(seen, reason);
  bool changed = false;
  const Submission written = Submission::update(seen.run, [&](Submission& s) {
    if (s.to_json() != seen.to_json()) return void(changed = true);
    s.state = now.state, s.reason = now.reason, s.hint = now.hint, s.code = int(Fault::kSystem);
    for (auto& a : s.allocations)
      if (a.outcome == "running") a.outcome = "killed", a.ended = utc_text();
  });
  return changed ? as_written(written) : now;
}

Outlook with_slurm(const Submission& s, const SlurmJob& job) {
  Outlook o = as_written(s);
  switch (job.known) {
    case SlurmJob::Known::kNoAnswer:
      o.detail = "as last written; Slurm does not answer: " + job.trouble;
      return o;
    case SlurmJob::Known::kGone:
      // Not a failure by itself: it may have ended this moment.
      if (const auto again = Submission::read(s.run); again && is_over(again->state)) return as_written(*again);
      o.detail = fmt::format("as last written; Slurm does not know job {} any more: it ended without a word", s.id);
      o.hint = go_on_hint(s);
      return o;
    case SlurmJob::Known::kWaiting:
      o.state = State::kQueued;
      o.detail = "Slurm: " + (job.reason.empty() ? job.state : job.reason);
      if (s.state == State::kRunning) o.detail += "; Slurm has put it back into the queue";
      if (job.reason == "DependencyNeverSatisfied") o.hint = "the job that it waits for will not end well: throng cancel " + s.run.string();
      return o;
    case SlurmJob::Known::kRunning: o.detail = s.state == State::kQueued ? "Slurm: " + job.state : ""; return o;
    case SlurmJob::Known::kEnded:
      if (const auto again = Submission::read(s.run); again && is_over(again->state)) return as_written(*again);
      return settle(s, job.why());
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

Submission read(const fs::path& run) {
  auto s = Submission::read(run);
  if (!s) throw job_error("{}: holds no submission", run.string()).with_hint("'throng jobs' lists them");
  return *s;
}

}  // namespace

Outlook look(const fs::path& run) {
  const Submission s = read(run);
  if (is_over(s.state)) return as_written(s);
  if (!of_slurm(s)) return with_process(s);
  if (s.id.empty()) return as_written(s);
  return with_slurm(s, look_at_slurm(s.id));
}

std::vector<Outlook> look(const std::vector<fs::path>& runs) {
  std::vector<Submission> all;
  std::vector<std::string> ids;
  for (const auto& run : runs) {
    all.push_back(read(run));
    if (!is_over(all.back().state) && of_slurm(all.back()) && !all.back().id.empty()) ids.push_back(all.back().id);
  }
  const auto queue = slurm_queue(ids);
  std::vector<Outlook> found;
  for (const auto& s : all) {
    const auto at = queue.find(s.id);
    found.push_back(!is_over(s.state) && of_slurm(s) && at != queue.end() ? with_slurm(s, at->second) : look(s.run));
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
  if (fs::exists(fs::path(text) / "sweep.json")) throw job_error("{}: is a sweep of several runs", text).with_hint(fmt::format("name one of them, such as {}/1; 'throng jobs' lists them", text));
  if (fs::is_directory(text)) throw job_error("{}: holds no submission", text).with_hint("'throng inspect' shows a run that 'throng run' made");
  std::vector<std::string> known;
  std::optional<fs::path> found;
  for (const auto& run : submissions_under(root)) {
    std::optional<Submission> s;
    try {
      s = Submission::read(run);
    } catch (const Error&) {
      continue;
    }
    known.push_back(s->name), known.push_back(s->job), known.push_back(s->id);
    if (!found && (s->name == text || s->id == text || s->job == text)) found = run;  // the newest
  }
  if (found) return *found;
  const std::string meant = suggest(text, known);
  throw job_error("no submission '{}' under {}", text, root.string()).with_hint(meant.empty() || known.size() > 60 ? "name its run directory; 'throng jobs' lists what there is" : meant);
}

Outlook cancel(const fs::path& run, double wait_seconds) {
  Outlook o = look(run);
  if (is_over(o.state)) return o;
  wish_to_cancel(run);
  const Submission& s = o.submission;
  if (of_slurm(s)) {
    if (!s.id.empty())
      if (const std::string trouble = scancel(s.id); !trouble.empty()) {
        forget_cancel(run);
        throw system_error("Slurm does not end job {}: {}", s.id, trouble);
      }
  } else if (s.state == State::kRunning) {
    signal_process(s.id, SIGTERM);
  }
  if (s.state == State::kQueued && (!of_slurm(s) || s.id.empty()))
    Submission::update(run, [](Submission& now) {
      if (now.state == State::kQueued) now.state = State::kCancelled, now.reason = "cancelled", now.code = int(Fault::kStopped);
    });
  const Stopwatch watch;
  for (double wait = 0.1; watch.seconds() < wait_seconds; wait = std::min(2.0, wait * 1.3)) {
    if (is_over(look(run).state)) break;
    std::this_thread::sleep_for(std::chrono::duration<double>(wait));
  }
  return look(run);
}

}  // namespace throng::launch
