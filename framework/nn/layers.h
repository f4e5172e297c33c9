// Layers: where their weights lie, and what they do with a tape. A model is a struct of them; a layer adds its weights when it is made.
#pragma once
#include <memory>
#include <string>

#include "framework/nn/attention.h"
#include "framework/nn/convolution.h"
#include "framework/nn/elementwise.h"
#include "framework/nn/linear.h"
#include "framework/nn/normalization.h"
#include "framework/nn/recurrent.h"

namespace throng::nn {

/// y = x W^T + b. Begins as PyTorch's: uniform within 1 / sqrt(in).
struct Linear {
  Parameter weight;
  std::optional<Parameter> bias;
  Linear() = default;
  Linear(Parameters& p, const std::string& name, size_t in, size_t out, bool with_bias = true);
  template <class T>
  Var operator()(Tape<T>& t, Var x) const {
    return linear(t, x, weight, bias);
  }
};

/// A table of vectors, one for each value.
struct Embedding {
  Parameter table;
  Embedding() = default;
  /// `by_rows`: as a table (Parameters::add_table), whose gradient comes by rows.
  Embedding(Parameters& p, const std::string& name, size_t values, size_t width, Initial initial = Initial::normal(1), bool by_rows = false);
  template <class T>
  Var operator()(Tape<T>& t, std::span<const int32_t> ids) const {
    return embedding(t, table, ids);
  }
};

struct LayerNorm {
  Parameter gain, bias;
  double epsilon = 1e-5;
  LayerNorm() = default;
  LayerNorm(Parameters& p, const std::string& name, size_t width, double epsilon = 1e-5);
  template <class T>
  Var operator()(Tape<T>& t, Var x) const {
    return layer_norm(t, x, gain, bias, epsilon);
  }
};

struct BatchNorm {
  Parameter gain, bias;
  BatchStatistics statistics;
  double epsilon = 1e-5;
  BatchNorm() = default;
  BatchNorm(Parameters& p, const std::string& name, size_t channels, double epsilon = 1e-5);
  template <class T>
  Var operator()(Tape<T>& t, Var x, size_t positions = 1) const {
    return batch_norm(t, x, gain, bias, statistics, positions, epsilon);
  }
};

struct RecurrentOptions {
  Cell cell = Cell::kLstm;
  size_t layers = 1;
  bool bidirectional = false;  ///< a second layer reads each sequence from its end; columns are doubled
  double dropout = 0;          ///< between layers
  bool recompute = false;      ///< what a layer's way back needs beside its result is computed anew instead of kept
};

/// What sequences ended with, and their continuation begins with: (sequences, hidden) each; `c` is for LSTM. Empty: zeros.
template <class T>
struct RecurrentState {
  std::vector<T> h, c;
};

/// Recurrent layers, one on the other. Each direction's weights are one matrix, W_ih, W_hh, b_ih, b_hh one after another (RecurrentLayer), uniform
/// within 1 / sqrt(hidden).
struct Recurrent {
  RecurrentOptions options;
  size_t hidden = 0;
  std::vector<Parameter> weights;  ///< by layer, then direction
  Recurrent() = default;
  Recurrent(Parameters& p, const std::string& name, size_t in, size_t hidden, const RecurrentOptions& options = {});
  /// (N, in) to (N, hidden), or (N, 2 * hidden).
  template <class T>
  Var operator()(Tape<T>& t, Var x, const Segments& segments) const;
  /// The next piece of sequences that go on from step to step (truncated backpropagation through time), all of one length, time-major: row t * sequences + s. `states`, one for
  /// each layer, are what the pieces begin with, and after the call what they ended with. Not for two directions.
  template <class T>
  Var go_on(Tape<T>& t, Var x, size_t sequences, std::vector<RecurrentState<T>>& states) const;
};

/// One direction of one recurrent layer on a tape, on rows that are packed already (time-major, longest first): (N, in) to (N, hidden). With a state, of sequences of one
/// length, these go on from it, and leave it as they end.
template <class T>
Var recurrent(Tape<T>& t, Var x, const Packing& packing, Cell cell, size_t hidden, const Parameter& weights, RecurrentState<T>* state = nullptr);
/// The same on sequences that lie one after another. `reversed`: from the end of each sequence to its beginning.
template <class T>
Var recurrent(Tape<T>& t, Var x, const Segments& segments, Cell cell, size_t hidden, const Parameter& weights, bool reversed = false);

/// Projections to queries, keys and values, attention of several heads, and back (Vaswani et al., 2017); as torch.nn.MultiheadAttention.
struct MultiHeadAttention {
  Linear query, key, value, out;
  AttentionOptions options;
  MultiHeadAttention() = default;
  MultiHeadAttention(Parameters& p, const std::string& name, size_t width, const AttentionOptions& options);
  template <class T>
  Var operator()(Tape<T>& t, Var queries, const Segments& of_queries, Var keys, const Segments& of_keys, const std::function<void(size_t, size_t, const T*)>& see = {}) const {
    return out(t, attention(t, query(t, queries), key(t, keys), value(t, keys), of_queries, of_keys, options, see));
  }
  template <class T>
  Var operator()(Tape<T>& t, Var x, const Segments& segments) const {
    return (*this)(t, x, segments, x, segments);
  }
};

/// One vector for each sequence: its rows weighted by softmax(v . tanh(W h + U q)) (Bahdanau et al., 2015), or by softmax(h . W q) (Luong et al., 2015), where
/// q is the sequence's query.
struct AttentionPool {
  enum class Score { kAdditive, kDot };
  Score score = Score::kAdditive;
  Linear of_rows, of_query, to_score;
  AttentionPool() = default;
  AttentionPool(Parameters& p, const std::string& name, size_t width, size_t query_width, size_t inner, Score score);
  /// rows (N, width), queries (sequences, query_width). `weights`, if not null, becomes the (N, 1) weights.
  template <class T>
  Var operator()(Tape<T>& t, Var rows, Var queries, const Segments& segments, Var* weights = nullptr) const;
};

struct TransformerOptions {
  size_t width = 64, heads = 1, inner = 256;
  double dropout = 0;
  bool causal = false;
  bool norm_first = false;  ///< normalise what goes into each part (Xiong et al., 2020) rather than what comes out
  Activation activation = Activation::kRelu;
  bool recompute = false;   ///< encoder: what lies inside a block is computed anew on the way back instead of kept
};

/// Self-attention, then two linear layers, each with a residual and a norm: as torch.nn.TransformerEncoderLayer. With `causal`, a decoder without a source.
struct TransformerEncoderBlock {
  TransformerOptions options;
  MultiHeadAttention attention;
  Linear widen, narrow;
  LayerNorm norm1, norm2;
  TransformerEncoderBlock() = default;
  TransformerEncoderBlock(Parameters& p, const std::string& name, const TransformerOptions& options);
  /// `see`: as attention's.
  template <class T>
  Var operator()(Tape<T>& t, Var x, const Segments& segments, const std::function<void(size_t, size_t, const T*)>& see = {}) const;
};

/// Causal self-attention, attention to a source, then two linear layers: as torch.nn.TransformerDecoderLayer.
struct TransformerDecoderBlock {
  TransformerOptions options;
  MultiHeadAttention attention, to_source;
  Linear widen, narrow;
  LayerNorm norm1, norm2, norm3;
  TransformerDecoderBlock() = default;
  TransformerDecoderBlock(Parameters& p, const std::string& name, const TransformerOptions& options);
  template <class T>
  Var operator()(Tape<T>& t, Var x, const Segments& segments, Var source, const Segments& of_source) const;
};

struct Conv1d {
  Parameter weight;
  std::optional<Parameter> bias;
  Window window;
  bool transposed = false;
  Conv1d() = default;
  Conv1d(Parameters& p, const std::string& name, size_t in, size_t out, const Window& window, bool transposed = false, bool with_bias = true);
  template <class T>
  Var operator()(Tape<T>& t, Var x, Segments& segments) const {
    return transposed ? conv_transpose1d(t, x, segments, weight, bias, window) : conv1d(t, x, segments, weight, bias, window);
  }
};

struct Conv2d {
  Parameter weight;
  std::optional<Parameter> bias;
  Window rows, cols;
  bool transposed = false;
  Conv2d() = default;
  Conv2d(Parameters& p, const std::string& name, size_t in, size_t out, const Window& rows, const Window& cols, bool transposed = false, bool with_bias = true);
  template <class T>
  Var operator()(Tape<T>& t, Var x, Image& image) const {
    return transposed ? conv_transpose2d(t, x, image, weight, bias, rows, cols) : conv2d(t, x, image, weight, bias, rows, cols);
  }
};

}  // namespace throng::nn
