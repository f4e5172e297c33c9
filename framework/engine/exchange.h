// The keyed shuffle: blocks of rows travel to the owner of their partition.
#pragma once
#include <memory>

#include "framework/comm/communicator.h"
#include "framework/data/partitions.h"
#include "framework/engine/buckets.h"
#include "framework/engine/exchange_path.h"

namespace throng::engine {

/// How blocks travel. The rows that arrive, and the results, are the same.
enum class ExchangeKind {
  kStream,      ///< point to point as they are made, within credits that the receivers grant
  kCollective,  ///< in rounds that all ranks join
};

/// One shuffle, driven by one thread of each rank: `send` blocks as they are made, then `finish`. Collective: every rank
/// must make it and finish it. No other collective may be called between its first `send` and the end of a drain.
class Exchange {
 public:
  /// `sequence` counts the exchanges of a run; it keeps a fast rank's next exchange apart from this one.
  Exchange(comm::Communicator& comm, int64_t num_partitions, uint64_t sequence, Buckets& buckets, ExchangeKind kind = ExchangeKind::kStream);
  /// Queues a block for the owner of `partition`; receives while more waits here than was reserved for it.
  void send(int64_t partition, Buffer block);
  /// Collective. Sends what is left; on return the buckets hold all blocks that any rank sent before, and no later ones.
  /// `send` may go on afterwards. `done`: this rank will send no more. Returns whether all ranks said so; while some did
  /// not, each rank calls it again when they do.
  bool drain(bool done) { return path_->drain(done); }
  /// Collective. Drains until every rank is done.
  void finish();
  /// Of all blocks of this rank, also those that stayed here: the sum over ranks hardly depends on how many there are.
  uint64_t bytes() const { return bytes_; }
  /// Most bytes that were under way here at once: waiting to be sent, sent and not yet taken, coming in.
  uint64_t peak_bytes() const { return path_->peak_bytes(); }

 private:
  comm::Communicator& comm_;
  int64_t num_partitions_;
  Buckets& buckets_;
  std::unique_ptr<ExchangePath> path_;
  uint64_t bytes_ = 0;
};

}  // namespace throng::engine
