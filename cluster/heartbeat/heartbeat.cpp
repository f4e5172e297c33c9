#include "cluster/heartbeat/heartbeat.h"

#include <atomic>
#include <climits>
// One thread runs all handlers, and the queue has its lock; TSan does not know fences.
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#include <boost/asio.hpp>
#include <cmath>
#include <map>
#include <set>
#include <thread>

#include "cluster/heartbeat/invitation.h"
#include "cluster/telemetry/ranks_text.h"
#include "framework/base/clock.h"
#include "framework/base/host_name.h"
#include "framework/base/units.h"

namespace throng::heartbeat {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// The protocol: a rank sends "COOKIE RANK HOST\n", rank 0 answers "ANSWER\n"; from then on both send beats, the rank first, and
// a goodbye last. Between beats a rank sends reports, "{...}\n".
constexpr char kBeat = '.', kGoodbye = 'x';
constexpr size_t kLongestGreeting = 512, kLongestReport = size_t{64} << 10;
constexpr double kReportSeconds = 0.9;
constexpr int kBeatsForGreeting = 60;  // where silence has no limit
constexpr auto kAttempt = std::chrono::seconds(5);  // for one address; a lost SYN is sent again after 1 and 3 s

struct Peer {
  explicit Peer(asio::io_context& io) : socket(io) {}
  tcp::socket socket;
  std::array<char, 4096> received;
  std::string greeting, report, unsent;
  bool greeted = false, left = false, closed = false;
  int rank = 0;
  std::string host;
  int silent_beats = 0;
  Stopwatch since_heard;
};
using PeerPtr = std::shared_ptr<Peer>;

}  // namespace

class Heartbeat::Impl {
 public:
  explicit Impl(Options options) : options_(std::move(options)) {
    listen();
    invitation_ = {host_name(), interface_addresses(), acceptor_.local_endpoint().port(), random_cookie(), random_cookie(), options_.timeout_seconds};
    set_pace();
    accept();
    start();
  }

  Impl(Options options, const std::string& invitation) : options_(std::move(options)), invitation_(Invitation::unpack(invitation)) {
    options_.timeout_seconds = invitation_.timeout_seconds;
    set_pace();
    addresses_ = invitation_.addresses;
    if (invitation_.host == host_name()) addresses_.insert(addresses_.begin(), "127.0.0.1");
    try_next_address("it announced no address");
    start();
  }

  ~Impl() {
    asio::post(io_, [this] {
      for (auto& [rank, peer] : peers_) {
        send(*peer, std::string(1, kGoodbye));
        error_code ignored;
        peer->socket.shutdown(tcp::socket::shutdown_send, ignored);
      }
      io_.stop();
    });
    thread_.join();
  }

  const Invitation& invitation() const { return invitation_; }
  int num_watched() const { return num_watched_; }

 private:
  void set_pace() {
    const bool never = options_.timeout_seconds <= 0;
    double beat = never ? 1.0 : std::min(1.0, options_.timeout_seconds / 10);
    beat_ = std::chrono::microseconds(std::max<int64_t>(1000, int64_t(beat * 1e6)));
    limit_ = never ? INT_MAX : 1 + int(std::ceil(options_.timeout_seconds / std::chrono::duration<double>(beat_).count() - 1e-6));
  }

  void start() {
    timer_.expires_after(beat_);
    timer_.async_wait([this](error_code code) { on_beat(code); });
    thread_ = std::thread([this] {
      try {
        io_.run();
      } catch (const std::exception& e) {
        options_.warn(fmt::format("the heartbeats of rank {} ended: {}; going on without", options_.rank, e.what()));
      }
    });
  }

  void listen() {
    error_code code;
    for (auto protocol : {tcp::v6(), tcp::v4()}) {
      tcp::endpoint any(protocol, 0);
      acceptor_ = tcp::acceptor(io_);
      acceptor_.open(protocol, code);
      error_code ignored;
      if (!code && protocol == tcp::v6()) acceptor_.set_option(asio::ip::v6_only(false), ignored);
      if (!code) acceptor_.bind(any, code);
      if (!code) acceptor_.listen(asio::socket_base::max_listen_connections, code);
      if (!code) return;
    }
    throw system_error("no port to listen on for heartbeats: {}", code.message());
  }

