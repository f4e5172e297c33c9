#include "cluster/service/http_server.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// One thread runs all handlers of connections, and the queues have their locks; TSan does not know fences.
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast.hpp>
#include <boost/beast/ssl.hpp>
#include <future>
#include <set>
#include <thread>

#include "framework/base/error.h"

namespace throng::service {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kFileBlock = size_t{256} << 10;

std::chrono::microseconds duration_of(double seconds) { return std::chrono::microseconds(int64_t(seconds * 1e6)); }

// What sessions need of the server. Used by its one thread, but for `pool`, `gate` and `answer`.
struct Shared {
  HttpOptions options;
  HttpServer::Gate gate;
  HttpServer::Answer answer;
  asio::ssl::context tls{asio::ssl::context::tls_server};
  std::atomic<size_t> num_connections{0};
  size_t num_streams = 0;
  bool over = false;
  std::set<class Connection*> connections;
  asio::thread_pool gates{2};  // apart, so that slow answers keep nobody out
  asio::thread_pool pool;
  asio::io_context io{1};  // last: what waits in it holds connections

  Shared(HttpOptions o, HttpServer::Gate g, HttpServer::Answer a) : options(std::move(o)), gate(std::move(g)), answer(std::move(a)), pool(size_t(options.workers)) {}
};

class Connection {
 public:
  virtual ~Connection() = default;
  virtual void close() = 0;
};

HttpResponse problem(int status, const std::string& text) { return {.status = status, .body = "{\"error\": \"" + text + "\"}\n", .headers = {}}; }

// A file on its way to a client.
class SentFile {
 public:
  explicit SentFile(const std::filesystem::path& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (descriptor_ >= 0 && ::fstat(descriptor_, &info) == 0 && S_ISREG(info.st_mode)) left = uint64_t(info.st_size), open_ = true;
  }
  SentFile(const SentFile&) = delete;
  SentFile& operator=(const SentFile&) = delete;
  ~SentFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  bool is_open() const { return open_; }
  // The next block; empty at its end, and where it cannot be read.
  std::string read() {
    std::string block(size_t(std::min<uint64_t>(kFileBlock, left)), '\0');
    ssize_t n;
    do n = ::read(descriptor_, block.data(), block.size());
    while (n < 0 && errno == EINTR);
    block.resize(size_t(std::max<ssize_t>(n, 0)));
    left -= block.size();
    return block;
  }
  uint64_t left = 0;  // bytes

 private:
  int descriptor_;
  bool open_ = false;
};

// One connection: requests one after another. Every step keeps it alive; where none is left, it is closed.
template <class Stream>
class Session : public Connection, public std::enable_shared_from_this<Session<Stream>> {
 public:
  Session(Shared& shared, Stream stream, std::string peer) : shared_(shared), stream_(std::move(stream)), peer_(std::move(peer)) {
    shared_.connections.insert(this);
    ++shared_.num_connections;
  }
  ~Session() override {
    stop_streaming();
    shared_.connections.erase(this);
    --shared_.num_connections;
  }
  void close() override { beast::get_lowest_layer(stream_).close(); }

  void start() {
    if constexpr (std::is_same_v<Stream, beast::ssl_stream<beast::tcp_stream>>) {
      expire_after(shared_.options.request_seconds);
      stream_.async_handshake(asio::ssl::stream_base::server, [self = this->shared_from_this()](error_code code) {
        if (!code) self->read_head(self->shared_.options.request_seconds);
      });
    } else {
      read_head(shared_.options.request_seconds);
    }
  }

 private:
  using Parser = http::request_parser<http::string_body>;

  // From a worker to the thread of connections, which also is the one to end them: the worker lets go before.
  template <class Work>
  static void back(std::shared_ptr<Session> self, Work work) {
    asio::io_context& io = self->shared_.io;
    asio::post(io, [self = std::move(self), work = std::move(work)]() mutable { work(self); });
  }

