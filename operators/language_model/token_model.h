// Layers that predict the next token, trained on streams that go on from step to step. Internal to language_model.
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "framework/base/spill_arena.h"
#include "framework/nn/layers.h"
#include "framework/train/layered_model.h"
#include "framework/train/trainer.h"
#include "operators/language_model/language_model.h"

namespace throng::op {

class TokenModel : public train::Model {
 public:
  using States = std::vector<nn::RecurrentState<float>>;
  /// Streams of tokens, each one longer than what it predicts.
  using Streams = std::vector<std::span<const int32_t>>;

  TokenModel(const LanguageModel& params, size_t num_tokens, uint64_t seed);

  /// The streams of this rank's shards, from shard `first` on, all of one length over all ranks; they lie in `arena`.
  void take(int first_shard, std::vector<Streams> shards, int64_t steps, const SpillArena& arena);

  const nn::Parameters& parameters() const override { return parameters_; }
  /// The vectors of tokens.
  const nn::Parameter& tokens() const { return tokens_.table; }
  int64_t steps_per_epoch() const override { return steps_; }
  void want_rows(int64_t epoch, int64_t step, int shard, nn::TableRows<float>& wanted) override;
  void prefetch(int64_t epoch, int64_t step, int shard) override;
  train::ShardLoss gradient(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const train::ShardGradient& into) override;
  /// With `sparse`.
  train::SoftmaxClasses softmax() const override { return params_.sparse ? train::SoftmaxClasses{&out_weight_, false, out_bias_ ? &*out_bias_ : nullptr} : train::SoftmaxClasses{}; }
  train::SoftmaxStates forward(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const train::ShardGradient& into) override;
  size_t go_back(int shard, std::span<const float> gradient, const std::function<void(size_t entry)>& complete) override { return halfway_.at(size_t(shard - first_shard_))->go_back(gradient, complete); }
  void trained() override { halfway_.clear(), shards_.clear(), arena_ = nullptr; }
  bool epoch_done(const train::EpochEnd& end) override { return after_epoch(end); }
  /// Recurrent states between two steps of an epoch.
  std::vector<float> shard_state(int shard) const override;
  void restore_shard(int shard, std::span<const float> state) override;

  /// The log-likelihood of all tokens of a text but the first, read in pieces of `length` as in training; `see`, where it is given, is told that of each piece, and its tokens. Thread-safe.
  double log_likelihood(std::span<const float> weights, std::span<const int32_t> text, const std::function<void(double, size_t)>& see = {}) const;

  std::function<bool(const train::EpochEnd&)> after_epoch;

 private:
  /// Tokens of a shard in one step: of each stream from `from` on.
  struct Piece {
    const Streams& streams;
    size_t from, n;
  };
  Piece piece(int64_t step, int shard) const;
  uint64_t stream_of(int64_t epoch, int64_t step, int shard) const;
  /// Puts the states that predict tokens [from, from + n) of each stream on the tape, given the tokens before them, and says which these are.
  nn::Var put_states(nn::Tape<float>& t, std::span<const std::span<const int32_t>> streams, size_t from, size_t n, States& states, std::vector<int32_t>& targets) const;
  void put_loss(nn::Tape<float>& t, std::span<const std::span<const int32_t>> streams, size_t from, size_t n, States& states) const;
  bool recurrent() const { return params_.model != "transformer"; }

  LanguageModel params_;
  uint64_t seed_;
  nn::Parameters parameters_;
  nn::Embedding tokens_, position_;
  nn::Recurrent layers_;
  std::vector<nn::TransformerEncoderBlock> blocks_;
  nn::LayerNorm norm_;
  nn::Parameter out_weight_;
  std::optional<nn::Parameter> out_bias_;
  int first_shard_ = 0;
  int64_t steps_ = 0;
  std::vector<Streams> shards_;
  const SpillArena* arena_ = nullptr;  // where they lie
  std::vector<States> states_;  // by shard
  std::vector<std::unique_ptr<train::Halfway>> halfway_;
};

}  // namespace throng::op
