// The keyed shuffle: blocks of rows travel to the owner of their partition, as byte streams in messages of bounded size.
#pragma once
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include "framework/base/memory.h"
#include "framework/comm/communicator.h"
#include "framework/data/dataset.h"

namespace throng::engine {

/// Serialised blocks of rows by partition, in memory while the budget allows, then in a spill file. One thread.
class Buckets {
 public:
  Buckets(MemoryBudget& budget, std::filesystem::path spill_folder);
  ~Buckets();
  Buckets(const Buckets&) = delete;
  Buckets& operator=(const Buckets&) = delete;

  void add(int64_t partition, Buffer block);
  /// All blocks of a partition, in no particular order; they are gone from here afterwards.
  std::vector<Buffer> take(int64_t partition);
  uint64_t spilled_bytes() const { return spilled_bytes_; }

 private:
  struct Spilled {
    uint64_t offset, size;
  };
  void spill();

  MemoryBudget& budget_;
  std::filesystem::path spill_folder_;
  std::map<int64_t, std::vector<Buffer>> in_memory_;
  std::map<int64_t, std::vector<Spilled>> on_disk_;
  uint64_t reserved_ = 0, spilled_bytes_ = 0, file_end_ = 0;
  std::FILE* file_ = nullptr;
};

/// One shuffle, driven by one thread of each rank: `send` blocks as they are made, then `finish`. Collective: every rank
/// must make it and finish it.
class Exchange {
 public:
  /// `sequence` counts the exchanges of a run; it keeps a fast rank's next exchange apart from this one.
  Exchange(comm::Communicator& comm, int64_t num_partitions, uint64_t sequence, Buckets& buckets);
  /// Queues a block for the owner of `partition`; receives while more than the allowed bytes are under way.
  void send(int64_t partition, Buffer block);
  /// Sends what is left and receives until every rank has finished.
  void finish();
  /// Of all blocks of this rank, also those that stayed here: the sum over ranks hardly depends on how many there are.
  uint64_t bytes() const { return bytes_; }

 private:
  struct Stream {  // bytes received from one rank, not yet a whole block
    Buffer pending;
    bool ended = false;
  };
  void flush(int rank);
  bool receive();
  void parse(Stream& stream);
  int owner(int64_t partition) const;

  comm::Communicator& comm_;
  int64_t num_partitions_;
  comm::Channel channel_;
  Buckets& buckets_;
  std::vector<Buffer> outgoing_;
  std::vector<Stream> incoming_;
  int open_streams_;
  uint64_t bytes_ = 0;
};

}  // namespace throng::engine
