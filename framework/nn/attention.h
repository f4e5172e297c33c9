// Attention over sequences that lie one after another, without padding.
#pragma once
#include <functional>

#include "framework/nn/tape.h"

namespace throng::nn {

struct AttentionOptions {
  size_t heads = 1;
  bool causal = false;   ///< row i of a sequence sees keys 0 to i of it
  double dropout = 0;    ///< of the attention weights
};

/// Scaled dot-product attention of several heads (Vaswani et al., 2017): sequence s of q (Nq, D) looks at sequence s of k (Nk, D) and v (Nk, D), each
/// head on its D / heads columns; weights softmax(q k^T / sqrt(D / heads)). Gives (Nq, D), before any output projection. A sequence without keys
/// gives zeros. `see` is called with the weights of each sequence and head, (queries, keys), before dropout.
template <class T>
Var attention(Tape<T>& t, Var q, Var k, Var v, const Segments& queries, const Segments& keys, const AttentionOptions& options,
              const std::function<void(size_t sequence, size_t head, const T* weights)>& see = {});

/// Softmax of scores (N, 1) within each sequence.
template <class T>
Var segment_softmax(Tape<T>& t, Var scores, const Segments& segments);
/// (sequences, C): the rows of each sequence added up, times weights (N, 1).
template <class T>
Var segment_weighted_sum(Tape<T>& t, Var x, Var weights, const Segments& segments);

/// What is left of a sequence's rows, column by column; zeros of a sequence without rows.
enum class Pooling { kSum, kMean, kMax, kLast };
template <class T>
Var segment_pool(Tape<T>& t, Var x, const Segments& segments, Pooling pooling);

}  // namespace throng::nn