  // Rank 0: whoever connects is a guest until it has said the cookie.
  void accept() {
    auto guest = std::make_shared<Peer>(io_);
    acceptor_.async_accept(guest->socket, [this, guest](error_code code) {
      if (code) {
        accepting_ = false;  // out of descriptors, say: try again at the next beat
        return;
      }
      prepare(*guest);
      guests_.insert(guest);
      receive(guest);
      accept();
    });
    accepting_ = true;
  }

  void try_next_address(const std::string& why_not_the_last) {
    attempt_timer_.cancel();
    attempt_.reset();
    if (next_address_ == addresses_.size()) {
      std::string all;
      for (const auto& a : addresses_) all += (all.empty() ? "" : ", ") + a;
      std::string reason = fmt::format("rank {} on {} finds no way to rank 0 on {} for heartbeats (port {} of {}; the last: {}); going on without them",
                                       options_.rank, host_name(), invitation_.host, invitation_.port, all, why_not_the_last);
      asio::post(io_, [this, reason] { options_.warn(reason); });
      return;
    }
    error_code code;
    auto address = asio::ip::make_address(addresses_[next_address_++], code);
    if (code) return try_next_address(code.message());
    auto peer = std::make_shared<Peer>(io_);
    attempt_ = peer;
    peer->host = invitation_.host;
    attempt_timer_.expires_after(kAttempt);
    attempt_timer_.async_wait([this, peer](error_code cancelled) {
      if (!cancelled && attempt_ == peer) close(peer, "no answer");
    });
    peer->socket.async_connect({address, invitation_.port}, [this, peer](error_code failed) {
      if (attempt_ != peer) return;
      if (failed) return close(peer, failed.message());
      prepare(*peer);
      send(*peer, fmt::format("{} {} {}\n", invitation_.cookie, options_.rank, host_name()));
      receive(peer);
    });
  }

  void prepare(Peer& peer) {
    error_code ignored;
    peer.socket.set_option(tcp::no_delay(true), ignored);
    peer.socket.non_blocking(true, ignored);
  }

  // Never waits. What a stalled link does not take is sent before anything else; what comes in the meantime is dropped, and the
  // silence is noticed.
  void send(Peer& peer, const std::string& text) {
    auto write = [&](const std::string& bytes) {
      error_code failed;
      const size_t n = peer.socket.write_some(asio::buffer(bytes), failed);
      return bytes.substr(failed ? 0 : n);
    };
    if (!peer.unsent.empty()) peer.unsent = write(peer.unsent);
    if (peer.unsent.empty()) peer.unsent = write(text);
  }

  void receive(PeerPtr peer) {
    peer->socket.async_read_some(asio::buffer(peer->received), [this, peer](error_code code, size_t n) {
      if (code) return close(peer, code == asio::error::eof ? "it closed the connection" : code.message());
      if (!peer->greeted) {
        if (auto fault = take_greeting(peer, std::string_view(peer->received.data(), n)); !fault.empty()) return close(peer, fault);
        return receive(peer);
      }
      if (guests_.contains(peer)) watch(peer);
      peer->silent_beats = 0;
      peer->since_heard = Stopwatch();
      take(*peer, std::string_view(peer->received.data(), n));
      receive(peer);
    });
  }

  // Beats, reports and the goodbye.
  void take(Peer& peer, std::string_view bytes) {
    while (!bytes.empty()) {
      if (peer.report.empty() && bytes[0] != '{') {
        peer.left |= bytes[0] == kGoodbye;
        bytes.remove_prefix(1);
        continue;
      }
      const size_t end = bytes.find('\n');
      if (peer.report.size() < kLongestReport) peer.report += bytes.substr(0, end);
      if (end == bytes.npos) return;
      bytes.remove_prefix(end + 1);
      const std::string report = std::exchange(peer.report, "");
      if (report.size() <= kLongestReport && options_.on_report) options_.on_report(peer.rank, report);
    }
  }

  // Returns what is wrong with it, or nothing. Rank 0 watches a guest from its first beat on: one that gave up waiting for
  // the answer goes on unwatched, and must not be taken for dead.
  std::string take_greeting(const PeerPtr& peer, std::string_view bytes) {
    const size_t end = bytes.find('\n');
    peer->greeting += bytes.substr(0, end);
    if (peer->greeting.size() > kLongestGreeting) return "it sent something else than a greeting";
    if (end == bytes.npos) return "";
    if (!(options_.rank == 0 ? greet_guest(peer) : peer->greeting == invitation_.answer)) return "another program answers there";
    peer->greeted = true;
    peer->silent_beats = 0;
    if (options_.rank != 0) {
      watch(peer);
      send(*peer, std::string(1, kBeat));
    }
    return "";
  }

