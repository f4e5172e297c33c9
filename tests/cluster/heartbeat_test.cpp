// Heartbeats over loopback sockets; a relay between the sides plays the network and can be cut.
#include "cluster/heartbeat/heartbeat.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "cluster/heartbeat/invitation.h"
#include "framework/base/clock.h"
#include "framework/base/host_name.h"

namespace throng::heartbeat {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Generous: a loaded machine may take long, and only a failure waits to the end.
bool eventually(const std::function<bool()>& holds) {
  for (Stopwatch watch; watch.seconds() < 60; ::usleep(5000))
    if (holds()) return true;
  return false;
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int connect_to(uint16_t port) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::close(fd), fd = -1;
  return fd;
}

// Passes on bytes both ways until it is cut (all stays open, nothing passes) or hangs up.
class Relay {
 public:
  explicit Relay(uint16_t target) : target_(target), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Relay() {
    end_ = true;
    thread_.join();
    close_all();
    ::close(listener_);
  }
  uint16_t port = 0;
  std::atomic<bool> cut = false, hang_up = false;

 private:
  void close_all() {
    for (auto [a, b] : pairs_) ::close(a), ::close(b);
    pairs_.clear();
  }
  void run() {
    for (; !end_; ::usleep(1000)) {
      if (cut) continue;
      if (hang_up) close_all();
      pollfd incoming{listener_, POLLIN, 0};
      if (::poll(&incoming, 1, 0) > 0) pairs_.push_back({::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), connect_to(target_)});
      for (auto [a, b] : pairs_) pass(a, b), pass(b, a);
    }
  }
  static void pass(int from, int to) {
    char block[256];
    ssize_t n = ::recv(from, block, sizeof block, MSG_DONTWAIT);
    if (n > 0) (void)!::send(to, block, size_t(n), MSG_NOSIGNAL);
  }
  uint16_t target_;
  int listener_;
  std::vector<std::pair<int, int>> pairs_;
  std::atomic<bool> end_ = false;
  std::thread thread_;
};

// One rank's heartbeat and what it said.
struct End {
  End(int rank, int num_ranks, double timeout, const std::string& invitation = "") {
    Options options{.rank = rank, .num_ranks = num_ranks, .timeout_seconds = timeout};
    options.on_silence = [this](const Error& e) {
      std::lock_guard lock(mutex);
      silence = e.text(), code = e.exit_code(), ++num_silences;
    };
    options.warn = [this](const std::string& text) {
      std::lock_guard lock(mutex);
      warning = text, ++num_warnings;
    };
    heartbeat = rank == 0 ? std::make_unique<Heartbeat>(options) : std::make_unique<Heartbeat>(options, invitation);
  }
  bool silent() { return std::lock_guard(mutex), num_silences > 0; }
  bool warned() { return std::lock_guard(mutex), num_warnings > 0; }
  std::mutex mutex;
  std::string silence, warning;
  int code = 0, num_silences = 0, num_warnings = 0;
  std::unique_ptr<Heartbeat> heartbeat;  // last: its thread ends before what it writes to
};

std::string through(const Relay& relay, const std::string& invitation) {
  auto changed = Invitation::unpack(invitation);
  changed.addresses = {"127.0.0.1"};
  changed.port = relay.port;
  return changed.pack();
}

TEST(Heartbeat, RanksThatSayGoodbyeAreNotMissed) {
  End first(0, 4, 2);
  {
    std::vector<std::unique_ptr<End>> others;
    for (int r = 1; r < 4; ++r) others.push_back(std::make_unique<End>(r, 4, 2, first.heartbeat->invitation()));
    ASSERT_TRUE(eventually([&] { return first.heartbeat->num_watched() == 3; }));
    for (auto& other : others) {
      ASSERT_TRUE(eventually([&] { return other->heartbeat->num_watched() == 1; }));
      EXPECT_FALSE(other->warned());
    }
  }
  std::this_thread::sleep_for(std::chrono::seconds(3));
  EXPECT_FALSE(first.silent()) << first.silence;
}

