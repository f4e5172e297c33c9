// The keyed shuffle: blocks of rows travel to the owner of their partition, as byte streams in messages of bounded size.
#pragma once
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/data/dataset.h"
#include "framework/engine/buckets.h"

namespace throng::engine {

/// One shuffle, driven by one thread of each rank: `send` blocks as they are made, then `finish`. Collective: every rank
/// must make it and finish it.
class Exchange {
 public:
  /// `sequence` counts the exchanges of a run; it keeps a fast rank's next exchange apart from this one.
  Exchange(comm::Communicator& comm, int64_t num_partitions, uint64_t sequence, Buckets& buckets);
  /// Queues a block for the owner of `partition`; receives while more than the allowed bytes are under way.
  void send(int64_t partition, Buffer block);
  /// Collective. Sends what is left; on return the buckets hold all blocks that any rank sent before, and no later ones.
  /// `send` may go on afterwards. `done`: this rank will send no more. Returns whether all ranks said so; while some did
  /// not, each rank calls it again when they do. No other collective may be called by ranks that disagree on that.
  bool drain(bool done);
  /// True when another rank that is not done waits in `drain`; up to date after `send`.
  bool drain_wished() const { return drain_wished_; }
  /// Collective. Drains until every rank is done.
  void finish();
  /// Of all blocks of this rank, also those that stayed here: the sum over ranks hardly depends on how many there are.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Stream {  // bytes received from one rank, not yet a whole block
    Buffer pending;
    bool ended = false;  // the round
  };
  void flush(int rank);
  bool receive();
  void parse(Stream& stream);
  int owner(int64_t partition) const;

  comm::Communicator& comm_;
  int64_t num_partitions_;
  comm::Channel channel_;
  Buckets& buckets_;
  const size_t message_bytes_, in_flight_bytes_;
  std::vector<Buffer> outgoing_;
  std::vector<Stream> incoming_;
  int open_streams_;  // whose round has not ended
  bool drain_wished_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace throng::engine
