#include "cluster/launch/background.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "cluster/launch/submission.h"
#include "framework/base/host_name.h"

namespace throng::launch {
namespace fs = std::filesystem;

namespace {

// Ticks since the machine's start at which the process began: with its number it is one process for good. Empty where there is none.
std::string start_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t end_of_name = line.rfind(") ");
  if (end_of_name == line.npos) return "";
  if (line[end_of_name + 2] == 'Z') return "";
  size_t at = end_of_name + 2;
  for (int field = 3; field < 22; ++field) {
    at = line.find(' ', at);
    if (at == line.npos) return "";
    ++at;
  }
  return line.substr(at, line.find(' ', at) - at);
}

struct Process {
  std::string host, start;
  pid_t pid = 0;
};

Process parse(const std::string& id) {
  Process p;
  const size_t second = id.rfind(':'), first = second == id.npos || second == 0 ? id.npos : id.rfind(':', second - 1);
  if (first == id.npos) return p;
  p.host = id.substr(0, first), p.pid = pid_t(std::atoi(id.c_str() + first + 1)), p.start = id.substr(second + 1);
  return p;
}

[[noreturn]] void become(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const auto& w : words) arguments.push_back(const_cast<char*>(w.c_str()));
  arguments.push_back(nullptr);
  ::execv(arguments[0], arguments.data());
  ::dprintf(STDERR_FILENO, "throng: %s cannot be started: %s\n", arguments[0], std::strerror(errno));
  std::_Exit(127);
}

}  // namespace

std::string start_in_background(const std::vector<fs::path>& runs, const std::string& name, const std::string& program) {
  std::vector<std::string> words{program, "allocation", "--name", name};
  for (const auto& run : runs) words.push_back(run.string());
  const std::string log = log_of(runs.at(0)).string();
  int told[2];
  if (::pipe2(told, O_CLOEXEC) != 0) throw system_error("pipe failed: {}", std::strerror(errno));
  const pid_t child = ::fork();
  if (child < 0) throw system_error("fork failed: {}", std::strerror(errno));
  if (child == 0) {  // its child belongs to nobody's session
    ::setsid();
    const pid_t grandchild = ::fork();
    if (grandchild != 0) {
      const ssize_t written = ::write(told[1], &grandchild, sizeof grandchild);
      std::_Exit(written == sizeof grandchild ? 0 : 1);
    }
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    const int output = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
    if (output < 0) std::_Exit(127);
    ::dup2(output, STDOUT_FILENO), ::dup2(output, STDERR_FILENO), ::close(output);
    become(words);
  }
  ::close(told[1]);
  pid_t pid = -1;
  const bool heard = ::read(told[0], &pid, sizeof pid) == sizeof pid;
  ::close(told[0]);
  ::waitpid(child, nullptr, 0);
  if (!heard || pid <= 0) throw system_error("no process could be started in the background");
  return fmt::format("{}:{}:{}", host_name(), pid, start_of(pid));
}

std::string own_id() { return fmt::format("{}:{}:{}", host_name(), ::getpid(), start_of(::getpid())); }

std::optional<bool> is_alive(const std::string& id) {
  const Process p = parse(id);
  if (p.pid <= 0) return false;
  if (p.host != host_name()) return {};
  const std::string start = start_of(p.pid);
  std::error_code code;
  if (start.empty() && std::filesystem::exists(fmt::format("/proc/{}/stat", p.pid), code) && !std::ifstream(fmt::format("/proc/{}/stat", p.pid))) return {};  // no descriptor left to look
  return !p.start.empty() && start == p.start;
}

bool signal_process(const std::string& id, int signal) {
  return is_alive(id) == true && ::kill(parse(id).pid, signal) == 0;
}

}  // namespace throng::launch
