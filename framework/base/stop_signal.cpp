#include "framework/base/stop_signal.h"

#include <atomic>
#include <csignal>

namespace throng {
namespace {
// Written by a signal handler or any thread, read by every rank.
std::atomic<bool> wished_flag = false;
static_assert(std::atomic<bool>::is_always_lock_free);
void on_signal(int) { wished_flag = true; }
}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  for (int signal : {SIGTERM, SIGUSR1, SIGINT}) ::sigaction(signal, &action, nullptr);
}
bool stop_wished() { return wished_flag; }
void set_stop_wished(bool wished) { wished_flag = wished; }

}  // namespace throng
