// Starts a command as MPI ranks with mpirun, on this machine or over several hosts, and tells why it ended.
#pragma once
#include <string>
#include <vector>

#include "framework/base/error.h"

namespace throng::launch {

struct LocalOptions {
  int num_ranks = 0;     ///< 0: one for each slot of the hosts; 1 on this machine
  std::string hosts;     ///< "a,b" or "a:2,b:4" (ranks there); empty: this machine, or the hostfile's
  std::string hostfile;  ///< mpirun's: a line "HOST slots=N" each
  std::string mpi_args;  ///< further arguments of mpirun or srun, quoted as in a shell
  int threads = 1;       ///< of each rank: cores that srun asks for
  std::string srun_mpi;  ///< not empty: srun starts the ranks, with this --mpi
  bool in_allocation = false;  ///< of a scheduler, which names the hosts and sends TERM to every process of the job: mpirun does not mind it, the ranks do
};

/// Makes this process note SIGTERM, SIGINT and SIGUSR1, and pass them on to the ranks that `run_local` starts, as SIGUSR1.
void mind_signals();
/// Those that came since.
struct SignalsSeen {
  bool warning = false;  ///< SIGUSR1
  bool end = false;      ///< SIGTERM or SIGINT
};
SignalsSeen signals_seen();
void forget_signals();

/// Runs `command` (program and arguments) under mpirun with consent to run as root, oversubscription, and no binding to
/// cores, or under srun; minds signals, so that the ranks stop at a checkpoint. mpirun gets SIGINT when this process ends first. Returns the
/// exit code of the ranks; throws the one error that ended them, a system error where a rank was killed, a job error where
/// the options are wrong. Ends mpirun where it is still there 10 s after a rank reported an error: it keeps waiting
/// for a host that is cut off.
int run_local(const std::vector<std::string>& command, const LocalOptions& options);

/// A job error where further arguments of mpirun are no words.
void check_mpi_args(const std::string& text);

/// A rank's side: hands the error to the launcher that started this job, by a file on its host, by stderr from others; a
/// first error is kept. False where there is no launcher.
bool report_to_launcher(const Error& error);

/// A rank's side: `run_local` will return this code although all ranks ended well. False where there is no launcher.
bool report_code(int code);

/// What mpirun's --host takes: "a,b" for 3 ranks gives "a:2,b:1", contiguous; counts that are given stay. A job error
/// where a name is empty or a count is no number.
std::string hosts_with_slots(const std::string& hosts, int num_ranks);

}  // namespace throng::launch
