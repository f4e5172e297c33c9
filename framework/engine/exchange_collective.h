// The collective path: blocks wait until there are enough, then all ranks exchange them in a round.
#pragma once
#include <deque>
#include <vector>

#include "framework/engine/buckets.h"
#include "framework/engine/exchange_path.h"

namespace throng::engine {

/// Bulk-synchronous: a rank whose share is full waits until the others join a round. In a round each rank sends any other at most an
/// equal part of the share, so that none receives more than a share, however skewed the rows. Blocks longer than that part travel one at
/// a time over all ranks, a share a round.
class CollectivePath : public ExchangePath {
 public:
  /// Collective.
  CollectivePath(comm::Communicator& comm, Buckets& buckets);
  void send(int to, int64_t partition, Buffer block) override;
  bool drain(bool done) override;
  uint64_t peak_bytes() const override { return peak_; }

 private:
  struct Entry {  // before the bytes of a block, or of the next part of one
    int64_t partition = 0;
    uint64_t length = 0, at = 0, size = 0;
  };
  struct Block {
    int64_t partition = 0;
    Buffer bytes;
  };
  struct LongBlock {
    int to = 0;
    int64_t partition = 0;
    Buffer bytes;
    size_t sent = 0;
  };
  struct Verdict {
    bool all_drained = false, all_done = false;
  };
  Verdict round(bool draining, bool done);
  void append(Buffer& message, Entry entry, const std::byte* bytes);
  void take(const Buffer& message);

  comm::Communicator& comm_;
  Buckets& buckets_;
  ExchangeMemory memory_;
  uint64_t pair_bytes_;  // of a round, from one rank to another
  std::vector<std::deque<Block>> queues_;
  std::deque<LongBlock> long_blocks_;
  Buffer coming_;  // the long block
  uint64_t queued_ = 0, filled_ = 0, peak_ = 0;
};

}  // namespace throng::engine
