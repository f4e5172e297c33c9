// Several communicators over one transport, for work that goes on at the same time.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "framework/base/clock.h"
#include "framework/comm/communicator.h"

namespace throng::comm {

/// One communicator for each of some threads of the rank. Messages of one lane meet those of the same lane of other ranks; the transport is used
/// by one thread at a time. While lanes are in use, nothing else may use `base`.
class Lanes {
 public:
  /// `num_lanes` up to kMostLanes, the same on all ranks. Not collective.
  Lanes(Communicator& base, int num_lanes);
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  /// For one thread.
  Communicator& operator[](int lane) { return *lanes_[size_t(lane)]; }
  /// Thread-safe. This rank failed in one lane: the other ranks are told, and what the other lanes of this one call throws PeerFailure soon.
  void fail(const Error& error);

 private:
  class LaneTransport;
  struct Shared {
    explicit Shared(Transport& transport) : base(transport) {}
    Transport& base;
    std::mutex mutex;  // held while `base` is used
    std::atomic<bool> failed{false};
    std::optional<Error> failure;
    Stopwatch since_failure;
  };
  Shared shared_;
  std::vector<std::unique_ptr<Communicator>> lanes_;
};

}  // namespace throng::comm
