#include "cluster/launch/ending.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace throng::launch {
namespace {

constexpr int kParentGraceSeconds = 5;  // mpirun needs two to three to end the ranks that it reaches
constexpr int kTermGraceSeconds = 2;

// glibc 2.36 declares its own two without C linkage.
int open_handle(pid_t pid) { return int(::syscall(SYS_pidfd_open, pid, 0)); }
void send_signal(int handle, int signal) { ::syscall(SYS_pidfd_send_signal, handle, signal, nullptr, 0); }

std::string name_of(pid_t pid) {
  std::string name;
  std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/comm"), name);
  return name;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> found;
  std::error_code code;
  for (auto it = std::filesystem::directory_iterator("/proc", code); !code && it != std::filesystem::directory_iterator(); it.increment(code)) {
    const pid_t pid = pid_t(std::atoi(it->path().filename().c_str()));
    if (pid <= 0) continue;
    std::string line;
    std::getline(std::ifstream(it->path() / "stat"), line);
    const size_t end_of_name = line.rfind(") ");  // then: state, parent
    if (end_of_name != line.npos && end_of_name + 4 < line.size() && pid_t(std::atoi(line.c_str() + end_of_name + 4)) == parent) found.push_back(pid);
  }
  return found;
}

// Only calls that are safe in a signal handler: other threads may have held any lock when this process was forked.
[[noreturn]] void wait_and_end(int parent, const std::vector<int>& sorted_handles, int grace_seconds) {
  ::setsid();
  int next = 0;  // closes every other descriptor: mpirun waits until the ranks' outputs are closed
  for (int handle : sorted_handles) {
    if (handle > next) ::close_range(unsigned(next), unsigned(handle - 1), 0);
    next = handle + 1;
  }
  ::close_range(unsigned(next), ~0u, 0);
  pollfd ended{parent, POLLIN, 0};
  ::poll(&ended, 1, grace_seconds * 1000);
  for (int signal : {SIGTERM, SIGKILL}) {
    for (int handle : sorted_handles) send_signal(handle, signal);
    if (signal == SIGTERM) ::sleep(kTermGraceSeconds);
  }
  ::_exit(0);
}

}  // namespace

void end_after_grace(pid_t parent, int grace_seconds) {
  const int parent_handle = open_handle(parent);
  if (parent_handle < 0) return;
  std::vector<int> handles{parent_handle};
  for (pid_t child : children_of(parent))
    if (child != ::getpid())
      if (int handle = open_handle(child); handle >= 0) handles.push_back(handle);
  std::sort(handles.begin(), handles.end());
  if (::_Fork() == 0) wait_and_end(parent_handle, handles, grace_seconds);
  for (int handle : handles) ::close(handle);
}

void end_rank(int exit_code) {
  static const std::set<std::string> kLaunchers{"mpirun", "mpiexec", "orterun", "orted", "prterun", "prted"};
  const pid_t parent = ::getppid();
  if (kLaunchers.contains(name_of(parent))) end_after_grace(parent, kParentGraceSeconds);
  std::_Exit(exit_code);
}

void end_when_orphaned() {
  std::thread([parent = ::getppid()] {
    while (::getppid() == parent) ::usleep(300000);
    std::_Exit(4);
  }).detach();
}

}  // namespace throng::launch
