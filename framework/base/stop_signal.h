// A wish to stop (SIGTERM, SIGUSR1, SIGINT): a flag that ranks agree on at their next boundary.
#pragma once

namespace throng {

/// Makes SIGTERM, SIGUSR1 and SIGINT set the flag instead of killing the process. Once per process.
void catch_stop_signals();
/// True when this process was asked to stop.
bool stop_wished();
/// Sets or clears the flag, as a signal would (tests, embedding programs).
void set_stop_wished(bool wished);

}  // namespace throng
