#include "framework/comm/lanes.h"

#include <sched.h>
#include <unistd.h>

namespace throng::comm {

class Lanes::LaneTransport : public Transport {
 public:
  LaneTransport(Shared& shared, int lane) : shared_(shared), lane_(lane), rank_(shared.base.rank()), size_(shared.base.size()) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void post(int to, Channel channel, Buffer message) override {
    std::lock_guard lock(shared_.mutex);
    shared_.base.post(to, own(channel), std::move(message));
    spins_ = 0;
  }
  void post_view(int to, Channel channel, std::span<const std::byte> bytes) override {
    std::lock_guard lock(shared_.mutex);
    shared_.base.post_view(to, own(channel), bytes);
    spins_ = 0;
  }
  // Of all lanes: who waits for less waits a little longer.
  size_t bytes_in_flight() override {
    std::lock_guard lock(shared_.mutex);
    return shared_.base.bytes_in_flight();
  }
  size_t views_in_flight() override {
    std::lock_guard lock(shared_.mutex);
    return shared_.base.views_in_flight();
  }
  std::optional<Incoming> poll(int from, Channel channel) override {
    std::lock_guard lock(shared_.mutex);
    check_lanes();
    auto incoming = shared_.base.poll(from, own(channel));
    if (incoming) spins_ = 0;
    return incoming;
  }
  // Never waits while it holds the transport, which other lanes need.
  void idle() override {
    if (++spins_ % 64 == 0 || shared_.failed) check();
    if (spins_ > 2000)
      ::usleep(100);
    else
      ::sched_yield();
  }
  void check() override {
    std::lock_guard lock(shared_.mutex);
    check_lanes();
    shared_.base.check();
  }
  void announce_failure(const Error& error) override {
    std::lock_guard lock(shared_.mutex);
    shared_.base.announce_failure(error);
  }

 private:
  Channel own(Channel channel) const { return Channel(int(channel) + kChannels * (1 + lane_)); }
  void check_lanes() const {
    if (shared_.failed && shared_.since_failure.seconds() > kFailureGraceSeconds) throw PeerFailure(*shared_.failure);
  }

  Shared& shared_;
  int lane_, rank_, size_, spins_ = 0;
};

Lanes::Lanes(Communicator& base, int num_lanes) : shared_(base.transport()) {
  THRONG_CHECK(num_lanes > 0 && num_lanes <= kMostLanes, "{} lanes", num_lanes);
  for (int k = 0; k < num_lanes; ++k) lanes_.push_back(std::make_unique<Communicator>(std::make_unique<LaneTransport>(shared_, k), base.board()));
}

void Lanes::fail(const Error& error) {
  std::lock_guard lock(shared_.mutex);
  if (!shared_.failed || error.before(*shared_.failure)) shared_.failure = error;
  if (!shared_.failed) shared_.since_failure = Stopwatch(), shared_.base.announce_failure(error);
  shared_.failed = true;
}

}  // namespace throng::comm
