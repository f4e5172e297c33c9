#include "cluster/launch/local.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <regex>

#include "cluster/launch/ending.h"
#include "framework/base/clock.h"
#include "framework/base/files.h"
#include "framework/base/host_name.h"
#include "framework/base/temporary_folder.h"

namespace throng::launch {
namespace {

constexpr const char* kErrorFileVariable = "THRONG_ERROR_FILE";
constexpr const char* kLauncherHostVariable = "THRONG_LAUNCHER_HOST";
constexpr const char* kCodeMark = "throng-code: ";  // begins a line of stderr: the code to end with
constexpr const char* kErrorMark = "throng-error: ";  // begins a line of a rank on another host; what follows is the packed error
constexpr int kGraceSeconds = 10;                      // for mpirun, after a rank reported an error
constexpr int kTermSeconds = 15;                        // in an allocation, for ranks after TERM: KILL comes 30 s after it, as Slurm is set up at first
constexpr double kTellAgainSeconds = 1;
constexpr size_t kKeptErrorBytes = 1 << 16;

volatile std::sig_atomic_t mpirun_pid = 0, warned = 0, ended_by_signal = 0;
void pass_on(int signal) {
  (signal == SIGUSR1 ? warned : ended_by_signal) = 1;
  if (mpirun_pid > 0) ::kill(pid_t(mpirun_pid), SIGUSR1);
}

// The end of what mpirun and the ranks wrote to stderr: shown only when no rank told an error itself.
class Tail {
 public:
  void add(const char* data, size_t n) {
    text_.append(data, n);
    if (text_.size() > 2 * kKeptErrorBytes) text_.erase(0, text_.size() - kKeptErrorBytes);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// The error that ended the ranks, where one of them told it.
std::optional<Error> reported_error(const std::string& file, const std::string& output) {
  if (std::filesystem::exists(file)) return Error::unpack(read_file(file));
  size_t at = output.rfind(kErrorMark);
  if (at == output.npos) return {};
  at += std::strlen(kErrorMark);
  try {
    return Error::unpack(output.substr(at, output.find('\n', at) - at));
  } catch (const std::exception&) {
    return {};  // another rank wrote into the line, or its end is still to come
  }
}

std::vector<std::string> split_like_a_shell(const std::string& text) {
  wordexp_t words{};
  if (::wordexp(text.c_str(), &words, WRDE_NOCMD) != 0) throw job_error("--mpi-args is '{}'; expected words, quoted as in a shell", text);
  std::vector<std::string> found(words.we_wordv, words.we_wordv + words.we_wordc);
  ::wordfree(&words);
  return found;
}

// -K: srun would let the others run on when one rank ends badly.
std::vector<std::string> srun_words(const LocalOptions& options) {
  std::vector<std::string> words{"srun", "--mpi=" + options.srun_mpi, "--kill-on-bad-exit=1"};
  if (options.num_ranks > 0) words.insert(words.end(), {"--ntasks", std::to_string(options.num_ranks)});
  words.push_back("--cpus-per-task=" + std::to_string(options.threads));  // not taken over from sbatch since 22.05
  for (auto& word : split_like_a_shell(options.mpi_args)) words.push_back(word);
  return words;
}

std::vector<std::string> mpirun_words(const LocalOptions& options) {
  std::vector<std::string> words{"mpirun", "--oversubscribe", "--allow-run-as-root", "--bind-to", "none"};
  auto add = [&](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  if (!options.hosts.empty()) add({"--host", hosts_with_slots(options.hosts, options.num_ranks)});
  if (!options.hostfile.empty()) add({"--hostfile", options.hostfile});
  const char* slurm_nodes = std::getenv("SLURM_JOB_NUM_NODES");
  const bool several_nodes = options.in_allocation && slurm_nodes && std::atoi(slurm_nodes) > 1;
  if (options.hosts.empty() && options.hostfile.empty() && !several_nodes) {
    add({"-n", std::to_string(std::max(1, options.num_ranks))});
    if (options.in_allocation) add({"--mca", "plm", "isolated", "--mca", "ras", "^slurm"});  // without a daemon by srun, which TERM would end
    ::setenv("OMPI_MCA_pml", "ob1", 0);
    ::setenv("OMPI_MCA_btl", "self,vader", 0);
    ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
  } else {
    if (options.num_ranks > 0) add({"-n", std::to_string(options.num_ranks)});
    // The transport between hosts is Open MPI's choice, or --mpi-args'. Other hosts get no environment by themselves.
    for (const char* name : {kErrorFileVariable, kLauncherHostVariable, "THRONG_TERMINAL", "HWLOC_HIDE_ERRORS", "OPENBLAS_NUM_THREADS"})
      if (std::getenv(name)) add({"-x", name});
  }
  for (auto& word : split_like_a_shell(options.mpi_args)) words.push_back(word);
  return words;
}

Error error_of_end(int status, const std::string& output, const std::string& of_ranks, const std::string& launcher) {
  std::smatch match;
  static const std::regex killed("rank (\\d+) with PID \\d+ on node (\\S+) exited on signal (\\d+)");
  if (std::regex_search(output, match, killed)) {
    int signal = std::stoi(match[3]);
    std::string rank = match[1], host = match[2];
    std::string hint = signal == SIGKILL ? "if nobody killed it, the system was out of memory; go on with --resume" : "go on with --resume";
    return system_error("rank {}{} on {} was ended by signal {} ({})", rank, of_ranks, host, signal, ::strsignal(signal)).with_hint(hint);
  }
  static const std::regex task_ended("srun: error: (\\S+): task (\\d+): (Killed|Segmentation fault|Aborted|Bus error)");
  if (std::regex_search(output, match, task_ended))
    return system_error("rank {}{} on {} was ended: {}", match[2].str(), of_ranks, match[1].str(), match[3].str())
        .with_hint(match[3] == "Killed" ? "if nobody killed it, the system was out of memory; go on with --resume" : "go on with --resume");
  std::string tail = output.size() > 2000 ? "..." + output.substr(output.size() - 2000) : output;
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  if (!tail.empty()) tail = "\n" + tail;
  if (WIFSIGNALED(status)) return system_error("{} was ended by signal {}{}", launcher, WTERMSIG(status), tail).with_hint("go on with --resume");
  if (int signal = WEXITSTATUS(status) - 128; signal > 0 && signal < 32)  // mpirun does not always say which rank it was
    return system_error("one rank{} was ended by signal {} ({})", of_ranks, signal, ::strsignal(signal)).with_hint("go on with --resume");
  return system_error("{} ended with code {}{}", launcher, WEXITSTATUS(status), tail);
}

}  // namespace

void mind_signals() {
  struct sigaction action {};
  action.sa_handler = pass_on;
  for (int signal : {SIGTERM, SIGINT, SIGUSR1}) ::sigaction(signal, &action, nullptr);
}

SignalsSeen signals_seen() { return {warned != 0, ended_by_signal != 0}; }
void forget_signals() {
  warned = 0;
  ended_by_signal = 0;
}

void check_mpi_args(const std::string& text) { split_like_a_shell(text); }

bool report_code(int code) {
  if (!std::getenv(kErrorFileVariable)) return false;
  std::fprintf(stderr, "%s%d\n", kCodeMark, code);
  return true;
}

bool report_to_launcher(const Error& error) {
  const char* path = std::getenv(kErrorFileVariable);
  if (!path) return false;
  std::error_code unknown;
  const char* host = std::getenv(kLauncherHostVariable);
  if (host && host != host_name())
    std::fprintf(stderr, "%s%s\n", kErrorMark, error.pack().c_str());
  else if (!std::filesystem::exists(std::filesystem::path(path).parent_path(), unknown))
    return false;  // the launcher is no more
  else if (!std::filesystem::exists(path))
    write_file_atomically(path, error.pack());
  return true;
}

std::string hosts_with_slots(const std::string& hosts, int num_ranks) {
  std::vector<std::string> names;
  bool counted = false;
  for (size_t at = 0; at <= hosts.size();) {
    const size_t end = std::min(hosts.find(',', at), hosts.size());
    static const std::regex form("[^:,\\s]+(:[1-9][0-9]{0,4})?");
    names.push_back(hosts.substr(at, end - at));
    if (!std::regex_match(names.back(), form)) throw job_error("--hosts is '{}'; expected names such as a,b or, with ranks on each, a:2,b:4", hosts);
    counted = counted || names.back().find(':') != std::string::npos;
    at = end + 1;
  }
  if (counted || num_ranks == 0) return hosts;
  std::string text;
  const int n = int(names.size());
  for (int i = 0; i < n; ++i) {
    const int slots = num_ranks / n + (i < num_ranks % n);
    if (slots > 0) text += fmt::format("{}{}:{}", text.empty() ? "" : ",", names[size_t(i)], slots);
  }
  return text;
}

int run_local(const std::vector<std::string>& command, const LocalOptions& options) {
  // Numbers of processes come again: a file that was named by one could be what a dead launcher left.
  const TemporaryFolder folder("throng-error");
  if (folder.path().empty()) throw system_error("{}: no folder can be made there: {}", temporary_folder().string(), std::strerror(errno)).with_hint("set TMPDIR to a folder that can be written");
  const std::string error_file = (folder.path() / "error").string();
  ::setenv(kErrorFileVariable, error_file.c_str(), 1);
  ::setenv(kLauncherHostVariable, host_name().c_str(), 1);
  ::setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0);
  ::setenv("HWLOC_HIDE_ERRORS", "2", 0);  // where /sys is not mounted, hwloc would complain once a process
  ::setenv("OPENBLAS_NUM_THREADS", "1", 0);  // threads are ours: OpenBLAS would start one for each core in each rank when it is loaded
  std::vector<std::string> words = options.srun_mpi.empty() ? mpirun_words(options) : srun_words(options);
  words.insert(words.end(), command.begin(), command.end());
  std::vector<char*> arguments;
  for (auto& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);

  int errors[2];
  if (::pipe2(errors, O_CLOEXEC) != 0) throw system_error("pipe failed: {}", std::strerror(errno));
  struct sigaction old_term {}, old_int {}, old_usr {};
  for (auto [signal, old] : {std::pair{SIGTERM, &old_term}, {SIGINT, &old_int}, {SIGUSR1, &old_usr}}) ::sigaction(signal, nullptr, old);
  mind_signals();
  const pid_t here = ::getpid();
  pid_t child = ::fork();
  if (child < 0) throw system_error("fork failed: {}", std::strerror(errno));
  if (child == 0) {
    ::dup2(errors[1], STDERR_FILENO);
    if (options.in_allocation) {  // mpirun kills the ranks a second after its TERM; they unblock it
      sigset_t term;
      ::sigemptyset(&term);
      ::sigaddset(&term, SIGTERM);
      ::sigprocmask(SIG_BLOCK, &term, nullptr);
    }
    ::prctl(PR_SET_PDEATHSIG, SIGINT);
    if (::getppid() != here) std::_Exit(127);
    ::execvp(arguments[0], arguments.data());
    ::dprintf(STDERR_FILENO, "%s cannot be started: %s\n", arguments[0], std::strerror(errno));
    std::_Exit(127);
  }
  ::close(errors[1]);
  mpirun_pid = child;

  Tail tail;
  char block[4096];
  int status = 0;
  std::optional<Stopwatch> since_error, since_term, since_told;
  bool ended = false, forced = false;
  for (;;) {
    // A process of a host that is cut off may hold the pipe longer than mpirun lives: then only what is there is read.
    pollfd readable{errors[0], POLLIN, 0};
    int ready = ::poll(&readable, 1, ended ? 0 : 200);
    if (ready > 0) {
      ssize_t n = ::read(errors[0], block, sizeof block);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      tail.add(block, size_t(n));
      continue;
    }
    if (ended) break;
    ended = ::waitpid(child, &status, WNOHANG) == child;
    if (!since_error && reported_error(error_file, tail.text())) since_error.emplace();
    // What comes while mpirun starts its ranks reaches none of them: told again and again, which does no harm.
    if (!ended && (warned || ended_by_signal) && (!since_told || since_told->seconds() > kTellAgainSeconds)) {
      if (since_told) ::kill(child, SIGUSR1);
      since_told = Stopwatch();
    }
    if (options.in_allocation && ended_by_signal && !since_term) since_term.emplace();
    if (since_term && !forced && since_term->seconds() > kTermSeconds) end_after_grace(child, 0), forced = true;
    if (since_error && !forced && since_error->seconds() > 1) end_after_grace(child, kGraceSeconds), forced = true;
  }
  ::close(errors[0]);
  while (!ended && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  mpirun_pid = 0;
  ::sigaction(SIGTERM, &old_term, nullptr);
  ::sigaction(SIGINT, &old_int, nullptr);
  ::sigaction(SIGUSR1, &old_usr, nullptr);

  const auto reported = reported_error(error_file, tail.text());
  if (reported) throw *reported;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    std::string text = tail.text();
    int code = 0;
    if (const size_t at = text.find(kCodeMark); at != std::string::npos) {
      code = std::atoi(text.c_str() + at + std::strlen(kCodeMark));
      text.erase(at, std::min(text.find('\n', at), text.size() - 1) + 1 - at);
    }
    if (!text.empty()) std::fwrite(text.data(), 1, text.size(), stderr);  // warnings of ranks that ended well
    return code;
  }
  throw error_of_end(status, tail.text(), options.num_ranks > 0 ? fmt::format(" of {}", options.num_ranks) : "", words[0]);
}

}  // namespace throng::launch
