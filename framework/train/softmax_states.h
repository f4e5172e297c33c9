// What shards hand over to a softmax that all ranks compute together, and get back.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "framework/comm/communicator.h"

namespace throng::train {

/// What the softmax of a shard is taken of: (count, cols of the table), and the row that is right for each.
struct SoftmaxStates {
  size_t count = 0;
  const float* values = nullptr;
  std::vector<int32_t> targets;
};

/// Of one shard.
struct SoftmaxOutcome {
  double loss = 0;              ///< summed over its states
  std::vector<float> gradient;  ///< of the states
};

/// The states of all shards of all ranks, one after another.
struct AllStates {
  std::vector<float> values, own_scores;
  std::vector<int32_t> targets;
  size_t first_of_rank = 0;  ///< of this rank's
  /// Collective. `own_scores`: of this rank's states, or empty.
  AllStates(comm::Communicator& comm, const std::vector<SoftmaxStates>& mine, size_t cols, std::span<const float> own_scores = {});
  /// Of this rank's shards, from the losses and gradients of all states.
  std::vector<SoftmaxOutcome> outcomes(const std::vector<SoftmaxStates>& mine, std::span<const double> losses, std::span<const float> gradients, size_t cols) const;
};

/// Collective. The greatest of all ranks for each place.
void take_greatest(comm::Communicator& comm, std::vector<float>& numbers);

/// The first `n` of each part.
template <class T>
std::vector<std::span<T>> spans_of(std::vector<std::vector<T>>& parts, size_t n) {
  std::vector<std::span<T>> spans;
  for (auto& part : parts) spans.emplace_back(part.data(), n);
  return spans;
}

}  // namespace throng::train
