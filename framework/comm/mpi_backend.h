// Ranks as MPI processes.
#pragma once
#include <functional>

#include "framework/comm/communicator.h"

namespace throng::comm {

/// True when this process was started by mpirun or srun (or any PMI launcher).
bool started_by_mpi_launcher();

/// Initialises MPI, runs `body` on this rank and finalises. When ranks fail: rank 0 waits shortly for the errors of
/// others, calls `report` with the one that comes first in (step, partition, row), and all processes end with its exit
/// code; this call does not return then. Returns the exit code that `body` returned otherwise.
int run_on_mpi(const std::function<int(Communicator&)>& body, const std::function<void(const Error&)>& report);

}  // namespace throng::comm
