// The server over loopback sockets, with clients that do not behave.
#include "cluster/service/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "framework/base/clock.h"
#include "tests/support/batches.h"

namespace throng::service {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Client {
 public:
  explicit Client(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET, address.sin_port = htons(port), address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(fd_); }
  bool connected = false;
  bool send(const std::string& text) { return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size()); }
  // Until the text has come, or the connection has ended.
  std::string until(const std::string& wanted) {
    while (seen_.find(wanted) == std::string::npos && more()) {
    }
    return seen_;
  }
  std::string to_end() {
    while (more()) {
    }
    return seen_;
  }
  std::string one(const std::string& text) {
    send(text);
    return to_end();
  }

 private:
  bool more() {
    char block[4096];
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, 60000) <= 0) return false;
    const ssize_t n = ::recv(fd_, block, sizeof block, 0);
    if (n > 0) seen_.append(block, size_t(n));
    return n > 0;
  }
  int fd_;
  std::string seen_;
};

constexpr const char* kClose = "Connection: close\r\n\r\n";

HttpResponse echo(const HttpRequest& r) {
  std::string text = r.method + " " + r.path;
  for (const auto& [name, value] : r.query) text += " " + name + "=" + value;
  return {.type = "text/plain", .body = text + " [" + r.body + "] " + r.header("x-one") + r.user, .headers = {}};
}

struct Served {
  std::atomic<int> num_answered = 0;
  HttpServer server;
  explicit Served(HttpOptions options = {}, HttpServer::Answer answer = echo)
      : server(
            options,
            [](HttpRequest& r) -> std::optional<HttpResponse> {
              if (r.path == "/refused") return HttpResponse{.status = 401, .body = "no", .headers = {}};
              r.user = "/ada";
              return {};
            },
            [this, answer](const HttpRequest& r) {
              ++num_answered;
              return answer(r);
            }) {}
  std::string one(const std::string& text) { return Client(server.port()).one(text); }
};

