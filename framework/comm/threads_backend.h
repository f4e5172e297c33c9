// Ranks as threads of one process: the backend of tests, and of runs with one rank.
#pragma once
#include <functional>

#include "framework/comm/communicator.h"

namespace throng::comm {

/// Runs `body` once per rank, each in its own thread (with one rank: in the calling thread), and waits for all. When
/// ranks fail, throws the error that comes first in (step, partition, row).
void run_on_threads(int num_ranks, const std::function<void(Communicator&)>& body);

}  // namespace throng::comm
