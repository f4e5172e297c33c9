#include "framework/comm/threads_backend.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "framework/base/clock.h"
#include "framework/base/thread_pool.h"

namespace throng::comm {
namespace {

struct Mailbox {
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Incoming> channels[kAllChannels];
  uint64_t num_arrived = 0;
};

struct Hub {
  explicit Hub(int n) : mailboxes(size_t(n)), in_flight(size_t(n)) {}
  std::vector<Mailbox> mailboxes;
  std::vector<std::atomic<size_t>> in_flight;  // bytes posted by each rank and not yet taken
  std::mutex failure_mutex;
  std::optional<Error> failure;
  std::atomic<bool> failed{false};

  void fail(const Error& error) {
    {
      std::lock_guard lock(failure_mutex);
      if (!failure || error.before(*failure)) failure = error;
      failed = true;
    }
    for (auto& m : mailboxes) {
      std::lock_guard lock(m.mutex);
      m.arrived.notify_all();
    }
  }
};

class ThreadTransport : public Transport {
 public:
  ThreadTransport(Hub& hub, int rank) : hub_(hub), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return int(hub_.mailboxes.size()); }

  void post(int to, Channel channel, Buffer message) override {
    THRONG_CHECK(message.size() <= kMaxMessageBytes, "a message of {} bytes", message.size());
    Mailbox& box = hub_.mailboxes[size_t(to)];
    hub_.in_flight[size_t(rank_)] += message.size();
    std::lock_guard lock(box.mutex);
    box.channels[int(channel)].push_back({rank_, std::move(message)});
    ++box.num_arrived;
    box.arrived.notify_one();
  }
  size_t bytes_in_flight() override { return hub_.in_flight[size_t(rank_)]; }

  std::optional<Incoming> poll(int from, Channel channel) override {
    Mailbox& box = hub_.mailboxes[size_t(rank_)];
    std::lock_guard lock(box.mutex);
    seen_ = box.num_arrived;
    auto& queue = box.channels[int(channel)];
    for (auto it = queue.begin(); it != queue.end(); ++it) {
      if (from >= 0 && it->from != from) continue;
      Incoming found = std::move(*it);
      queue.erase(it);
      hub_.in_flight[size_t(found.from)] -= found.message.size();
      return found;
    }
    return {};
  }

  void idle() override {
    if (hub_.failed) {
      check();
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      return;
    }
    Mailbox& box = hub_.mailboxes[size_t(rank_)];
    std::unique_lock lock(box.mutex);
    box.arrived.wait_for(lock, std::chrono::milliseconds(2), [&] { return box.num_arrived != seen_ || hub_.failed; });
  }

  void check() override {
    if (!hub_.failed) return;
    if (!failure_seen_) failure_seen_.emplace();
    if (failure_seen_->seconds() <= kFailureGraceSeconds) return;
    std::lock_guard lock(hub_.failure_mutex);
    throw PeerFailure(*hub_.failure);
  }

  void announce_failure(const Error& error) override { hub_.fail(error); }

 private:
  Hub& hub_;
  int rank_;
  uint64_t seen_ = 0;
  std::optional<Stopwatch> failure_seen_;
};

}  // namespace

void run_on_threads(int num_ranks, const std::function<void(Communicator&)>& body) {
  THRONG_CHECK(num_ranks > 0, "{} ranks", num_ranks);
  Hub hub(num_ranks);
  auto run_rank = [&](int rank) {
    flush_denormals();
    Communicator communicator(std::make_unique<ThreadTransport>(hub, rank));
    try {
      body(communicator);
    } catch (const PeerFailure&) {
      // the hub already holds the cause
    } catch (...) {
      hub.fail(current_error());
    }
  };
  if (num_ranks == 1) {
    run_rank(0);
  } else {
    std::vector<std::thread> threads;
    for (int r = 0; r < num_ranks; ++r) threads.emplace_back(run_rank, r);
    for (auto& t : threads) t.join();
  }
  if (hub.failure) throw *hub.failure;
}

}  // namespace throng::comm
