// Losses on a tape. Each adds `weight` times its sum over rows to the tape's loss, and leaves its gradient in what it was computed from.
#pragma once
#include <optional>
#include <span>

#include "framework/nn/tape.h"

namespace throng::nn {

/// Sum of x * factors (as many numbers as x has): what a test, or a loss of one's own, needs.
template <class T>
void weighted_sum(Tape<T>& t, Var x, const T* factors, double weight = 1);

/// -log softmax(logits)[target] of each row; rows with a negative target are left out. Returns how many were not.
template <class T>
size_t cross_entropy(Tape<T>& t, Var logits, std::span<const int32_t> targets, double weight = 1);

/// Scores on top of some outputs of each row: number (r, j) of `scores` (N, J) is added to output columns[r * J + j]; none where that is negative.
struct SparseScores {
  Var scores;
  std::span<const int32_t> columns;
};

/// cross_entropy(linear(x, W, b), targets) without ever holding all logits: rows go through the product, the softmax and back in chunks of
/// `chunk` numbers (0: 16 MiB of them) and at most 256 rows, so that memory does not grow with rows times outputs. Returns the number of rows with a target.
template <class T>
size_t linear_cross_entropy(Tape<T>& t, Var x, const Parameter& table, const std::optional<Parameter>& bias, std::span<const int32_t> targets, double weight = 1, size_t chunk = 0,
                            const std::optional<SparseScores>& extra = {});

/// Of x * W^T with few columns: the target's and those of `negatives`, shared by all rows (sampled softmax; Jean et al., 2015). A negative that is a
/// row's own target is left out for it. `log_q`: log of how likely each output is to be drawn, subtracted from its score (Bengio and Senecal,
/// 2008), or empty for none.
template <class T>
size_t sampled_softmax(Tape<T>& t, Var x, const Parameter& table, const std::optional<Parameter>& bias, std::span<const int32_t> targets, std::span<const int32_t> negatives,
                       std::span<const T> log_q = {}, double weight = 1);

/// log(1 + exp(x)) - target x of each number; targets from 0 to 1. `use`: 0 leaves a number out; empty: all count.
template <class T>
void binary_cross_entropy(Tape<T>& t, Var logits, std::span<const T> targets, double weight = 1, std::span<const uint8_t> use = {});

/// (x - target)^2 of each number.
template <class T>
void squared_error(Tape<T>& t, Var x, std::span<const T> targets, double weight = 1);

/// Bayesian personalised ranking (Rendle et al., 2009): the mean over negatives of -log sigmoid(positive - negative). positive (N, 1), negatives (N, K).
template <class T>
void bpr(Tape<T>& t, Var positive, Var negatives, double weight = 1);

/// BPR-max (Hidasi and Karatzoglou, 2018, equation 9): -log sum_j s_j sigmoid(positive - negative_j) + regularization sum_j s_j negative_j^2, with s
/// the softmax of the row's negatives.
template <class T>
void bpr_max(Tape<T>& t, Var positive, Var negatives, double regularization, double weight = 1);

}  // namespace throng::nn
