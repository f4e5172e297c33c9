#include "jobs/cli/ranks.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cluster/heartbeat/heartbeat.h"
#include "cluster/launch/ending.h"
#include "cluster/launch/local.h"
#include "cluster/telemetry/recorder.h"
#include "framework/base/stop_signal.h"
#include "framework/comm/mpi_backend.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/run_directory.h"
#include "jobs/cli/job_options.h"

namespace throng::cli {

namespace {

std::mutex run_directory_mutex;
std::filesystem::path run_directory;

std::filesystem::path noted_run_directory() {
  std::lock_guard lock(run_directory_mutex);
  return run_directory;
}

// In a thread of its own, given up after a while: the folder may lie on the host that is gone.
void leave_line_in_log(const std::string& line) {
  const std::filesystem::path path = noted_run_directory();
  if (path.empty()) return;
  auto written = std::make_shared<std::promise<void>>();
  auto future = written->get_future();
  std::thread([path, line, written] {
    engine::RunDirectory(path).append_log(line);
    written->set_value();
  }).detach();
  future.wait_for(std::chrono::seconds(2));
}

// Rank 0's one error of a job: the main thread's or the heartbeat's, whichever is first.
class Reporter {
 public:
  void report(const Error& error) {
    std::lock_guard lock(mutex_);
    if (reported_) return;
    reported_ = true;
    if (!launch::report_to_launcher(error)) print(error);
  }
  static void print(const Error& error) { std::fprintf(stderr, "throng: %s\n", error.text().c_str()); }

 private:
  std::mutex mutex_;
  bool reported_ = false;
};

// Collective. Null where there is one rank, or rank 0 cannot. `recorder`: rank 0's, which outlives it.
std::unique_ptr<heartbeat::Heartbeat> start_heartbeat(comm::Communicator& comm, double timeout, Reporter& reporter, telemetry::Recorder* recorder) {
  if (comm.size() == 1) return {};
  heartbeat::Options options{.rank = comm.rank(), .num_ranks = comm.size(), .timeout_seconds = timeout, .on_silence = {}, .warn = {}};
  options.report = [rank = comm.rank(), board = comm.board()] { return telemetry::RankReport::of(rank, *board).to_json().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); };
  if (recorder) options.on_report = [recorder](int rank, const std::string& report) { recorder->take(rank, report); };
  options.warn = [](const std::string& text) { std::fprintf(stderr, "throng: warning: %s\n", text.c_str()); };
  options.on_silence = [&reporter, rank = comm.rank()](const Error& error) {
    reporter.report(error);
    if (rank != 0) Reporter::print(error);  // the launcher may be out of reach
    leave_line_in_log(error.message());
    launch::end_rank(error.exit_code());
  };
  std::unique_ptr<heartbeat::Heartbeat> heartbeat;
  std::string invitation;
  if (comm.rank() == 0) {
    try {
      heartbeat = std::make_unique<heartbeat::Heartbeat>(options);
      invitation = heartbeat->invitation();
    } catch (const Error& e) {
      options.warn(e.message() + "; going on without them");
    }
  }
  comm.broadcast(invitation);  // with rank 0's timeout: the ranks may have been started with different flags
  if (comm.rank() != 0 && !invitation.empty()) heartbeat = std::make_unique<heartbeat::Heartbeat>(options, invitation);
  return heartbeat;
}

}  // namespace

void note_run_directory(const std::filesystem::path& path) {
  std::lock_guard lock(run_directory_mutex);
  run_directory = path;
}

void RankOptions::add_threads_to(CLI::App& command) {
  command.add_option("-t,--threads", threads, "worker threads of each rank (default 1)")->check(CLI::Range(1, 1024));
}

