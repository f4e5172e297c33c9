#include "jobs/cli/ranks.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cluster/launch/local.h"
#include "framework/base/stop_signal.h"
#include "framework/base/units.h"
#include "framework/comm/mpi_backend.h"
#include "framework/comm/threads_backend.h"

namespace throng::cli {

int run_on_ranks(const RankOptions& options, const std::vector<std::string>& arguments, const std::function<void(comm::Communicator&)>& body) {
  if (comm::started_by_mpi_launcher()) {
    catch_stop_signals();
    auto report = [](const Error& e) {
      if (!launch::report_to_launcher(e)) std::fprintf(stderr, "throng: %s\n", e.text().c_str());
    };
    bool launched = std::getenv("THRONG_ERROR_FILE") != nullptr;
    return comm::run_on_mpi(
        [&](comm::Communicator& comm) {
          try {
            body(comm);
          } catch (const Error& e) {
            if (e.fault() != Fault::kStopped) throw;
            if (comm.rank() == 0) report(e);
            return launched ? 0 : e.exit_code();  // all ranks agreed to stop: a clean end for mpirun
          }
          return 0;
        },
        report);
  }
  if (options.num_ranks > 1 && options.backend != "threads") {
    if (::isatty(STDOUT_FILENO)) ::setenv("THRONG_TERMINAL", "1", 1);
    std::vector<std::string> command = arguments;
    command[0] = "/proc/self/exe";
    char self[4096];
    ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
    if (n > 0) command[0] = std::string(self, size_t(n));
    return launch::run_local(command, {options.num_ranks, options.threads});
  }
  catch_stop_signals();
  comm::run_on_threads(options.num_ranks, body);
  return 0;
}

engine::ProgressSink progress_lines(bool quiet) {
  if (quiet) return {};
  // Under mpirun stdout is always a pseudo-terminal: only the launcher knows.
  bool terminal = comm::started_by_mpi_launcher() ? std::getenv("THRONG_TERMINAL") != nullptr : ::isatty(STDOUT_FILENO) != 0;
  return [terminal, last = Stopwatch(), shown = false](const engine::Progress& p) mutable {
    if (!p.finished && (!terminal || (shown && last.seconds() < 0.2))) return;
    last = Stopwatch(), shown = true;
    std::string rate = p.seconds > 0.05 && p.rows > 0 ? format_count(uint64_t(double(p.rows) / p.seconds)) + " rows/s" : "";
    if (p.finished) {
      std::string time = p.skipped ? "unchanged" : format_seconds(p.seconds);
      std::printf("%s%-14s %-16s %14s rows  %10s  %s\n", terminal ? "\r\033[K" : "", p.step.c_str(), p.op.c_str(),
                  format_count(uint64_t(p.rows)).c_str(), time.c_str(), p.skipped ? "" : rate.c_str());
    } else {
      std::string eta = p.fraction > 0.02 ? format_seconds(p.seconds / p.fraction * (1 - p.fraction)) + " left" : "";
      std::printf("\r\033[K%-14s %-16s %3d%%  %s  %s  %s", p.step.c_str(), p.op.c_str(), int(100 * p.fraction), rate.c_str(), eta.c_str(), p.text.c_str());
    }
    std::fflush(stdout);
  };
}

}  // namespace throng::cli
