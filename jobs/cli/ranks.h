// Starting the ranks of `run` and `apply`: in this process, by mpirun, or as one rank of a launcher already there.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/engine/executor.h"

namespace throng::cli {

struct RankOptions {
  int num_ranks = 1;
  int threads = 1;
  std::string backend = "auto";  ///< auto, mpi, threads
};

/// Runs `body` on every rank and returns the exit code. `arguments` is this process's command line, repeated under mpirun.
int run_on_ranks(const RankOptions& options, const std::vector<std::string>& arguments, const std::function<void(comm::Communicator&)>& body);

/// Progress as lines on stdout; on a terminal the running step's line is rewritten.
engine::ProgressSink progress_lines(bool quiet);

}  // namespace throng::cli
