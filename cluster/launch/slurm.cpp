#include "cluster/launch/slurm.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <thread>

#include "cluster/launch/command.h"
#include "framework/base/shell.h"
#include "framework/base/units.h"

namespace throng::launch {
namespace {

// Seconds that a command of Slurm may take; a busy controller answers after tens of them. The variable is for tests with a Slurm that hangs.
double patience() {
  const char* text = std::getenv("THRONG_SLURM_TIMEOUT");
  const double seconds = text ? std::atof(text) : 0;
  return seconds > 0 ? seconds : 60;
}

// A value of a directive; within double quotes they and the backslash are special.
std::string for_sbatch(const std::string& value) {
  if (value.find_first_of(" \"\\'#$`;&|<>()*?~") == value.npos) return value;
  std::string text = "\"";
  for (char c : value) text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return text + "\"";
}

// A file's name: sbatch expands %.
std::string with_percent(const std::string& path) {
  std::string text;
  for (char c : path) text += c == '%' ? "%%" : std::string(1, c);
  return text;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::vector<std::string> fields(const std::string& line, char separator) {
  std::vector<std::string> found;
  for (size_t at = 0; at <= line.size();) {
    const size_t end = std::min(line.find(separator, at), line.size());
    found.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

SlurmJob::Known known_of(const std::string& state) {
  const std::string word = state.substr(0, state.find(' '));  // "CANCELLED by 0"
  for (const char* waiting : {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING", "RESV_DEL_HOLD"})
    if (word == waiting) return SlurmJob::Known::kWaiting;
  for (const char* running : {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"})
    if (word == running) return SlurmJob::Known::kRunning;
  return SlurmJob::Known::kEnded;
}

// "(null)", "None" and the like say nothing.
std::string said(const std::string& text) { return text == "(null)" || text == "None" || text == "N/A" || text == "Unknown" ? "" : text; }

}  // namespace

std::string slurm_time(double seconds) {
  const auto whole = int64_t(std::ceil(seconds));
  return fmt::format("{}-{:02}:{:02}:{:02}", whole / 86400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
}

std::string batch_script(const Submission& submission, const std::vector<std::filesystem::path>& runs, const std::filesystem::path& folder, const std::string& program, int at_once) {
  const Request& request = submission.request;
  const Site& site = request.site;
  const bool array = runs.size() > 1;
  std::string text = "#!/bin/bash\n";
  auto directive = [&](const char* name, const std::string& value) {
    if (!value.empty() && !site.leaves_out(name)) text += fmt::format("#SBATCH --{}={}\n", name, for_sbatch(value));
  };
  directive("job-name", submission.name);
  directive("nodes", std::to_string(request.nodes));
  directive("ntasks-per-node", std::to_string(request.ranks_per_node));
  directive("cpus-per-task", std::to_string(request.threads));
  if (request.seconds > 0) directive("time", slurm_time(request.seconds));
  if (request.memory_of_node > 0) directive("mem", fmt::format("{}M", (request.memory_of_node + (1 << 20) - 1) >> 20));
  directive("partition", request.partition.empty() ? site.partition : request.partition);
  directive("account", request.account.empty() ? site.account : request.account);
  directive("qos", request.qos.empty() ? site.qos : request.qos);
  directive("constraint", site.constraint);
  if (array) directive("array", fmt::format("1-{}{}", runs.size(), at_once > 0 ? fmt::format("%{}", at_once) : ""));
  if (!request.after_id.empty()) directive("dependency", (request.after.empty() ? "afterok:" : "afterany:") + request.after_id);
  directive("signal", fmt::format("B:USR1@{}", request.signal_seconds));
  if (!site.leaves_out("requeue")) text += site.requeue == "requeue" ? "#SBATCH --requeue\n" : "#SBATCH --no-requeue\n";
  directive("open-mode", "append");
  directive("output", with_percent(folder.string()) + (array ? "/%a/" : "/") + log_of("").filename().string());
  for (const auto& line : site.directives) text += "#SBATCH " + line + "\n";
  text += fmt::format("# Written by 'throng submit'; 'throng status {}' tells what became of it.\n\n", shell_quoted(folder.string()));
  // Of a job that submitted this one, where there is one.
  text += array ? "unset THRONG_WARNED\n" : "unset THRONG_WARNED SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID\n";
  if (!site.modules.empty() || !site.setup.empty()) text += "trap 'export THRONG_WARNED=1' USR1  # the time may be up before the run begins\n";
  if (!site.modules.empty()) {
    std::string modules;
    for (const auto& module : site.modules) modules += " " + shell_quoted(module);
    text += fmt::format("module load{} || {{ echo 'throng: the modules{} cannot be loaded' >&2; exit 4; }}\n", modules, modules);
  }
  for (const auto& [name, value] : site.environment) text += fmt::format("export {}={}\n", name, shell_quoted(value));
  for (const auto& line : site.setup) text += line + "\n";
  text += fmt::format(
      "# It takes the signals of Slurm from here, ends the ranks at a checkpoint, and asks for another allocation.\n"
      "trap '' USR1\n"
      "exec {} allocation --name {} {}\n",
      shell_quoted(program), submission.name, array ? shell_quoted(folder.string()) + "/\"$SLURM_ARRAY_TASK_ID\"" : shell_quoted(folder.string()));
  return text;
}

std::string submit_to_slurm(const std::filesystem::path& script, const std::string& name, const std::vector<std::string>& flags) {
  std::vector<std::string> words{"sbatch", "--parsable", "--job-name=" + name};
  words.insert(words.end(), flags.begin(), flags.end());
  words.push_back(script.string());
  const CommandResult result = run_command(words, patience());
  if (result.ok()) {
    const std::string id = first_line(result.output);
    const std::string number = id.substr(0, id.find(';'));  // "12;cluster"
    if (!number.empty() && number.find_first_not_of("0123456789") == number.npos) return number;
  }
  if (result.code == 127) throw system_error("{}", first_line(result.errors)).with_hint("Slurm's programs are not on the PATH: submit from a login node of the cluster, or use --on local");
  const bool doubtful = result.ok() || result.timed_out || result.errors.find("imed out") != std::string::npos || result.errors.find("Unable to contact") != std::string::npos;
  if (!doubtful) throw system_error("sbatch refused the job: {}", result.trouble()).with_hint(fmt::format("the script is {}; a site profile (--site) can change or leave out directives", script.string()));
  // It may have worked all the same.
  double wait = 1;
  for (int attempt = 0; attempt < 5; ++attempt, wait *= 2) {
    const CommandResult found = run_command({"squeue", "--noheader", "--format=%F", "--name=" + name}, patience());
    const std::string id = first_line(found.output);
    if (found.ok() && !id.empty() && id.find_first_not_of("0123456789") == id.npos) return id;
    if (attempt < 4) std::this_thread::sleep_for(std::chrono::duration<double>(std::min(wait, patience())));
  }
  throw system_error("sbatch gave no job id ({}), and squeue shows no job named '{}'", result.trouble(), name)
      .with_hint("is the controller up (scontrol ping)? submit again: should the first one have gone through after all, it ends by itself");
}

SlurmJob slurm_job_of_squeue(const std::string& output) {
  SlurmJob job;
  const auto parts = fields(first_line(output), '|');
  if (parts.size() < 3) return job.known = SlurmJob::Known::kGone, job;
  job.state = parts[0], job.reason = said(parts[1]), job.nodes = parts[2];
  job.known = known_of(job.state);
  return job;
}

SlurmJob slurm_job_of_scontrol(const std::string& output) {
  SlurmJob job;
  const std::string line = first_line(output);
  auto field = [&](const std::string& name) -> std::string {
    size_t at = line.find(" " + name + "=");
    if (at == line.npos) return "";
    at += name.size() + 2;
    return line.substr(at, line.find(' ', at) - at);
  };
  job.state = field("JobState");
  if (job.state.empty()) return job.known = SlurmJob::Known::kGone, job;
  job.reason = said(field("Reason")), job.exit_code = field("ExitCode"), job.nodes = said(field("NodeList"));
  job.known = known_of(job.state);
  return job;
}

SlurmJob slurm_job_of_sacct(const std::string& output) {
  SlurmJob job;
  std::string last;
  std::istringstream lines(output);  // one for each time it was started
  for (std::string line; std::getline(lines, line);)
    if (!line.empty()) last = line;
  const auto parts = fields(last, '|');
  if (parts.size() < 2) return job.known = SlurmJob::Known::kGone, job;
  job.state = parts[0], job.exit_code = parts[1];
  if (parts.size() > 2) job.reason = said(parts[2]);
  if (parts.size() > 3) job.nodes = said(parts[3]);
  job.known = known_of(job.state);
  return job;
}

SlurmJob look_at_slurm(const std::string& id) {
  SlurmJob none;
  const CommandResult queue = run_command({"squeue", "--noheader", "--states=all", "--format=%T|%r|%N", "--jobs=" + id}, patience());
  if (queue.timed_out) return none.trouble = queue.trouble(), none;
  const bool unknown = queue.errors.find("Invalid job id") != std::string::npos;
  if (queue.ok())
    if (SlurmJob job = slurm_job_of_squeue(queue.output); job.known == SlurmJob::Known::kWaiting || job.known == SlurmJob::Known::kRunning) return job;
  const CommandResult shown = run_command({"scontrol", "--oneliner", "show", "job", id}, patience());
  if (shown.ok())
    if (SlurmJob job = slurm_job_of_scontrol(shown.output); job.known != SlurmJob::Known::kGone) return job;
  const CommandResult accounted = run_command({"sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", "--starttime=now-30days", "--format=State,ExitCode,Reason,NodeList", "--jobs=" + id}, patience());
  if (accounted.ok())
    if (SlurmJob job = slurm_job_of_sacct(accounted.output); job.known != SlurmJob::Known::kGone) return job;
  if (unknown) none.known = SlurmJob::Known::kGone;
  else none.trouble = queue.ok() ? "it says nothing of job " + id : queue.trouble();
  return none;
}

std::map<std::string, SlurmJob> slurm_queue(const std::vector<std::string>& ids) {
  std::map<std::string, SlurmJob> found;
  if (ids.size() < 2) return found;
  const CommandResult queue = run_command({"squeue", "--noheader", "--array", "--format=%i|%T|%r|%N", "--jobs=" + fmt::format("{}", fmt::join(ids, ","))}, patience());
  if (!queue.ok()) return found;
  std::istringstream lines(queue.output);
  for (std::string line; std::getline(lines, line);) {
    const size_t bar = line.find('|');
    if (bar == line.npos) continue;
    const SlurmJob job = slurm_job_of_squeue(line.substr(bar + 1));
    if (job.known == SlurmJob::Known::kWaiting || job.known == SlurmJob::Known::kRunning) found[line.substr(0, bar)] = job;
  }
  return found;
}

std::string SlurmJob::why() const {
  const std::string word = state.substr(0, state.find(' '));
  std::string text = word == "TIMEOUT"         ? "its time was up"
                     : word == "OUT_OF_MEMORY" ? "a node ran out of memory"
                     : word == "NODE_FAIL"     ? "a node failed"
                     : word == "CANCELLED"     ? "it was cancelled"
                     : word == "PREEMPTED"     ? "another job took its place"
                     : word == "BOOT_FAIL"     ? "a node did not start"
                     : word == "DEADLINE"      ? "its deadline passed"
                                               : "Slurm says " + state;
  if (!reason.empty()) text += fmt::format(" (Slurm: {}{}{})", state, reason == state ? "" : ", " + reason, exit_code.empty() || exit_code == "0:0" ? "" : ", exit code " + exit_code);
  else if (!text.starts_with("Slurm")) text += fmt::format(" (Slurm: {})", state);
  return text;
}

std::optional<double> seconds_of_slurm(const std::string& text) {
  if (text.starts_with("UNLIMITED")) return std::numeric_limits<double>::infinity();
  const size_t dash = text.find('-');
  double total = 0;
  for (const auto& part : fields(dash == text.npos ? text : text.substr(dash + 1), ':')) {
    if (part.empty() || part.find_first_not_of("0123456789") != part.npos) return {};
    total = total * 60 + std::atof(part.c_str());
  }
  if (dash == text.npos) return total;
  if (dash == 0 || text.find_first_not_of("0123456789") != dash) return {};
  return total + 86400 * std::atof(text.c_str());
}

std::optional<double> seconds_left(const std::string& id) {
  const CommandResult queue = run_command({"squeue", "--noheader", "--format=%L", "--jobs=" + id}, patience());
  return queue.ok() ? seconds_of_slurm(first_line(queue.output)) : std::nullopt;
}

std::optional<bool> ended_by_slurm(const std::string& id) {
  const CommandResult shown = run_command({"scontrol", "--oneliner", "show", "job", id}, patience());
  if (!shown.ok() || slurm_job_of_scontrol(shown.output).known == SlurmJob::Known::kGone) return {};
  const size_t at = shown.output.find(" PreemptTime=");
  return shown.output.find(" Reason=TimeLimit ") != shown.output.npos || (at != shown.output.npos && shown.output.compare(at + 13, 4, "None") != 0);
}

bool is_no_answer(const std::string& trouble) {
  for (const char* words : {"no answer", "imed out", "Unable to contact", "Connection refused", "Communication connection failure"})
    if (trouble.find(words) != trouble.npos) return true;
  return false;
}

std::string requeue(const std::string& id) {
  const CommandResult result = run_command({"scontrol", "requeue", id}, patience());
  // Pending: Slurm itself has put it back, for a job that takes its place.
  return result.ok() || result.errors.find("pending") != std::string::npos ? "" : result.trouble();
}

std::string warn_job(const std::string& id) {
  const CommandResult result = run_command({"scancel", "--batch", "--signal=USR1", id}, patience());
  return result.ok() ? "" : result.trouble();
}

std::string scancel(const std::string& id) {
  const CommandResult result = run_command({"scancel", id}, patience());
  if (result.ok() || result.errors.find("Invalid job id") != std::string::npos || result.errors.find("already completing or completed") != std::string::npos) return "";
  return result.trouble();
}

}  // namespace throng::launch
