#include "cluster/launch/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "framework/base/clock.h"
#include "framework/base/error.h"

namespace throng::launch {
namespace {

constexpr size_t kKeptBytes = 4 << 20;

std::string without_newlines_at_the_end(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

std::string CommandResult::trouble() const {
  if (timed_out) return "no answer in time";
  const std::string text = without_newlines_at_the_end(errors);
  return text.empty() ? fmt::format("ended with code {}", code) : text;
}

CommandResult run_command(const std::vector<std::string>& words, double timeout_seconds, const std::function<bool()>& given_up) {
  std::vector<char*> arguments;
  for (const auto& w : words) arguments.push_back(const_cast<char*>(w.c_str()));
  arguments.push_back(nullptr);
  int output[2], errors[2];
  if (::pipe2(output, O_CLOEXEC) != 0) throw system_error("pipe failed: {}", std::strerror(errno));
  if (::pipe2(errors, O_CLOEXEC) != 0) {
    const int code = errno;
    ::close(output[0]), ::close(output[1]);
    throw system_error("pipe failed: {}", std::strerror(code));
  }
  const pid_t child = ::fork();
  if (child < 0) {
    for (int end : {output[0], output[1], errors[0], errors[1]}) ::close(end);
    throw system_error("fork failed: {}", std::strerror(errno));
  }
  if (child == 0) {
    ::setpgid(0, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);  // a worker thread may block them
    ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
    ::dup2(output[1], STDOUT_FILENO);
    ::dup2(errors[1], STDERR_FILENO);
    ::close_range(3, ~0U, 0);  // a socket that listens, say, must not go on with a program that outlives this one
    ::execvp(arguments[0], arguments.data());
    ::dprintf(STDERR_FILENO, "%s cannot be started: %s\n", arguments[0], std::strerror(errno));
    std::_Exit(127);
  }
  ::close(output[1]), ::close(errors[1]);

  CommandResult result;
  const Stopwatch watch;
  pollfd ends[2] = {{output[0], POLLIN, 0}, {errors[0], POLLIN, 0}};
  std::string* kept[2] = {&result.output, &result.errors};
  bool ended = false;
  int status = 0;
  while (!ended || ends[0].fd >= 0 || ends[1].fd >= 0) {
    if (given_up && given_up()) {
      ::close(output[0]), ::close(errors[0]);
      result.timed_out = true;
      return result;
    }
    const double left = timeout_seconds - watch.seconds();
    if (left <= 0) {
      result.timed_out = true;
      ::kill(-child, SIGKILL);
      break;
    }
    const int ready = ::poll(ends, 2, 20);
    for (int k = 0; k < 2 && ready > 0; ++k) {
      if (ends[k].fd < 0 || ends[k].revents == 0) continue;
      char block[4096];
      const ssize_t n = ::read(ends[k].fd, block, sizeof block);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) ends[k].fd = -1;  // poll skips it
      else if (kept[k]->size() < kKeptBytes) kept[k]->append(block, size_t(n));
    }
    if (!ended) ended = ::waitpid(child, &status, WNOHANG) == child;
    else if (ready == 0) break;  // a grandchild holds the pipe: what the program wrote is here
  }
  while (!ended && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::close(output[0]), ::close(errors[0]);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace throng::launch
