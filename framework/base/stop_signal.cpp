#include "framework/base/stop_signal.h"

#include <csignal>

namespace throng {
namespace {
volatile std::sig_atomic_t wished_flag = 0;
void on_signal(int) { wished_flag = 1; }
}  // namespace

void catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  for (int signal : {SIGTERM, SIGUSR1, SIGINT}) ::sigaction(signal, &action, nullptr);
}
bool stop_wished() { return wished_flag != 0; }
void set_stop_wished(bool wished) { wished_flag = wished; }

}  // namespace throng
