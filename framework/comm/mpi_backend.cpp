#include "framework/comm/mpi_backend.h"

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <thread>

#include "framework/base/clock.h"
#include "framework/base/thread_pool.h"

namespace throng::comm {
namespace {

constexpr double kReportGraceSeconds = 0.3;
constexpr uint64_t kAlltoallBytes = uint64_t{256} << 20;  // of one rank in one call: its counts and offsets are int

void require(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw system_error("{} failed: {}", what, std::string(text, size_t(length)));
}

/// MPI lets one thread call at a time (MPI_THREAD_SERIALIZED), and so does what lies beside it here: two at once are a bug, which would show as one anywhere else.
class Alone {
 public:
  explicit Alone(std::atomic_flag& busy) : busy_(busy) { THRONG_CHECK(!busy_.test_and_set(std::memory_order_acquire), "two threads use MPI at once"); }
  ~Alone() { busy_.clear(std::memory_order_release); }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  std::atomic_flag& busy_;
};

class MpiTransport : public Transport {
 public:
  MpiTransport() {
    require(MPI_Comm_dup(MPI_COMM_WORLD, &data_), "MPI_Comm_dup");
    require(MPI_Comm_dup(MPI_COMM_WORLD, &control_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(data_, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(control_, MPI_ERRORS_RETURN);
    MPI_Comm_rank(data_, &rank_);
    MPI_Comm_size(data_, &size_);
  }
  ~MpiTransport() override {
    while (bytes_in_flight() > 0) ::sched_yield();
    MPI_Comm_free(&data_);
    MPI_Comm_free(&control_);
  }
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  bool is_mpi_world() const override { return true; }

  void post(int to, Channel channel, Buffer message) override {
    THRONG_CHECK(message.size() <= kMaxMessageBytes, "a message of {} bytes", message.size());
    const Alone alone(busy_);
    sends_.push_back({std::move(message), 0, MPI_REQUEST_NULL});
    begin_to_send(to, channel, sends_.back().message);
  }
  void post_view(int to, Channel channel, std::span<const std::byte> bytes) override {
    THRONG_CHECK(bytes.size() <= kMaxMessageBytes, "a message of {} bytes", bytes.size());
    const Alone alone(busy_);
    sends_.push_back({{}, 0, MPI_REQUEST_NULL, true});
    ++views_in_flight_;
    begin_to_send(to, channel, bytes);
  }

  size_t bytes_in_flight() override {
    for (auto it = sends_.begin(); it != sends_.end();) {
      int done = 0;
      require(MPI_Test(&it->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (!done) {
        ++it;
        continue;
      }
      in_flight_ -= it->bytes + 1;
      views_in_flight_ -= it->view;
      it = sends_.erase(it);
    }
    return in_flight_;
  }

  size_t views_in_flight() override {
    bytes_in_flight();
    return views_in_flight_;
  }

  // A large message needs its sender's help to arrive; a blocking receive would wait for one that is busy computing.
  std::optional<Incoming> poll(int from, Channel channel) override {
    const Alone alone(busy_);
    int found = 0;
    MPI_Message handle;
    MPI_Status status;
    require(MPI_Improbe(from < 0 ? MPI_ANY_SOURCE : from, int(channel), data_, &found, &handle, &status), "MPI_Improbe");
    if (found) {
      int count = 0;
      require(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
      Receive& receive = receives_[int(channel)].emplace_back(Receive{status.MPI_SOURCE, Buffer(size_t(count)), MPI_REQUEST_NULL});
      require(MPI_Imrecv(receive.message.data(), count, MPI_BYTE, &handle, &receive.request), "MPI_Imrecv");
    }
    std::vector<int> waiting;  // sources with an earlier message that is not complete
    auto& receives = receives_[int(channel)];
    for (auto it = receives.begin(); it != receives.end(); ++it) {
      if ((from >= 0 && it->from != from) || std::find(waiting.begin(), waiting.end(), it->from) != waiting.end()) continue;
      int done = 0;
      require(MPI_Test(&it->request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (!done) {
        waiting.push_back(it->from);
        continue;
      }
      Incoming incoming{it->from, std::move(it->message)};
      receives.erase(it);
      spins_ = 0;
      return incoming;
    }
    return {};
  }

  // Spins, then yields, then sleeps: a waiting rank must not take a core from a working one.
  void idle() override {
    ++spins_;
    if (spins_ % 64 == 0) check();
    if (spins_ > 20000)
      ::usleep(100);
    else if (spins_ > 200)
      ::sched_yield();
  }

  void check() override {
    const Alone alone(busy_);
    bytes_in_flight();
    if (auto error = poll_failure(); error && (!failure_ || error->before(*failure_))) failure_ = std::move(error);
    if (failure_ && !failure_seen_) failure_seen_.emplace();
    if (failure_ && failure_seen_->seconds() > kFailureGraceSeconds) throw PeerFailure(*failure_);
  }
  bool any_thread() const override {
    int level = MPI_THREAD_SINGLE;
    MPI_Query_thread(&level);
    return level >= MPI_THREAD_SERIALIZED;
  }

  std::optional<std::vector<Buffer>> alltoall(const std::vector<Buffer>& messages) override {
    const size_t n = messages.size();
    // What MPI may still write to must outlive a failure elsewhere, which ends a wait.
    auto& [sizes, coming, longest, out, in] = *(alltoall_ = std::make_unique<Alltoall>(n));
    for (size_t r = 0; r < n; ++r) sizes[r] = messages[r].size();
    longest = *std::max_element(sizes.begin(), sizes.end());
    MPI_Request request;
    require(MPI_Ialltoall(sizes.data(), 1, MPI_UINT64_T, coming.data(), 1, MPI_UINT64_T, data_, &request), "MPI_Ialltoall");
    wait(request);
    require(MPI_Iallreduce(MPI_IN_PLACE, &longest, 1, MPI_UINT64_T, MPI_MAX, data_, &request), "MPI_Iallreduce");
    wait(request);
    std::vector<Buffer> received(n);
    for (size_t r = 0; r < n; ++r) received[r].resize(coming[r]);
    const uint64_t part = kAlltoallBytes / n;
    for (uint64_t at = 0; at < longest; at += part) {
      out.cut(sizes, at, part);
      in.cut(coming, at, part);
      for (size_t r = 0; r < n; ++r)
        if (out.counts[r]) std::memcpy(out.bytes.data() + out.offsets[r], messages[r].data() + at, size_t(out.counts[r]));
      require(MPI_Ialltoallv(out.bytes.data(), out.counts.data(), out.offsets.data(), MPI_BYTE, in.bytes.data(), in.counts.data(), in.offsets.data(), MPI_BYTE, data_, &request),
            "MPI_Ialltoallv");
      wait(request);
      for (size_t r = 0; r < n; ++r)
        if (in.counts[r]) std::memcpy(received[r].data() + at, in.bytes.data() + in.offsets[r], size_t(in.counts[r]));
    }
    alltoall_.reset();
    return received;
  }

  void announce_failure(const Error& error) override {
    if (!failure_text_.empty()) return;  // once
    std::string packed = error.pack();
    if (packed.size() > 60000) packed = Error(error.fault(), error.message().substr(0, 50000)).pack();
    std::vector<MPI_Request> requests;
    failure_text_ = packed;
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      requests.emplace_back();
      MPI_Isend(failure_text_.data(), int(failure_text_.size()), MPI_BYTE, r, 0, control_, &requests.back());
    }
    Stopwatch watch;
    int done = 0;
    while (!done && watch.seconds() < 1)
      MPI_Testall(int(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
  }

  /// The failure of another rank that a wait has heard of.
  const std::optional<Error>& failure_heard() const { return failure_; }
  /// The next failure another rank has announced.
  std::optional<Error> poll_failure() {
    int found = 0;
    MPI_Message handle;
    MPI_Status status;
    require(MPI_Improbe(MPI_ANY_SOURCE, 0, control_, &found, &handle, &status), "MPI_Improbe");
    if (!found) return {};
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    std::string packed(size_t(count), '\0');
    require(MPI_Mrecv(packed.data(), count, MPI_BYTE, &handle, MPI_STATUS_IGNORE), "MPI_Mrecv");
    return Error::unpack(packed);
  }

 private:
  struct Send {
    Buffer message;  // empty where the bytes are the caller's
    size_t bytes;
    MPI_Request request;
    bool view = false;
  };
  // The last of `sends_`.
  void begin_to_send(int to, Channel channel, std::span<const std::byte> bytes) {
    Send& send = sends_.back();
    send.bytes = bytes.size();
    require(MPI_Isend(bytes.data(), int(bytes.size()), MPI_BYTE, to, int(channel), data_, &send.request), "MPI_Isend");
    in_flight_ += bytes.size() + 1;
    spins_ = 0;
  }
  struct Receive {
    int from;
    Buffer message;
    MPI_Request request;
  };
  struct Parts {  // of the messages to, or from, all ranks
    explicit Parts(size_t n) : counts(n), offsets(n) {}
    void cut(const std::vector<uint64_t>& sizes, uint64_t at, uint64_t part) {
      int total = 0;
      for (size_t r = 0; r < sizes.size(); ++r) {
        counts[r] = sizes[r] > at ? int(std::min(part, sizes[r] - at)) : 0;
        offsets[r] = total;
        total += counts[r];
      }
      bytes.resize(size_t(total));
    }
    std::vector<int> counts, offsets;
    Buffer bytes;
  };
  struct Alltoall {
    explicit Alltoall(size_t n) : sizes(n), coming(n), out(n), in(n) {}
    std::vector<uint64_t> sizes, coming;
    uint64_t longest = 0;
    Parts out, in;
  };
  // A blocking collective would not see that another rank failed.
  void wait(MPI_Request& request) {
    for (int done = 0;;) {
      require(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done) break;
      idle();
    }
    spins_ = 0;
  }
  MPI_Comm data_{}, control_{};
  std::atomic_flag busy_;
  int rank_ = 0, size_ = 1;
  std::list<Send> sends_;
  std::map<int, std::list<Receive>> receives_;  // by channel, in the order they came
  size_t in_flight_ = 0, views_in_flight_ = 0;
  int spins_ = 0;
  std::unique_ptr<Alltoall> alltoall_;  // under way
  std::string failure_text_;
  std::optional<Error> failure_;  // of another rank
  std::optional<Stopwatch> failure_seen_;
};

[[noreturn]] void end_failed(MpiTransport& transport, Error error, const std::function<void(const Error&)>& report) {
  if (transport.rank() != 0) {
    // Rank 0 reports and ends the job; should it be gone, this rank ends it.
    ::sleep(10);
    MPI_Abort(MPI_COMM_WORLD, error.exit_code());
    std::_Exit(error.exit_code());
  }
  if (const auto& heard = transport.failure_heard(); heard && heard->before(error)) error = *heard;
  for (Stopwatch watch; watch.seconds() < kReportGraceSeconds; ::usleep(1000))
    while (auto other = transport.poll_failure())
      if (other->before(error)) error = *other;
  report(error);
  MPI_Abort(MPI_COMM_WORLD, error.exit_code());
  std::_Exit(error.exit_code());
}

}  // namespace

bool started_by_mpi_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"})
    if (std::getenv(name)) return true;
  return false;
}

int run_on_mpi(const std::function<int(Communicator&)>& body, const std::function<void(const Error&)>& report) {
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS)
    throw system_error("MPI_Init_thread failed");
  flush_denormals();
  int code = 0;
  {
    auto owned = std::make_unique<MpiTransport>();
    MpiTransport& transport = *owned;
    const char* tasks = std::getenv("SLURM_NTASKS");
    Communicator communicator(std::move(owned));
    try {
      if (tasks && std::atoi(tasks) > 1 && communicator.size() == 1 && std::getenv("SLURM_STEP_ID") &&
          !std::getenv("OMPI_COMM_WORLD_SIZE"))
        throw system_error("Slurm started {} tasks, but each sees a world of one rank", tasks)
            .with_hint("start with 'srun --mpi=pmix', or mpirun inside the allocation");
      code = body(communicator);
    } catch (const PeerFailure& failure) {
      end_failed(transport, failure.cause(), report);
    } catch (...) {
      Error error = current_error();
      transport.announce_failure(error);
      end_failed(transport, error, report);
    }
  }
  MPI_Finalize();
  return code;
}

}  // namespace throng::comm
