// Embeddings, recurrent layers, one linear output: forward and backward over packed sequences. Internal to train_sequence.
#pragma once
#include <memory>

#include "framework/nn/recurrent.h"
#include "operators/train_sequence/sequence_data.h"

namespace throng::op {

/// Rows [begin, end) of an encoded partition, one after another in time.
struct Piece {
  const EncodedRows* rows = nullptr;
  size_t begin = 0, end = 0;
  size_t length() const { return end - begin; }
};

struct LayerSizes {
  nn::Cell cell = nn::Cell::kGru;
  std::vector<size_t> category_sizes;  ///< values of each category column, unknown included
  size_t embedding = 32, num_floats = 0, hidden = 64, layers = 1;
  size_t recent = 0;                   ///< recent distinct values with a copy gate
  size_t outputs = 2;                  ///< classes, or 1
};

/// Weights are one array: embeddings (values, E) by column, recurrent layers, output (K, H), output bias (K), and for
/// categories copy gates (R, H + 1): the k-th most recent distinct value of the sequence gets w_k h + b_k on top of its score,
/// since people return to what they did more than a softmax over many values learns from few rows.
class SequenceModel {
 public:
  SequenceModel(LayerSizes sizes, Task task);
  size_t num_weights() const { return num_weights_; }
  const LayerSizes& sizes() const { return sizes_; }
  void initialize(std::vector<float>& weights, uint64_t seed) const;

  /// Sums loss over the rows of `pieces` whose use is `use`, and adds its gradient. Thread-safe.
  double gradient(const std::vector<float>& weights, std::vector<Piece> pieces, EncodedRows::Use use, std::span<float> gradient, int64_t& targets) const;
  /// Outputs (rows of each piece in order, K): logits, or the value. `visit(piece, row, outputs)`.
  void predict(const std::vector<float>& weights, std::vector<Piece> pieces, const std::function<void(const Piece&, size_t row, std::span<const float>)>& visit) const;

 private:
  struct Run;
  void forward(const std::vector<float>& weights, std::vector<Piece>& pieces, Run& run) const;

  LayerSizes sizes_;
  Task task_;
  void add_copy_scores(const float* weights, const float* h, const EncodedRows& rows, size_t row, float* out) const;

  size_t input_size_ = 0, output_at_ = 0, copy_at_ = 0, num_weights_ = 0;
  std::vector<size_t> embedding_at_, layer_at_;
  std::vector<nn::RecurrentLayer<float>> layers_;
};

}  // namespace throng::op
