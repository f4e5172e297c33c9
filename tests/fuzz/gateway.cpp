// Whatever comes over a connection: the HTTP server, the routes and the JSON behind them, fed by libFuzzer. Built and run by run.sh.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "cluster/service/api.h"
#include "cluster/service/http_server.h"

using namespace throng::service;

namespace {

struct Target {
  std::filesystem::path folder;
  Store store;
  Runs runs;
  Api api;
  HttpServer server;

  Target()
      : folder(made()),
        store(folder / "store"),
        runs(RunsOptions{.root = folder, .program = "/bin/false", .data_roots = {}}, store),
        api(store, runs),
        server({.request_seconds = 5, .stream_seconds = 0.01, .workers = 1},
               [](HttpRequest& r) -> std::optional<HttpResponse> {  // everybody is an admin
                 r.user = "fuzz", r.role = "admin";
                 return {};
               },
               [this](const HttpRequest& r) { return api.answer(r); }) {}
  static std::filesystem::path made() {
    std::string name = (std::filesystem::temp_directory_path() / "throng-fuzz-XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    return name;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Target& target = *new Target;  // until the process ends
  // libFuzzer's would interrupt calls; what hangs is told below.
  sigset_t alarm;
  sigemptyset(&alarm), sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  static uint32_t number = 0;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), late = 1;
  // From one of many addresses: those of one have too few ports for a thousand connections a second, each of which waits for a minute.
  sockaddr_in from{}, to{};
  from.sin_family = to.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 256 + number++ % 240);
  to.sin_port = htons(target.server.port()), to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    std::perror("no connection");
    std::abort();
  }
  const linger at_once{1, 0};  // no port is kept waiting
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  for (size_t at = 0; at < size;) {
    const ssize_t n = ::send(fd, data + at, size - at, MSG_NOSIGNAL);
    if (n <= 0) break;
    at += size_t(n);
  }
  ::shutdown(fd, SHUT_WR);
  char block[65536];
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, 20000) <= 0) std::abort();  // it hangs
    if (::recv(fd, block, sizeof block, 0) <= 0) break;
  }
  ::close(fd);
  pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  return 0;
}