TEST(Heartbeat, ReportsReachRankZeroWhole) {
  std::mutex mutex;
  std::map<int, std::vector<std::string>> heard;
  Options options{.rank = 0, .num_ranks = 3, .timeout_seconds = 0};
  options.warn = [](const std::string&) {};
  options.on_silence = [](const Error& e) { ADD_FAILURE() << e.text(); };
  options.on_report = [&](int rank, const std::string& report) {
    std::lock_guard lock(mutex);
    heard[rank].push_back(report);
  };
  Heartbeat first(options);
  // In pieces of 256 bytes, with the letters of a beat and a goodbye in it; the second is longer than any may be, but for its first time.
  Relay relay(Invitation::unpack(first.invitation()).port);
  const std::string whole = "{\"text\": \"" + std::string(5000, 'x') + "...\"}", longer = "{" + std::string(100000, 'y') + "}";
  std::atomic<int> asked = 0;
  Options one = options, two = options;
  one.rank = 1, two.rank = 2;
  one.report = [&] { return whole; };
  two.report = [&] { return ++asked == 1 ? longer : std::string("{\"a\": 1}"); };
  Heartbeat second(one, through(relay, first.invitation())), third(two, first.invitation());
  EXPECT_TRUE(eventually([&] { return std::lock_guard(mutex), heard[1].size() >= 2 && !heard[2].empty(); }));
  EXPECT_EQ(first.num_watched(), 2) << "an x in a report is no goodbye";
  std::lock_guard lock(mutex);
  for (const auto& report : heard[1]) EXPECT_EQ(report, whole);
  for (const auto& report : heard[2]) EXPECT_EQ(report, "{\"a\": 1}");
}

TEST(Heartbeat, ACutLinkIsNoticedOnBothSides) {
  End first(0, 4, 1);
  Relay relay(Invitation::unpack(first.heartbeat->invitation()).port);
  const std::string invitation = through(relay, first.heartbeat->invitation());
  std::vector<std::unique_ptr<End>> others;
  for (int r = 1; r < 4; ++r) others.push_back(std::make_unique<End>(r, 4, 1, invitation));
  ASSERT_TRUE(eventually([&] { return first.heartbeat->num_watched() == 3; }));
  relay.cut = true;
  ASSERT_TRUE(eventually([&] { return first.silent(); }));
  for (auto& other : others) ASSERT_TRUE(eventually([&] { return other->silent(); }));
  std::lock_guard lock(first.mutex);
  EXPECT_THAT(first.silence, HasSubstr("no sign of life from rank"));
  EXPECT_THAT(first.silence, HasSubstr("on host " + host_name() + " for "));
  EXPECT_THAT(first.silence, HasSubstr("--resume"));
  EXPECT_THAT(first.silence, Not(HasSubstr("since the connection closed")));
  EXPECT_EQ(first.code, 4);
  EXPECT_EQ(first.num_silences, 1);
  std::lock_guard lock_other(others[1]->mutex);
  EXPECT_THAT(others[1]->silence, HasSubstr("no sign of life from rank 0 on host " + host_name()));
  EXPECT_THAT(others[1]->silence, HasSubstr("rank 2 of 4"));
  EXPECT_EQ(others[1]->num_warnings, 0);
}

TEST(Heartbeat, AConnectionClosedWithoutGoodbyeEndsBothSidesAfterTheTimeout) {
  End first(0, 2, 1);
  Relay relay(Invitation::unpack(first.heartbeat->invitation()).port);
  End other(1, 2, 1, through(relay, first.heartbeat->invitation()));
  ASSERT_TRUE(eventually([&] { return first.heartbeat->num_watched() == 1 && other.heartbeat->num_watched() == 1; }));
  relay.hang_up = true;
  ASSERT_TRUE(eventually([&] { return first.silent() && other.silent(); }));
  std::lock_guard lock(first.mutex);
  EXPECT_THAT(first.silence, HasSubstr("rank 1 on host"));
  EXPECT_THAT(first.silence, HasSubstr("since the connection closed"));
}

