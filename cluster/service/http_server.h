// An HTTP/1.1 server with limits on everything that a client can make it hold.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "cluster/service/http.h"

namespace throng::service {

struct HttpOptions {
  std::string address = "127.0.0.1";
  uint16_t port = 0;               ///< 0: any free one
  std::string certificate, key;    ///< PEM files; both or none
  size_t most_connections = 2000;  ///< those beyond are closed at once
  size_t most_streams = 500;       ///< streamed responses at a time; beyond: 503
  size_t most_header_bytes = size_t{16} << 10;
  size_t most_body_bytes = size_t{4} << 20;
  double request_seconds = 20;     ///< for a whole request to arrive, and for each piece of a response to be taken
  double idle_seconds = 60;        ///< between requests of a connection
  double stream_seconds = 1;       ///< between the pieces of a stream
  int workers = 8;                 ///< threads that answer
};

/// One thread moves bytes; `gate` and `answer` are called by workers, several at a time. A request whose head the gate refuses is answered without its body
/// being read.
class HttpServer {
 public:
  /// Looks at the head alone, and fills in `user` and `role`; nothing: it may pass.
  using Gate = std::function<std::optional<HttpResponse>(HttpRequest&)>;
  using Answer = std::function<HttpResponse(const HttpRequest&)>;

  /// Listens from now on. A system error where the address cannot be had or the certificate cannot be read.
  HttpServer(HttpOptions options, Gate gate, Answer answer);
  /// Closes every connection.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;
  size_t num_connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace throng::service