  // Work that may stand still, a file system's say, in a worker; `then` in the thread of connections, with what it gave. Where it throws, the connection ends.
  template <class Work, class Then>
  void in_worker(asio::thread_pool& pool, Work work, Then then) {
    if (shared_.over) return;
    beast::get_lowest_layer(stream_).expires_never();
    asio::post(pool, [self = this->shared_from_this(), work = std::move(work), then = std::move(then)]() mutable {
      std::optional<decltype(work())> result;
      try {
        result.emplace(work());
      } catch (...) {
        // no memory, say
      }
      back(std::move(self), [result = std::move(result), then = std::move(then)](const auto& self) mutable {
        if (self->shared_.over) return;
        if (result) then(*self, std::move(*result));
        else self->close();
      });
    });
  }

  void expire_after(double seconds) { beast::get_lowest_layer(stream_).expires_after(duration_of(seconds)); }

  void read_head(double first_byte_seconds) {
    if (shared_.over) return;
    parser_.emplace();
    parser_->header_limit(uint32_t(shared_.options.most_header_bytes));
    parser_->body_limit(shared_.options.most_body_bytes);
    file_.reset(), streamed_.reset(), out_.reset();
    // Whole heads have a time of their own; a connection without any may idle for longer.
    expire_after(buffer_.size() > 0 ? shared_.options.request_seconds : first_byte_seconds);
    auto self = this->shared_from_this();
    http::async_read_some(stream_, buffer_, *parser_, [self](error_code code, size_t) { self->go_on_with_head(code); });
  }

  void go_on_with_head(error_code code) {
    if (code == http::error::end_of_stream || code == beast::error::timeout) return;
    if (code) return refuse(code);
    if (parser_->is_header_done()) return look_at_head();
    if (!head_timed_) expire_after(shared_.options.request_seconds), head_timed_ = true;
    auto self = this->shared_from_this();
    http::async_read_some(stream_, buffer_, *parser_, [self](error_code next, size_t) { self->go_on_with_head(next); });
  }

  // What is no HTTP, or too long.
  void refuse(error_code code) {
    if (code == http::error::header_limit || code == http::error::buffer_overflow) return write(problem(431, "the head of the request is too long"), false);
    if (code == http::error::body_limit) return write(problem(413, "the body of the request is too long"), false);
    if (code.category() == http::make_error_code(http::error::bad_method).category()) return write(problem(400, "this is no HTTP request: " + code.message()), false);
  }

  void look_at_head() {
    head_timed_ = false;
    const auto& head = parser_->get();
    request_ = HttpRequest();
    request_.method = std::string(head.method_string());
    request_.peer = peer_;
    for (const auto& field : head) {
      std::string name(field.name_string());
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
      std::string& value = request_.headers[name];
      value += (value.empty() ? "" : ", ") + std::string(field.value());
    }
    head_only_ = head.method() == http::verb::head;
    const std::string target(head.target());
    const size_t question = target.find('?');
    const auto path = percent_decoded(target.substr(0, question), false);
    if (!path || path->empty() || path->front() != '/') return write(problem(400, "this is no path"), false);
    request_.path = *path;
    for (size_t at = question; at < target.size();) {
      const size_t end = std::min(target.find('&', at + 1), target.size()), equals = target.find('=', at + 1);
      const auto name = percent_decoded(target.substr(at + 1, std::min(equals, end) - at - 1), true);
      const auto value = equals < end ? percent_decoded(target.substr(equals + 1, end - equals - 1), true) : std::string();
      if (!name || !value) return write(problem(400, "this is no query"), false);
      request_.query[*name] = *value;
      at = end;
    }
    if (const auto length = parser_->content_length(); length && *length > shared_.options.most_body_bytes) return write(problem(413, "the body of the request is too long"), false);
    in_worker(
        shared_.gates,
        [this]() -> std::optional<HttpResponse> {  // which waits, and is alive
          try {
            return shared_.gate(request_);
          } catch (...) {
            return problem(500, "the gate failed");
          }
        },
        [](Session& self, std::optional<HttpResponse> refused) {
          // A body that nobody reads would be taken for the next request.
          if (refused) return self.write(std::move(*refused), self.parser_->is_done() && self.parser_->keep_alive());
          self.read_body();
        });
  }

