// Layers that score the items of a catalogue after a sequence of them. Internal to next_item.
#pragma once
#include <optional>

#include "framework/nn/layers.h"
#include "framework/train/layered_model.h"
#include "framework/recommend/recommender.h"
#include "operators/next_item/negative_draw.h"

namespace throng::op {

struct ItemModelOptions {
  enum class Kind { kTransformer, kGru, kMasked };
  enum class Loss { kFull, kSampled, kBce, kBpr, kBprMax };
  Kind kind = Kind::kTransformer;
  Loss loss = Loss::kFull;
  size_t items = 0, hidden = 64, layers = 2, heads = 1, inner = 64, longest = 50, negatives = 1, attended = 0;
  double dropout = 0.2, regularization = 1, sample_alpha = 0, mask = 0.2, mask_last = 0.1;
  bool norm_first = true, sparse = false, scaled = true, bert_init = false, recompute = false;
  nn::Activation activation = nn::Activation::kRelu;
};

/// An example is a user's training items; every place of it is a target, or with a mask those that are hidden.
class ItemModel : public train::LayeredModel {
 public:
  ItemModel(const ItemModelOptions& options, int64_t batch, int shards, uint64_t seed, int64_t batch_rows = 0);

  /// The vectors of items.
  const nn::Parameter& items() const { return items_.table; }
  /// Collective. The items of the users of this rank's shards, two or more each, which lie in `arena`.
  void take(comm::Communicator& comm, std::vector<std::vector<std::span<const int32_t>>> shards, const SpillArena& arena);
  /// How negatives are drawn: evenly, unless this is called.
  void set_draw(NegativeDraw draw) { draw_ = std::move(draw); }
  int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const override;
  nn::Var put_states(nn::Tape<float>& t, int shard, std::span<const size_t> examples, std::vector<int32_t>& classes) const override;
  /// With loss sampled, or full and `sparse`.
  train::SoftmaxClasses softmax() const override;
  std::vector<int32_t> sample(int64_t epoch, int64_t step) const override;
  void want_rows_of(int shard, std::span<const size_t> examples, Random random, nn::TableRows<float>& wanted) const override;
  void prefetch_examples(int shard, std::span<const size_t> examples) const override;
  void trained() override { LayeredModel::trained(), shards_.clear(), arena_ = nullptr; }
  bool epoch_done(const train::EpochEnd& end) override { return after_epoch(end); }

  /// The scorer of some weights, which must stay while it is used. It tells so many of the items that blocks looked at.
  std::unique_ptr<recommend::ItemScorer> scorer(std::span<const float> weights, size_t attended = 0) const;

  std::function<bool(const train::EpochEnd&)> after_epoch;

 private:
  class Scorer;
  /// Items of some users, one after another, what follows each, and the negatives of each row's own.
  struct Minibatch {
    std::vector<int32_t> ids, targets, negatives;
    std::vector<size_t> lengths;
  };
  Minibatch minibatch(int shard, std::span<const size_t> examples, Random random) const;
  // The states after each item. `see`: of the last block (MultiHeadAttention), if there is one.
  nn::Var states(nn::Tape<float>& t, std::span<const int32_t> ids, const nn::Segments& segments, const std::function<void(size_t, size_t, const float*)>& see = {}) const;
  nn::Var head(nn::Tape<float>& t, nn::Var x) const { return head_norm_(t, nn::activate(t, head_(t, x), nn::Activation::kGelu)); }
  /// Items of some users, some of them hidden: what these are, and in which rows.
  struct Masked {
    std::vector<int32_t> ids, targets;
    std::vector<uint32_t> hidden;
    std::vector<size_t> lengths;
  };
  Masked masked(int shard, std::span<const size_t> examples, Random random) const;
  // The states of the items that are hidden.
  nn::Var masked_states(nn::Tape<float>& t, const Masked& m) const { return head(t, nn::gather_rows<float>(t, states(t, m.ids, nn::Segments::of_lengths(m.lengths)), m.hidden)); }
  int32_t mask_id() const { return int32_t(options_.items); }

  ItemModelOptions options_;
  NegativeDraw draw_;
  nn::Embedding items_, position_;
  std::vector<nn::TransformerEncoderBlock> blocks_;
  nn::Recurrent recurrent_;
  nn::LayerNorm norm_;
  // With a mask: the last layer, and a bias for each item. The mask is the item behind the last one.
  nn::Linear head_;
  nn::LayerNorm head_norm_;
  std::optional<nn::Parameter> bias_;
  std::vector<std::vector<std::span<const int32_t>>> shards_;
  const SpillArena* arena_ = nullptr;  // where they lie
};

}  // namespace throng::op
