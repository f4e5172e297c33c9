// Starts a command as MPI ranks on this machine, and tells why it ended.
#pragma once
#include <string>
#include <vector>

#include "framework/base/error.h"

namespace throng::launch {

struct LocalOptions {
  int num_ranks = 1;
  int threads_per_rank = 1;
};

/// Runs `command` (program and arguments) under mpirun with consent to run as root, oversubscription, and no binding to
/// cores; passes SIGTERM, SIGINT and SIGUSR1 on to the ranks as SIGUSR1, so that they stop at a checkpoint. Returns the
/// exit code of the ranks; throws the one error that ended them, a system error where a rank was killed.
int run_local(const std::vector<std::string>& command, const LocalOptions& options);

/// Rank 0's side: hands the error to the launcher that started this process; false where there is none.
bool report_to_launcher(const Error& error);

}  // namespace throng::launch
