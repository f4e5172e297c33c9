// Ending what a launcher would leave behind when a host of the job cannot be reached any more.
#pragma once
#include <sys/types.h>

namespace throng::launch {

/// Leaves behind a process that waits `grace_seconds` for `parent` to end by itself, then sends TERM to it and its children
/// of today (not to this process), and KILL 2 s later.
void end_after_grace(pid_t parent, int grace_seconds);

/// Ends this rank. mpirun notices and ends the ranks it reaches, but it and its daemons (orted) then keep waiting for a
/// host that is cut off; so this rank's parent, where it is one of those, is ended after a grace. No destructor runs.
[[noreturn]] void end_rank(int exit_code);

/// A rank's side: a thread that ends this process, without destructors, once its parent is gone: nothing outlives the job that it was part of.
void end_when_orphaned();

}  // namespace throng::launch