void add_host_flags(CLI::App& command, std::string& hosts, std::string& hostfile, std::string& mpi_args, std::string& hang_timeout) {
  auto* list = command.add_option("--hosts", hosts, "hosts to run on, such as a,b, or a:2,b:4 with the ranks on each; rank 0 is on the first");
  command.add_option("--hostfile", hostfile, "mpirun's file of hosts, a line 'HOST slots=N' each")->excludes(list)->check(CLI::ExistingFile);
  command.add_option("--mpi-args", mpi_args, "further arguments of mpirun or srun, such as \"--mca btl_tcp_if_include eth0\"");
  command.add_option("--hang-timeout", hang_timeout, "end when a host was silent for so long (default 60s; 0: never)");
}

void RankOptions::add_to(CLI::App& command) {
  command.add_option("-n,--ranks", num_ranks, "MPI ranks to start (default 1; with hosts, one for each slot)")->check(CLI::Range(1, 100000));
  command.add_option("--backend", backend, "mpi, or threads: ranks as threads of this process")->check(CLI::IsMember({"auto", "mpi", "threads"}));
  add_host_flags(command, hosts, hostfile, mpi_args, hang_timeout);
}

std::string program_path() {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
  return n > 0 ? std::string(self, size_t(n)) : "/proc/self/exe";
}

int run_on_ranks(const RankOptions& options, const std::vector<std::string>& arguments, const std::function<void(comm::Communicator&)>& body) {
  const double timeout = seconds_of("--hang-timeout", options.hang_timeout, 1);
  if (comm::started_by_mpi_launcher()) {
    catch_stop_signals();
    launch::end_when_orphaned();
    Reporter reporter;
    bool launched = std::getenv("THRONG_ERROR_FILE") != nullptr;
    std::unique_ptr<telemetry::Recorder> recorder;    // rank 0's
    std::unique_ptr<heartbeat::Heartbeat> heartbeat;  // until MPI has been finalised, which a cut link would also hold up
    return comm::run_on_mpi(
        [&](comm::Communicator& comm) {
          if (comm.rank() == 0) {
            recorder = std::make_unique<telemetry::Recorder>(comm.size(), noted_run_directory);
            recorder->watch(0, comm.board());
          }
          heartbeat = start_heartbeat(comm, timeout, reporter, recorder.get());
          try {
            body(comm);
          } catch (const Error& e) {
            if (e.fault() != Fault::kStopped) throw;
            if (comm.rank() == 0) reporter.report(e);
            return launched ? 0 : e.exit_code();  // all ranks agreed to stop: a clean end for mpirun
          }
          return 0;
        },
        [&](const Error& e) { reporter.report(e); });
  }
  if (const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS"); tasks && std::atoi(tasks) > 1)
    throw system_error("srun started {} tasks, but no MPI tells them of each other: each would do the whole run", tasks).with_hint("start with 'srun --mpi=pmix', or leave srun out: 'throng run -n' in a batch script uses mpirun, 'throng submit' does it all");
  if (const char* tasks = std::getenv("SLURM_NTASKS"); tasks && std::atoi(tasks) > 1 && options.num_ranks == 0 && options.hosts.empty() && options.hostfile.empty())
    throw system_error("Slurm gave this job {} tasks, but it would have one rank", tasks).with_hint(fmt::format("start {} with -n {}, or one with -n 1", tasks, tasks));
  const bool several_hosts = !options.hosts.empty() || !options.hostfile.empty();
  if (several_hosts && options.backend == "threads") throw job_error("--hosts and --hostfile need MPI ranks, but --backend is threads");
  if (several_hosts || (options.num_ranks > 1 && options.backend != "threads")) {
    if (::isatty(STDOUT_FILENO)) ::setenv("THRONG_TERMINAL", "1", 1);
    std::vector<std::string> command = arguments;
    command[0] = program_path();
    return launch::run_local(command, {options.num_ranks, options.hosts, options.hostfile, options.mpi_args});
  }
  catch_stop_signals();
  telemetry::Recorder recorder(std::max(1, options.num_ranks), noted_run_directory);
  comm::run_on_threads(std::max(1, options.num_ranks), [&](comm::Communicator& comm) {
    recorder.watch(comm.rank(), comm.board());
    body(comm);
  });
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