  // Rank 0. False where it is none of our ranks.
  bool greet_guest(const PeerPtr& guest) {
    std::string_view text = guest->greeting, cookie = invitation_.cookie;
    if (!text.starts_with(cookie) || text.size() < cookie.size() + 2) return false;
    char* end = nullptr;
    guest->rank = int(std::strtol(guest->greeting.c_str() + cookie.size(), &end, 10));
    if (guest->rank < 1 || guest->rank >= options_.num_ranks || *end != ' ') return false;
    guest->host = end + 1;
    send(*guest, invitation_.answer + "\n");
    return true;
  }

  void watch(const PeerPtr& peer) {
    guests_.erase(peer);
    attempt_timer_.cancel();
    attempt_.reset();
    peer->since_heard = Stopwatch();
    PeerPtr& place = peers_[peer->rank];
    error_code ignored;
    if (place) place->socket.close(ignored);  // a rank that missed our answer came again by another address
    place = peer;
    num_watched_ = int(peers_.size());
  }

  void close(const PeerPtr& peer, const std::string& why) {
    error_code ignored;
    peer->socket.close(ignored);
    peer->closed = true;
    guests_.erase(peer);
    if (attempt_ == peer) try_next_address(why);
  }

  void on_beat(error_code code) {
    if (code) return;
    for (auto it = guests_.begin(); it != guests_.end();) {
      PeerPtr guest = *it++;
      if (++guest->silent_beats > std::min(limit_, kBeatsForGreeting)) close(guest, "no greeting");
    }
    bool silence = false;
    for (auto& [rank, peer] : peers_)
      if (!peer->left && ++peer->silent_beats >= limit_) silence = true;
    if (silence) {
      options_.on_silence(silence_error());
      return;
    }
    std::string says(1, kBeat);
    if (options_.rank != 0 && options_.report && since_report_.seconds() >= kReportSeconds) {
      says += options_.report() + "\n";
      since_report_ = Stopwatch();
    }
    for (auto& [rank, peer] : peers_)
      if (!peer->closed) send(*peer, says);
    if (options_.rank == 0 && !accepting_) accept();
    timer_.expires_after(beat_);
    timer_.async_wait([this](error_code next) { on_beat(next); });
  }

  // Names all hosts that are nearly as silent as the first one, for they fell silent together.
  Error silence_error() const {
    std::map<std::string, std::vector<int>> hosts;
    double longest = 0;
    bool closed = true;
    for (const auto& [rank, peer] : peers_) {
      if (peer->left || peer->silent_beats < limit_ - 2) continue;
      hosts[peer->host].push_back(rank);
      longest = std::max(longest, peer->since_heard.seconds());
      closed = closed && peer->closed;
    }
    std::string who;
    for (const auto& [host, ranks] : hosts) who += fmt::format("{}{} on host {}", who.empty() ? "" : ", ", ranks_text(ranks), host);
    Error error = system_error("no sign of life from {} for {}{}; rank {} of {} on host {} ends the run here", who, format_seconds(longest),
                               closed ? ", since the connection closed" : "", options_.rank, options_.num_ranks, host_name());
    return std::move(error).with_hint("see whether that host is up and reached over the network, then go on with --resume; --hang-timeout sets how long to wait");
  }

  Options options_;
  Invitation invitation_;
  std::chrono::microseconds beat_{};
  int limit_ = 0;
  asio::io_context io_{1};
  asio::steady_timer timer_{io_};
  std::map<int, PeerPtr> peers_;  // watched, by rank
  std::atomic<int> num_watched_{0};
  // Rank 0's
  tcp::acceptor acceptor_{io_};
  bool accepting_ = false;
  std::set<PeerPtr> guests_;
  // The others'
  std::vector<std::string> addresses_;
  size_t next_address_ = 0;
  PeerPtr attempt_;
  asio::steady_timer attempt_timer_{io_};
  Stopwatch since_report_;
  std::thread thread_;
};

Heartbeat::Heartbeat(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Heartbeat::Heartbeat(Options options, const std::string& invitation) : impl_(std::make_unique<Impl>(std::move(options), invitation)) {}
Heartbeat::~Heartbeat() = default;
std::string Heartbeat::invitation() const { return impl_->invitation().pack(); }
int Heartbeat::num_watched() const { return impl_->num_watched(); }

}  // namespace throng::heartbeat