  void read_body() {
    if (parser_->is_done()) return ask();
    expire_after(shared_.options.request_seconds);
    auto self = this->shared_from_this();
    const auto read = [self] {
      http::async_read(self->stream_, self->buffer_, *self->parser_, [self](error_code code, size_t) {
        if (code) return self->refuse(code);
        self->ask();
      });
    };
    if (!beast::iequals(parser_->get()[http::field::expect], "100-continue")) return read();
    auto go_on = std::make_shared<http::response<http::empty_body>>(http::status::continue_, 11);
    http::async_write(stream_, *go_on, [self, go_on, read](error_code code, size_t) {
      if (!code) read();
    });
  }

  void ask() {
    request_.body = std::move(parser_->get().body());
    in_worker(
        shared_.pool,
        [this] {
          try {
            return shared_.answer(request_);
          } catch (...) {
            return problem(500, "the gateway failed");
          }
        },
        [](Session& self, HttpResponse response) { self.write(std::move(response), self.parser_->keep_alive()); });
  }

  template <class Body>
  void head_of(http::response<Body>& out, const HttpResponse& response, bool keep) {
    out.version(11);
    out.result(unsigned(response.status));
    out.set(http::field::server, "throng");
    if (response.status != 204) out.set(http::field::content_type, response.type);
    out.set("X-Content-Type-Options", "nosniff");
    out.set("Referrer-Policy", "no-referrer");
    out.set("Cross-Origin-Resource-Policy", "same-origin");
    out.set("Cache-Control", "no-store");
    out.set("X-Frame-Options", "DENY");
    out.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    if (!shared_.options.certificate.empty()) out.set("Strict-Transport-Security", "max-age=31536000");
    for (const auto& [name, value] : response.headers) out.set(name, value);
    out.keep_alive(keep);
  }

  void write(HttpResponse response, bool keep) {
    if (response.stream && shared_.num_streams >= shared_.options.most_streams && !head_only_) response = problem(503, "too many streams are open");
    if (response.stream && !head_only_) return write_stream(std::move(response));
    if (!response.file.empty()) return write_file(std::move(response), keep);
    auto out = std::make_shared<http::response<http::string_body>>();
    head_of(*out, response, keep);
    const size_t length = response.body.size();
    if (!head_only_) out->body() = std::move(response.body);
    if (response.status != 204) out->content_length(length);
    out_ = out;
    expire_after(shared_.options.request_seconds);
    auto self = this->shared_from_this();
    auto serializer = std::make_shared<http::response_serializer<http::string_body>>(*out);
    serializer->split(head_only_);
    const auto done = [self, out, serializer, keep](error_code code, size_t) {
      if (code) return;
      keep ? self->read_head(self->shared_.options.idle_seconds) : self->end();
    };
    if (head_only_) http::async_write_header(stream_, *serializer, done);
    else http::async_write(stream_, *serializer, done);
  }

  void write_file(HttpResponse response, bool keep) {
    const auto path = response.file;
    in_worker(shared_.pool, [path] { return std::make_shared<SentFile>(path); },
              [response = std::move(response), keep](Session& self, std::shared_ptr<SentFile> file) mutable {
                if (!file->is_open()) return self.write(problem(404, "the file cannot be read"), keep);
                self.file_ = std::move(file);
                self.write_head_of_file(response, keep);
              });
  }

  void write_head_of_file(const HttpResponse& response, bool keep) {
    auto out = std::make_shared<http::response<http::empty_body>>();
    head_of(*out, response, keep);
    out->content_length(file_->left);
    if (head_only_) file_->left = 0;
    expire_after(shared_.options.request_seconds);
    auto self = this->shared_from_this();
    auto serializer = std::make_shared<http::response_serializer<http::empty_body>>(*out);
    http::async_write_header(stream_, *serializer, [self, out, serializer, keep](error_code code, size_t) {
      if (!code) self->write_more(keep);
    });
  }