TEST(Heartbeat, GoesOnUnwatchedWhereNoAddressAnswers) {
  End first(0, 2, 1);
  auto invitation = Invitation::unpack(first.heartbeat->invitation());
  invitation.host = "elsewhere";
  invitation.addresses = {"127.0.0.2", "127.0.0.3"};
  int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);  // bound, not listening: refuses
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(taken, reinterpret_cast<sockaddr*>(&address), size), 0);
  ::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size);
  invitation.port = ntohs(address.sin_port);
  End other(1, 2, 1, invitation.pack());
  ASSERT_TRUE(eventually([&] { return other.warned(); }));
  std::this_thread::sleep_for(std::chrono::seconds(2));
  std::lock_guard lock(other.mutex);
  EXPECT_THAT(other.warning, HasSubstr("rank 1"));
  EXPECT_THAT(other.warning, HasSubstr("127.0.0.2, 127.0.0.3"));
  EXPECT_THAT(other.warning, HasSubstr("elsewhere"));
  EXPECT_EQ(other.num_warnings, 1);
  EXPECT_EQ(other.num_silences, 0);
  EXPECT_FALSE(first.silent());
  ::close(taken);
}

TEST(Heartbeat, TheNextAddressIsTriedWhereAnotherJobAnswers) {
  End first(0, 2, 2), another_job(0, 2, 2);
  // Where another rank 0 has the port, it knows another cookie.
  auto invitation = Invitation::unpack(first.heartbeat->invitation());
  invitation.port = Invitation::unpack(another_job.heartbeat->invitation()).port;
  invitation.addresses = {"127.0.0.1"};
  End lost(1, 2, 2, invitation.pack());
  ASSERT_TRUE(eventually([&] { return lost.warned(); }));
  EXPECT_EQ(another_job.heartbeat->num_watched(), 0);

  invitation = Invitation::unpack(first.heartbeat->invitation());
  invitation.addresses = {"not an address", "127.0.0.1"};
  invitation.host = "elsewhere";
  End found(1, 2, 2, invitation.pack());
  ASSERT_TRUE(eventually([&] { return first.heartbeat->num_watched() == 1; }));
  EXPECT_FALSE(found.warned());
}

TEST(Heartbeat, StrangersAreTurnedAway) {
  End first(0, 3, 2);
  auto invitation = Invitation::unpack(first.heartbeat->invitation());
  for (std::string text : {std::string("GET / HTTP/1.0\n"), std::string(4096, 'a'), invitation.cookie + " 3 toohigh\n", invitation.cookie + " 0 zero\n",
                           invitation.cookie + " -1 h\n", invitation.cookie + "\n", std::string("\n")}) {
    int fd = connect_to(invitation.port);
    ASSERT_GE(fd, 0);
    (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    char byte;
    EXPECT_LE(::recv(fd, &byte, 1, 0), 0) << text;  // closed, without a word
    ::close(fd);
  }
  int mute = connect_to(invitation.port);
  char byte;
  EXPECT_LE(::recv(mute, &byte, 1, 0), 0);  // after the timeout
  ::close(mute);
  EXPECT_EQ(first.heartbeat->num_watched(), 0);
  EXPECT_FALSE(first.silent());
}

TEST(Heartbeat, EndsAtOnceInWhateverState) {
  for (int i = 0; i < 20; ++i) {
    End first(0, 2, 60);
    auto invitation = Invitation::unpack(first.heartbeat->invitation());
    End connecting(1, 2, 60, invitation.pack());
    Stopwatch watch;
    connecting.heartbeat.reset();
    first.heartbeat.reset();
    EXPECT_LT(watch.seconds(), 30);
  }
}

}  // namespace
}  // namespace throng::heartbeat
