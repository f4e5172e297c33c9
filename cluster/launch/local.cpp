#include "cluster/launch/local.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <regex>

#include "framework/base/files.h"

namespace throng::launch {
namespace {

constexpr const char* kErrorFileVariable = "THRONG_ERROR_FILE";
constexpr size_t kKeptErrorBytes = 1 << 16;

volatile std::sig_atomic_t mpirun_pid = 0;
void pass_on(int) {
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

Error error_of_end(int status, const std::string& output, int num_ranks) {
  std::smatch match;
  static const std::regex killed("rank (\\d+) with PID \\d+ on node (\\S+) exited on signal (\\d+)");
  if (std::regex_search(output, match, killed)) {
    int signal = std::stoi(match[3]);
    std::string rank = match[1], host = match[2];
    std::string hint = signal == SIGKILL ? "if nobody killed it, the system was out of memory; go on with --resume" : "go on with --resume";
    return system_error("rank {} of {} on {} was ended by signal {} ({})", rank, num_ranks, host, signal, ::strsignal(signal)).with_hint(hint);
  }
  std::string tail = output.size() > 2000 ? "..." + output.substr(output.size() - 2000) : output;
  if (WIFSIGNALED(status)) return system_error("mpirun was ended by signal {}\n{}", WTERMSIG(status), tail);
  if (int signal = WEXITSTATUS(status) - 128; signal > 0 && signal < 32)  // mpirun does not always say which rank it was
    return system_error("one rank of {} was ended by signal {} ({})", num_ranks, signal, ::strsignal(signal)).with_hint("go on with --resume");
  return system_error("mpirun ended with code {}\n{}", WEXITSTATUS(status), tail);
}

}  // namespace

bool report_to_launcher(const Error& error) {
  const char* path = std::getenv(kErrorFileVariable);
  if (!path) return false;
  write_file_atomically(path, error.pack());
  return true;
}

int run_local(const std::vector<std::string>& command, const LocalOptions& options) {
  std::string error_file = (std::filesystem::temp_directory_path() / fmt::format("throng-error-{}-{}", ::getpid(), ::rand())).string();
  ::setenv(kErrorFileVariable, error_file.c_str(), 1);
  ::setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0);
  ::setenv("HWLOC_HIDE_ERRORS", "2", 0);  // where /sys is not mounted, hwloc would complain once a process
  std::vector<std::string> words{"mpirun", "-n", std::to_string(options.num_ranks), "--oversubscribe", "--allow-run-as-root",
                                 "--bind-to", "none", "--mca", "pml", "ob1", "--mca", "btl", "self,vader", "--mca", "btl_vader_single_copy_mechanism", "none"};
  words.insert(words.end(), command.begin(), command.end());
  std::vector<char*> arguments;
  for (auto& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);

  int errors[2];
  if (::pipe2(errors, O_CLOEXEC) != 0) throw system_error("pipe failed: {}", std::strerror(errno));
  pid_t child = ::fork();
  if (child < 0) throw system_error("fork failed: {}", std::strerror(errno));
  if (child == 0) {
    ::dup2(errors[1], STDERR_FILENO);
    ::execvp("mpirun", arguments.data());
    ::dprintf(STDERR_FILENO, "mpirun cannot be started: %s\n", std::strerror(errno));
    std::_Exit(127);
  }
  ::close(errors[1]);
  mpirun_pid = child;
  struct sigaction action {}, old_term {}, old_int {}, old_usr {};
  action.sa_handler = pass_on;
  ::sigaction(SIGTERM, &action, &old_term);
  ::sigaction(SIGINT, &action, &old_int);
  ::sigaction(SIGUSR1, &action, &old_usr);

  Tail tail;
  char block[4096];
  for (;;) {
    ssize_t n = ::read(errors[0], block, sizeof block);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    tail.add(block, size_t(n));
  }
  ::close(errors[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  mpirun_pid = 0;
  ::sigaction(SIGTERM, &old_term, nullptr);
  ::sigaction(SIGINT, &old_int, nullptr);
  ::sigaction(SIGUSR1, &old_usr, nullptr);

  if (std::filesystem::exists(error_file)) {
    Error error = Error::unpack(read_file(error_file));
    ::unlink(error_file.c_str());
    throw error;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    std::string text = tail.text();
    if (!text.empty()) std::fwrite(text.data(), 1, text.size(), stderr);  // warnings of ranks that ended well
    return 0;
  }
  throw error_of_end(status, tail.text(), options.num_ranks);
}

}  // namespace throng::launch