  // In blocks, each of which has its time: a large file may take long, a client that stands still may not.
  void write_more(bool keep) {
    if (file_->left == 0) return keep ? read_head(shared_.options.idle_seconds) : end();
    in_worker(shared_.pool, [file = file_] { return file->read(); },
              [keep](Session& self, std::string block) {
                if (block.empty()) return self.close();  // it has become shorter: the length that was told cannot be kept
                auto bytes = std::make_shared<std::string>(std::move(block));
                self.expire_after(self.shared_.options.request_seconds);
                asio::async_write(self.stream_, asio::buffer(*bytes), [me = self.shared_from_this(), bytes, keep](error_code code, size_t) {
                  if (!code) me->write_more(keep);
                });
              });
  }

  void write_stream(HttpResponse response) {
    ++shared_.num_streams;
    streaming_ = true;
    streamed_ = std::make_shared<std::function<std::optional<std::string>()>>(std::move(response.stream));
    auto out = std::make_shared<http::response<http::empty_body>>();
    head_of(*out, response, false);
    out->chunked(true);
    out_ = out;
    auto serializer = std::make_shared<http::response_serializer<http::empty_body>>(*out);
    expire_after(shared_.options.request_seconds);
    auto self = this->shared_from_this();
    http::async_write_header(stream_, *serializer, [self, out, serializer](error_code code, size_t) {
      if (!code) self->next_piece();
    });
  }

  void next_piece() {
    in_worker(
        shared_.pool,
        [streamed = streamed_]() -> std::optional<std::string> {
          try {
            return (*streamed)();
          } catch (...) {
            return {};  // the stream ends
          }
        },
        [](Session& self, const std::optional<std::string>& piece) { self.write_piece(piece); });
  }

  void write_piece(const std::optional<std::string>& piece) {
    auto self = this->shared_from_this();
    expire_after(shared_.options.request_seconds);
    if (!piece) {
      asio::async_write(stream_, http::make_chunk_last(), [self](error_code code, size_t) {
        if (!code) self->end();
      });
      return;
    }
    const auto wait = [self] {
      self->timer_.expires_after(duration_of(self->shared_.options.stream_seconds));
      self->timer_.async_wait([self](error_code code) {
        if (!code && !self->shared_.over) self->next_piece();
      });
    };
    if (piece->empty()) return wait();
    auto bytes = std::make_shared<std::string>(*piece);
    asio::async_write(stream_, http::make_chunk(asio::buffer(*bytes)), [self, bytes, wait](error_code code, size_t) {
      if (!code) wait();
    });
  }

  void stop_streaming() {
    if (std::exchange(streaming_, false)) --shared_.num_streams;
  }

  // What the client still sends is read for a moment, since closing at once could take the response from it.
  void end() {
    stop_streaming();
    error_code ignored;
    beast::get_lowest_layer(stream_).socket().shutdown(tcp::socket::shutdown_send, ignored);
    expire_after(1);
    drain();
  }
  void drain() {
    auto self = this->shared_from_this();
    beast::get_lowest_layer(stream_).async_read_some(asio::buffer(drained_), [self](error_code code, size_t n) {
      if (code || (self->num_drained_ += n) > (size_t{1} << 20)) return;
      self->drain();
    });
  }

  Shared& shared_;
  Stream stream_;
  std::string peer_;
  beast::flat_buffer buffer_{size_t{64} << 10};
  std::optional<Parser> parser_;
  HttpRequest request_;
  std::shared_ptr<void> out_;
  std::shared_ptr<SentFile> file_;
  std::shared_ptr<std::function<std::optional<std::string>()>> streamed_;
  asio::steady_timer timer_{shared_.io};
  std::array<char, 4096> drained_;
  size_t num_drained_ = 0;
  bool head_only_ = false, head_timed_ = false, streaming_ = false;
};

}  // namespace

