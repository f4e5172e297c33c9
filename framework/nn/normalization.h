// Layer and batch normalisation.
#pragma once
#include "framework/nn/tape.h"

namespace throng::nn {

/// Each row to mean 0 and variance 1, then times `gain` (1, C) plus `bias` (1, C). Ba et al., 2016; as torch.nn.LayerNorm.
template <class T>
Var layer_norm(Tape<T>& t, Var x, const Parameter& gain, const Parameter& bias, double epsilon = 1e-5);

/// What batch norm remembers of the batches it saw; statistics in the model's array, so that they are summed over shards, kept in checkpoints and
/// exported with the weights.
struct BatchStatistics {
  Parameter mean, variance, rows;  ///< (1, C), (1, C), (1, 1)
};

/// Each column to mean 0 and variance 1 over the rows of this shard's batch (each shard by itself, so that ranks have no part in it; Hoffer et al.,
/// 2017, ghost batch norm), or by the statistics where the tape is not training; then times gain plus bias. Ioffe and Szegedy, 2015. As
/// torch.nn.BatchNorm1d; for images, a column is a channel of `positions` numbers side by side. In training it leaves in the gradient of the
/// statistics rows * mean, rows * variance (n - 1) and rows, for `update_statistics`.
template <class T>
Var batch_norm(Tape<T>& t, Var x, const Parameter& gain, const Parameter& bias, const BatchStatistics& statistics, size_t positions = 1, double epsilon = 1e-5);

/// Moves all statistics by `momentum` (PyTorch's: new = (1 - momentum) old + momentum batch) towards what the gradient sums up over shards, and zeroes
/// their place in it, so that what is left is the gradient of the weights.
template <class T>
void update_statistics(const Parameters& parameters, std::span<T> weights, std::span<T> gradient, double momentum = 0.1);

}  // namespace throng::nn
