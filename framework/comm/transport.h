// What a communicator needs from a backend: whole messages of bounded size, in order per (sender, channel).
#pragma once
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/buffer.h"
#include "framework/base/error.h"

namespace throng::comm {

/// No message is larger; longer payloads are cut by the communicator (MPI counts are int).
inline constexpr size_t kMaxMessageBytes = size_t{64} << 20;

/// Messages of different channels never match each other.
enum class Channel : int { kCollective = 0, kExchangeEven = 1, kExchangeOdd = 2, kRounds = 3 };
/// Those, and as many for each lane (`comm/lanes.h`).
inline constexpr int kChannels = 4, kMostLanes = 8, kAllChannels = kChannels * (1 + kMostLanes);

/// A rank goes on for so long after it heard that another has failed: what it waits for may be on its way, and its own error may come
/// first in (step, partition, row).
inline constexpr double kFailureGraceSeconds = 0.05;

struct Incoming {
  int from = 0;
  Buffer message;
};

/// Thrown out of every wait when another rank has failed; carries that rank's error.
class PeerFailure : public std::exception {
 public:
  explicit PeerFailure(Error cause) : cause_(std::move(cause)) {}
  const char* what() const noexcept override { return cause_.what(); }
  const Error& cause() const { return cause_; }

 private:
  Error cause_;
};

/// One rank's end of a backend. Used by one thread of the rank at a time.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// True where the ranks are those of MPI_COMM_WORLD, so that a library over MPI may be used by all of them together.
  virtual bool is_mpi_world() const { return false; }

  /// Begins to send; never blocks. The transport owns the message until it is sent.
  virtual void post(int to, Channel channel, Buffer message) = 0;
  /// The same of bytes that stay the caller's, who leaves them as they are until no view is in flight.
  virtual void post_view(int to, Channel channel, std::span<const std::byte> bytes) { post(to, channel, Buffer(bytes.begin(), bytes.end())); }
  /// Bytes posted and not yet handed to the receiver's side.
  virtual size_t bytes_in_flight() = 0;
  /// Views posted and not yet handed to the receiver's side.
  virtual size_t views_in_flight() { return 0; }
  /// A message that has arrived, from `from` or, where negative, from any rank; nullopt when there is none.
  virtual std::optional<Incoming> poll(int from, Channel channel) = 0;
  /// Waits a little for something to happen; throws PeerFailure when another rank has failed.
  virtual void idle() = 0;
  /// Throws PeerFailure when another rank has failed, kFailureGraceSeconds after it was first seen.
  virtual void check() = 0;
  /// True where it need not be the same thread all the time.
  virtual bool any_thread() const { return true; }

  /// Collective. The backend's own exchange of messages[r] for rank r, of any size; nullopt where it has none.
  virtual std::optional<std::vector<Buffer>> alltoall(const std::vector<Buffer>& /*messages*/) { return {}; }

  /// Tells all ranks that this one failed; their waits throw PeerFailure.
  virtual void announce_failure(const Error& error) = 0;
};

}  // namespace throng::comm
