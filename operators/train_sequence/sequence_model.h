// Embeddings, recurrent layers or Transformer blocks, one linear output, over sequences without padding. Internal to train_sequence.
#pragma once
#include <functional>

#include "framework/nn/layers.h"
#include "operators/train_sequence/attended.h"
#include "operators/train_sequence/sequence_data.h"

namespace throng::op {

/// Rows [begin, end) of an encoded partition, one after another in time; predictions before `from` are not wanted.
struct Piece {
  const EncodedRows* rows = nullptr;
  size_t begin = 0, end = 0, from = 0;
  size_t length() const { return end - begin; }
};

struct ModelSizes {
  enum class Kind { kRecurrent, kTransformer };
  Kind kind = Kind::kRecurrent;
  nn::Cell cell = nn::Cell::kGru;
  bool attention = false;              ///< recurrent: each row also looks at the states of all rows before it
  size_t heads = 1;
  std::vector<size_t> category_sizes;  ///< values of each category column, unknown included
  size_t embedding = 32, num_floats = 0, hidden = 64, layers = 1;
  size_t longest = 50;                 ///< rows that attention sees
  double dropout = 0;
  bool recompute = false;
  size_t recent = 0;                   ///< recent distinct values with a copy gate
  size_t outputs = 2;                  ///< classes, or 1
  bool sparse = false;                 ///< vectors of the categories' values are tables, and without `recent` the output layer of classes is, too
};

/// The layers; what they are trained on is train_sequence's. The k-th most recent distinct value of the sequence gets w_k h + b_k on top of its score, since people return to what they did more than a
/// softmax over many values learns from few rows.
class SequenceModel {
 public:
  SequenceModel() = default;
  SequenceModel(nn::Parameters& parameters, ModelSizes sizes, Task task);

  /// The vectors of a category column's values; the first is that of unknown ones.
  const nn::Parameter& embedding(size_t column) const { return embeddings_[column].table; }
  /// Puts the loss over the rows of `pieces` whose use is `use` on the tape; returns how many there are. Thread-safe.
  int64_t put_loss(nn::Tape<float>& t, const std::vector<Piece>& pieces, EncodedRows::Use use) const;
  /// Instead of it, of classes: the states that the output layer is multiplied by, and their classes.
  nn::Var put_states(nn::Tape<float>& t, const std::vector<Piece>& pieces, EncodedRows::Use use, std::vector<int32_t>& classes) const;
  /// The vectors that the pieces use, where they are tables.
  void want_rows(const std::vector<Piece>& pieces, nn::TableRows<float>& wanted) const;
  /// Null where the output layer is no table.
  const nn::Linear* output_table() const { return output_is_table() ? &output_ : nullptr; }
  /// Outputs (rows of each piece in order, K): logits, or the value. `visit(piece, row, outputs)`. `attended`, if not null, sees the attention of each wanted row, the
  /// mean over heads, of a Transformer that of its last block. Thread-safe.
  void predict(const nn::Parameters& parameters, std::span<const float> weights, const std::vector<Piece>& pieces, const std::function<void(const Piece&, size_t row, std::span<const float>)>& visit, Attended* attended = nullptr) const;
  /// A whole sequence as pieces that the model can see at once: itself, or windows of which each row is predicted in one, behind at least half
  /// of the rows that the model sees.
  void cut(const EncodedRows& rows, size_t begin, size_t end, std::vector<Piece>& into) const;

 private:
  bool has_attention() const { return sizes_.attention || sizes_.kind == ModelSizes::Kind::kTransformer; }
  bool output_is_table() const { return sizes_.sparse && sizes_.recent == 0 && task_ == Task::kCategory; }
  /// Rows of the pieces that have something to predict, in their order, and what that is.
  struct Targets {
    std::vector<uint32_t> rows;
    std::vector<int32_t> classes, recent;
    std::vector<float> numbers;
  };
  Targets targets_of(const std::vector<Piece>& pieces, EncodedRows::Use use) const;
  nn::Var states(nn::Tape<float>& t, const std::vector<Piece>& pieces, const std::function<void(size_t, size_t, const float*)>& see = {}) const;

  ModelSizes sizes_;
  Task task_ = Task::kCategory;
  std::vector<nn::Embedding> embeddings_;
  nn::Recurrent recurrent_;
  nn::MultiHeadAttention look_back_;
  nn::Linear enter_, join_, output_, copy_;
  nn::Embedding position_;
  std::vector<nn::TransformerEncoderBlock> blocks_;
  nn::LayerNorm last_norm_;
};

}  // namespace throng::op