TEST(HttpServer, AnswersOneAfterAnother) {
  Served s;
  Client client(s.server.port());
  client.send("GET /a%20b/c?x=1+2&y=%41&z HTTP/1.1\r\nHost: h\r\nX-One: 7\r\n\r\nPOST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  const std::string both = client.until("[abc]");
  EXPECT_THAT(both, HasSubstr("HTTP/1.1 200 OK"));
  EXPECT_THAT(both, HasSubstr("GET /a b/c x=1 2 y=A z= [] 7/ada"));
  EXPECT_THAT(both, HasSubstr("POST /p [abc]"));
  EXPECT_THAT(both, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(both, HasSubstr("Content-Security-Policy: default-src 'none'"));
}

TEST(HttpServer, HeadHasNoBody) {
  Served s;
  const auto text = s.one(std::string("HEAD /a HTTP/1.1\r\nHost: h\r\n") + kClose);
  EXPECT_THAT(text, HasSubstr("Content-Length: 15"));
  EXPECT_THAT(text, EndsWith("\r\n\r\n"));
}

TEST(HttpServer, WhatIsNoHttpIsRefused) {
  Served s;
  EXPECT_THAT(s.one("\x16\x03\x01 nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(s.one(std::string("GET nowhere HTTP/1.1\r\nHost: h\r\n") + kClose), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(s.one(std::string("GET /a%0 HTTP/1.1\r\nHost: h\r\n") + kClose), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(s.one(std::string("GET /a%00b HTTP/1.1\r\nHost: h\r\n") + kClose), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(s.one(std::string("GET /?a=%zz HTTP/1.1\r\nHost: h\r\n") + kClose), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(s.one(std::string("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -4\r\n") + kClose), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(s.one(std::string("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n") + kClose), Not(HasSubstr("200 OK")));
  EXPECT_EQ(s.num_answered, 0);
}

TEST(HttpServer, SizesHaveLimits) {
  Served s({.most_header_bytes = 2000, .most_body_bytes = 1000});
  EXPECT_THAT(s.one("GET /" + std::string(3000, 'a') + " HTTP/1.1\r\n" + kClose), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(s.one("GET / HTTP/1.1\r\nX-One: " + std::string(3000, 'a') + "\r\n" + kClose), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(s.one("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"), StartsWith("HTTP/1.1 413")) << "before any of it is sent";
  EXPECT_THAT(s.one("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'b') + "\r\n0\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(s.num_answered, 0);
  EXPECT_THAT(s.one("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n" + std::string(kClose) + std::string(1000, 'b')), HasSubstr("200 OK"));
}

TEST(HttpServer, TheGateRefusesBeforeTheBodyIsRead) {
  Served s;
  const auto text = s.one("POST /refused HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(text, HasSubstr("Connection: close"));
  EXPECT_EQ(s.num_answered, 0);
}

TEST(HttpServer, WhoAsksWhetherToGoOnIsTold) {
  Served s;
  Client client(s.server.port());
  client.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_THAT(client.until("\r\n\r\n"), StartsWith("HTTP/1.1 100"));
  client.send("abc");
  EXPECT_THAT(client.until("[abc]"), HasSubstr("POST /p [abc]"));
}

TEST(HttpServer, SlowClientsAreDropped) {
  Served s({.request_seconds = 0.5, .idle_seconds = 0.5});
  Client silent(s.server.port()), half(s.server.port()), slow_body(s.server.port()), idle(s.server.port());
  half.send("GET / HT");
  slow_body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nab");
  idle.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(idle.to_end(), HasSubstr("200 OK"));
  EXPECT_THAT(silent.to_end(), Not(HasSubstr("200 OK")));
  EXPECT_THAT(half.to_end(), Not(HasSubstr("200 OK")));
  EXPECT_THAT(slow_body.to_end(), Not(HasSubstr("200 OK")));
  for (Stopwatch watch; s.server.num_connections() > 0 && watch.seconds() < 60;) ::usleep(1000);
  EXPECT_EQ(s.server.num_connections(), 0);
  // One that drips its head is dropped all the same.
  Client drips(s.server.port());
  drips.send("GET / HTTP/1.1\r\n");
  bool dropped = false;
  for (int k = 0; k < 2000 && !dropped; ++k, ::usleep(5000)) dropped = !drips.send("X: y\r\n");
  EXPECT_TRUE(dropped);
}

TEST(HttpServer, OnesWhoDoNotReadAreDropped) {
  Served s({.request_seconds = 0.5}, [](const HttpRequest&) { return HttpResponse{.body = std::string(size_t{64} << 20, 'x'), .headers = {}}; });
  Client client(s.server.port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  for (Stopwatch watch; s.num_answered == 0 && watch.seconds() < 60;) ::usleep(1000);
  for (Stopwatch watch; s.server.num_connections() > 0 && watch.seconds() < 60;) ::usleep(1000);
  EXPECT_EQ(s.server.num_connections(), 0);
}

TEST(HttpServer, ConnectionsHaveALimit) {
  Served s({.most_connections = 2});
  Client one(s.server.port()), two(s.server.port());
  for (Stopwatch watch; s.server.num_connections() < 2 && watch.seconds() < 60;) ::usleep(1000);
  EXPECT_EQ(Client(s.server.port()).one("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "");
  one.send(std::string("GET / HTTP/1.1\r\nHost: h\r\n") + kClose);
  EXPECT_THAT(one.to_end(), HasSubstr("200 OK"));
}

TEST(HttpServer, StreamsPieceByPieceWithALimit) {
  std::atomic<bool> go_on = true;
  Served s({.most_streams = 1, .stream_seconds = 0.01}, [&](const HttpRequest&) {
    auto n = std::make_shared<int>(0);
    return HttpResponse{.type = "text/event-stream", .body = "", .headers = {}, .file = {}, .stream = [n, &go_on]() -> std::optional<std::string> {
                          if (++*n > 3 && !go_on) return {};
                          return *n <= 3 ? "piece " + std::to_string(*n) + "\n" : "";
                        }};
  });
  Client client(s.server.port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(client.until("piece 3"), HasSubstr("piece 1\n"));
  EXPECT_THAT(s.one(std::string("GET / HTTP/1.1\r\nHost: h\r\n") + kClose), StartsWith("HTTP/1.1 503"));
  go_on = false;
  EXPECT_THAT(client.to_end(), EndsWith("0\r\n\r\n"));
  EXPECT_THAT(s.one(std::string("GET / HTTP/1.1\r\nHost: h\r\n") + kClose), HasSubstr("piece 3"));
}

TEST(HttpServer, SendsFiles) {
  throng::testing::TemporaryFolder folder;
  const std::string content(size_t{3} << 20, 'f');
  std::ofstream(folder / "f") << content;
  Served s({}, [&](const HttpRequest& r) {
    HttpResponse response{.type = "text/plain", .body = "", .headers = {}};
    response.file = folder / r.path.substr(1);
    return response;
  });
  EXPECT_THAT(s.one(std::string("GET /f HTTP/1.1\r\nHost: h\r\n") + kClose), EndsWith("\r\n\r\n" + content));
  const auto head = s.one(std::string("HEAD /f HTTP/1.1\r\nHost: h\r\n") + kClose);
  EXPECT_THAT(head, HasSubstr("Content-Length: 3145728"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  EXPECT_THAT(s.one(std::string("GET /missing HTTP/1.1\r\nHost: h\r\n") + kClose), StartsWith("HTTP/1.1 404"));
}

TEST(HttpServer, AnAnswerThatThrowsIsA500) {
  Served s({}, [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("x"); });
  EXPECT_THAT(s.one(std::string("GET / HTTP/1.1\r\nHost: h\r\n") + kClose), StartsWith("HTTP/1.1 500"));
}

TEST(HttpServer, EndsWhileClientsWait) {
  std::atomic<bool> asked = false, let_go = false;
  std::unique_ptr<Client> waiting, idle;
  std::thread opener;
  {
    Served s({.stream_seconds = 0.01}, [&](const HttpRequest& r) {
      asked = true;
      if (r.path == "/stream") return HttpResponse{.body = "", .headers = {}, .file = {}, .stream = [] { return std::optional<std::string>("x"); }};
      while (!let_go) ::usleep(1000);
      return echo(r);
    });
    idle = std::make_unique<Client>(s.server.port());
    Client stream(s.server.port());
    stream.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.until("x");
    waiting = std::make_unique<Client>(s.server.port());
    asked = false;
    waiting->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    while (!asked) ::usleep(1000);
    opener = std::thread([&] {
      ::usleep(50000);
      let_go = true;
    });
  }
  opener.join();
  EXPECT_THAT(waiting->to_end(), Not(HasSubstr("200 OK")));
  EXPECT_EQ(idle->to_end(), "");
}

TEST(HttpServer, AnAddressThatIsTakenIsAnError) {
  Served s;
  try {
    Served again({.port = s.server.port()});
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.text(), HasSubstr("cannot be listened on"));
  }
  EXPECT_THROW(Served({.address = "nowhere"}), Error);
  EXPECT_THROW(Served({.certificate = "/missing", .key = "/missing"}), Error);
}

}  // namespace
}  // namespace throng::service
