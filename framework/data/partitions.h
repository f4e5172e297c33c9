// Which rank owns which partition: contiguous, even blocks, so that file order is dataset order.
#pragma once
#include <cstdint>

namespace throng::data {

/// First partition of a rank.
inline int64_t first_partition(int rank, int num_ranks, int64_t num_partitions) {
  return num_partitions * rank / num_ranks;
}

/// The rank whose block holds a partition.
inline int partition_owner(int64_t partition, int num_ranks, int64_t num_partitions) {
  int r = int(partition * num_ranks / num_partitions);
  while (first_partition(r, num_ranks, num_partitions) > partition) --r;
  while (r + 1 < num_ranks && first_partition(r + 1, num_ranks, num_partitions) <= partition) ++r;
  return r;
}

}  // namespace throng::data
