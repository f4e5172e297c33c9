// Starting the ranks of `run` and `apply`: in this process, by mpirun, or as one rank of a launcher already there.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/engine/executor.h"

namespace CLI {
class App;
}

namespace throng::cli {

struct RankOptions {
  int num_ranks = 0;  ///< 0: not given, one; with hosts one for each slot
  int threads = 1;
  std::string backend = "auto";                 ///< auto, mpi, threads
  std::string hosts, hostfile, mpi_args;        ///< see launch::LocalOptions
  std::string hang_timeout = "60s";             ///< silence after which a host is given up; 0: never

  /// Adds the flags about ranks, hosts and heartbeats.
  void add_to(CLI::App& command);
  /// Adds --threads, for verbs that run steps.
  void add_threads_to(CLI::App& command);
};

/// Adds --hosts, --hostfile, --mpi-args and --hang-timeout.
void add_host_flags(CLI::App& command, std::string& hosts, std::string& hostfile, std::string& mpi_args, std::string& hang_timeout);

/// Says where a rank that loses rank 0, or the other way round, leaves a line in run.log.
void note_run_directory(const std::filesystem::path& path);

/// Of this program.
std::string program_path();

/// Runs `body` on every rank and returns the exit code. `arguments` is this process's command line, repeated under mpirun.
/// Several ranks send each other heartbeats: where a host falls silent, both sides report it and end, and this call does
/// not return.
int run_on_ranks(const RankOptions& options, const std::vector<std::string>& arguments, const std::function<void(comm::Communicator&)>& body);

/// Progress as lines on stdout; on a terminal the running step's line is rewritten.
engine::ProgressSink progress_lines(bool quiet);

}  // namespace throng::cli