class HttpServer::Impl {
 public:
  Impl(HttpOptions options, Gate gate, Answer answer) : shared_(std::move(options), std::move(gate), std::move(answer)) {
    const HttpOptions& o = shared_.options;
    if (!o.certificate.empty()) {
      try {
        shared_.tls.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
        shared_.tls.use_certificate_chain_file(o.certificate);
        shared_.tls.use_private_key_file(o.key, asio::ssl::context::pem);
      } catch (const boost::system::system_error& e) {
        throw system_error("{}, {}: no certificate and key that go together: {}", o.certificate, o.key, e.code().message()).with_hint("both are PEM; the certificate's file may hold its chain");
      }
    }
    error_code code;
    const auto address = asio::ip::make_address(o.address, code);
    if (code) throw system_error("'{}' is no address to listen on: {}", o.address, code.message()).with_hint("an address, such as 127.0.0.1, ::1 or 0.0.0.0");
    const tcp::endpoint at(address, o.port);
    acceptor_.open(at.protocol(), code);
    if (!code) acceptor_.set_option(asio::socket_base::reuse_address(true), code);
    if (!code) acceptor_.bind(at, code);
    if (!code) acceptor_.listen(asio::socket_base::max_listen_connections, code);
    if (!code) ::fcntl(acceptor_.native_handle(), F_SETFD, FD_CLOEXEC);
    if (code) throw system_error("{} port {} cannot be listened on: {}", o.address, o.port, code.message()).with_hint("another program may have it: choose one with --port");
    accept();
    thread_ = std::thread([this] {
      for (;;) try {
          shared_.io.run();
          return;
        } catch (const std::exception& e) {  // one connection's: no memory, say
          std::fprintf(stderr, "throng: warning: a connection failed: %s\n", e.what());
        }
    });
  }

  ~Impl() {
    std::promise<void> closed;
    asio::post(shared_.io, [this, &closed] {
      shared_.over = true;
      error_code ignored;
      acceptor_.close(ignored);
      again_.cancel();
      for (Connection* c : shared_.connections) c->close();
      closed.set_value();
    });
    closed.get_future().wait();  // from here on nobody asks the workers for more
    shared_.gates.join();
    shared_.pool.join();  // what workers post still finds the context
    shared_.io.stop();
    thread_.join();
  }

  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  size_t num_connections() const { return shared_.num_connections; }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code code, tcp::socket socket) {
      if (shared_.over || code == asio::error::operation_aborted) return;
      if (code) {  // out of descriptors, say
        again_.expires_after(std::chrono::milliseconds(100));
        again_.async_wait([this](error_code) {
          if (!shared_.over) accept();
        });
        return;
      }
      if (shared_.num_connections < shared_.options.most_connections) begin(std::move(socket));
      accept();
    });
  }

  void begin(tcp::socket socket) {
    error_code failed;
    const auto peer = socket.remote_endpoint(failed);
    if (failed) return;
    socket.set_option(tcp::no_delay(true), failed);
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    const std::string from = peer.address().to_string();
    if (shared_.options.certificate.empty()) std::make_shared<Session<beast::tcp_stream>>(shared_, beast::tcp_stream(std::move(socket)), from)->start();
    else std::make_shared<Session<beast::ssl_stream<beast::tcp_stream>>>(shared_, beast::ssl_stream<beast::tcp_stream>(beast::tcp_stream(std::move(socket)), shared_.tls), from)->start();
  }

  Shared shared_;
  tcp::acceptor acceptor_{shared_.io};
  asio::steady_timer again_{shared_.io};
  std::thread thread_;
};

HttpServer::HttpServer(HttpOptions options, Gate gate, Answer answer) : impl_(std::make_unique<Impl>(std::move(options), std::move(gate), std::move(answer))) {}
HttpServer::~HttpServer() = default;
uint16_t HttpServer::port() const { return impl_->port(); }
size_t HttpServer::num_connections() const { return impl_->num_connections(); }

}  // namespace throng::service
