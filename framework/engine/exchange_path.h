// What the ways that blocks travel between ranks have in common.
#pragma once
#include <cstdint>

#include "framework/base/buffer.h"
#include "framework/base/memory.h"
#include "framework/comm/communicator.h"

namespace throng::engine {

/// Takes blocks to the buckets of other ranks. One thread of each rank; made and drained by all ranks. See `Exchange`.
class ExchangePath {
 public:
  virtual ~ExchangePath() = default;
  virtual void send(int to, int64_t partition, Buffer block) = 0;
  virtual bool drain(bool done) = 0;
  virtual uint64_t peak_bytes() const = 0;
};

/// Bytes reserved for what is under way, in shares of one size: on the way here, being put together, waiting to be sent, and sent.
/// A share is at most 1/32 of the budget and 16 MiB (on more than 64 ranks 256 KiB for each), and the same on all ranks, since a
/// sender counts on its receivers' shares.
/// Where the budget has no room left, shares are small and not counted: an exchange can always finish.
class ExchangeMemory {
 public:
  static constexpr uint64_t kShares = 4;
  /// Collective.
  ExchangeMemory(comm::Communicator& comm, MemoryBudget& budget);
  ~ExchangeMemory() { budget_.release(reserved_); }
  ExchangeMemory(const ExchangeMemory&) = delete;
  ExchangeMemory& operator=(const ExchangeMemory&) = delete;
  uint64_t share_bytes() const { return share_; }

 private:
  MemoryBudget& budget_;
  uint64_t reserved_ = 0, share_ = 0;
};

}  // namespace throng::engine
