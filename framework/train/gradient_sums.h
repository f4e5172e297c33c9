// Gradients of a model's shards, summed over all ranks while the way back is still going on.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "framework/base/thread_pool.h"
#include "framework/comm/communicator.h"
#include "framework/nn/optimizer.h"
#include "framework/nn/parameters.h"

namespace throng::train {

/// Holds the dense gradients of this rank's shards, and adds those of all shards in the fixed tree of `Communicator::sum_shards`: node (lo, n) = node(lo, n/2) +
/// node(lo + n/2, n/2). The array is cut into buckets, and each bucket into one slice for each rank, which alone gets the sum of it (a reduce-scatter): its owner
/// moves the weights of the slice, and all ranks then share the weights. A rank sends the largest subtrees that it has whole, so that bits do not depend on ranks.
///
/// Ranks of one host read what is theirs of each other's gradients where it lies (comm::HostMemory): only the word that it is whole is sent.
///
/// With more than one rank a thread of its own sums the buckets that are whole while the way back goes on; it alone uses the communicator from `start` to
/// `finish`. Where MPI wants one thread, `finish` does it all.
class GradientSums {
 public:
  /// Numbers of a bucket, 4 MiB; others are multiples of kLeastBucket.
  static constexpr size_t kBucket = size_t{1} << 20, kLeastBucket = 16 * nn::kNormBlock;
  /// How gradients travel: as they are; or as bfloat16, in half the bytes. Then each node of the tree but the last sum is rounded to it, travelling or not, so that
  /// bits do not depend on ranks there either.
  enum class Wire { kFloat32, kBfloat16 };
  struct Options {
    bool background = true;       ///< off: all is done in `finish`
    size_t bucket = kBucket;      ///< numbers
    Wire wire = Wire::kFloat32;
    bool host_memory = true;      ///< ranks of a host read each other's gradients and weights where they lie; off: all goes by messages, with the same bits
  };
  /// Collective.
  GradientSums(comm::Communicator& comm, const nn::Parameters& parameters, int shards, const Options& options);
  GradientSums(comm::Communicator& comm, const nn::Parameters& parameters, int shards) : GradientSums(comm, parameters, shards, Options()) {}
  ~GradientSums();
  GradientSums(const GradientSums&) = delete;
  GradientSums& operator=(const GradientSums&) = delete;

  /// Collective. Begins a step: nothing is whole, and gradients may be written.
  void begin();
  /// From now on sums go on beside the caller, who keeps off the communicator until `finish`.
  void start();
  /// The gradient of a shard of this rank, counted from its first, which the caller clears.
  std::span<float> of(size_t shard);
  /// Nothing more is added to a shard's gradient of the entry. Thread-safe.
  void complete(size_t shard, size_t entry);
  /// Nothing more is added to any of the shard's. Thread-safe.
  void complete(size_t shard);
  /// Collective. Returns when this rank's slices of `sum` hold the sum over all shards; alone it uses the pool.
  void finish(ThreadPool& pool);
  /// Instead of `finish`, where this rank has failed.
  void abandon();

  /// The slices of a rank, in order; they begin at multiples of nn::kNormBlock.
  const std::vector<nn::Slice>& slices(int rank) const;
  const std::vector<nn::Slice>& slices() const { return slices(comm_.rank()); }
  /// All of the array; meant are the slices of this rank.
  std::span<float> sum();
  /// Collective. Gives all ranks what each has in its slices.
  void share(std::span<float> values);

 private:
  struct State;
  comm::Communicator& comm_;
  std::unique_ptr<State> state_;
};

}  // namespace throng::train
