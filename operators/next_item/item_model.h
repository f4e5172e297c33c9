// Layers that score the items of a catalogue after a sequence of them. Internal to next_item.
#pragma once
#include <optional>

#include "framework/nn/layers.h"
#include "framework/tensor/packed.h"
#include "framework/train/layered_model.h"
#include "operators/next_item/item_sequences.h"

namespace throng::op {

struct ItemModelOptions {
  enum class Kind { kTransformer, kGru };
  enum class Loss { kFull, kSampled, kBce, kBpr, kBprMax };
  Kind kind = Kind::kTransformer;
  Loss loss = Loss::kFull;
  size_t items = 0, hidden = 64, layers = 2, heads = 1, inner = 64, longest = 50, negatives = 1;
  double dropout = 0.2;
  bool norm_first = true;
  nn::Activation activation = nn::Activation::kRelu;
};

/// An example is a user's training items; every place of it is a target.
class ItemModel : public train::LayeredModel {
 public:
  ItemModel(const ItemModelOptions& options, int64_t batch, int shards, uint64_t seed);

  /// Collective. The users of this rank's shards.
  void take(comm::Communicator& comm, std::vector<std::vector<const ItemSequence*>> shards);
  int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const override;
  bool epoch_done(int64_t epoch, double loss, const std::vector<float>& weights) override { return after_epoch(epoch, loss, weights); }

  /// What scores need of the weights, laid out once for many calls.
  struct Scorer {
    const ItemModel& model;
    const std::vector<float>& weights;
    tensor::PackedMatrix<float> items;
    Scorer(const ItemModel& model, const std::vector<float>& weights);
    /// (histories, items). A history without items gives zeros. Thread-safe.
    void scores(std::span<const std::vector<int32_t>> histories, std::vector<float>& into) const;
  };

  std::function<bool(int64_t, double, const std::vector<float>&)> after_epoch;

 private:
  // The states after each item.
  nn::Var states(nn::Tape<float>& t, std::span<const int32_t> ids, const nn::Segments& segments) const;

  ItemModelOptions options_;
  nn::Embedding items_, position_;
  std::vector<nn::TransformerEncoderBlock> blocks_;
  nn::Recurrent recurrent_;
  nn::LayerNorm norm_;
  std::vector<std::vector<const ItemSequence*>> shards_;
};

}  // namespace throng::op
