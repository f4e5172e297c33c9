#include "framework/engine/exchange.h"

#include "framework/engine/exchange_collective.h"
#include "framework/engine/exchange_stream.h"

namespace throng::engine {

Exchange::Exchange(comm::Communicator& comm, int64_t num_partitions, uint64_t sequence, Buckets& buckets, ExchangeKind kind)
    : comm_(comm), num_partitions_(num_partitions), buckets_(buckets) {
  if (kind == ExchangeKind::kStream) path_ = std::make_unique<StreamPath>(comm, sequence, buckets);
  else path_ = std::make_unique<CollectivePath>(comm, buckets);
}

void Exchange::send(int64_t partition, Buffer block) {
  bytes_ += block.size();
  const int to = data::partition_owner(partition, comm_.size(), num_partitions_);
  if (to == comm_.rank()) buckets_.add(partition, std::move(block));
  else path_->send(to, partition, std::move(block));
}

void Exchange::finish() {
  while (!drain(true)) {
  }
}

}  // namespace throng::engine
