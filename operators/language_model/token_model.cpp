#include "operators/language_model/token_model.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "framework/base/hash.h"
#include "framework/nn/objective.h"
#include "framework/train/layered_model.h"

namespace throng::op {

using nn::Tape;
using nn::Var;

TokenModel::TokenModel(const LanguageModel& p, size_t num_tokens, uint64_t seed) : params_(p), seed_(seed) {
  const size_t width = size_t(recurrent() ? p.embedding : p.hidden), hidden = size_t(p.hidden);
  // As BERT and GPT begin: a Transformer's first states would be too wide otherwise.
  const nn::Initial initial = recurrent() && !p.tied ? nn::Initial::normal(1) : nn::Initial::normal(0.02);
  // A step uses few tokens: where to move these rows alone is the same, that is done. Such a table comes last.
  const bool by_rows = p.sparse || (!p.tied && p.weight_decay == 0 && p.weight_decays.empty() && ((p.optimizer == "sgd" && p.momentum == 0) || p.optimizer == "adagrad"));
  if (!by_rows) tokens_ = nn::Embedding(parameters_, "tokens", num_tokens, width, initial);
  if (recurrent()) {
    const nn::Cell cell = p.model == "rnn" ? nn::Cell::kRnn : p.model == "lstm" ? nn::Cell::kLstm : nn::Cell::kGru;
    layers_ = nn::Recurrent(parameters_, "recurrent", width, hidden, {cell, size_t(p.layers), false, p.dropout, p.recompute});
  } else {
    position_ = nn::Embedding(parameters_, "position", size_t(p.length), hidden, nn::Initial::normal(0.02));
    for (int l = 0; l < p.layers; ++l)
      blocks_.emplace_back(parameters_, "block" + std::to_string(l), nn::TransformerOptions{hidden, size_t(p.heads), 4 * hidden, p.dropout, true, true, nn::Activation::kGelu, p.recompute});
    norm_ = nn::LayerNorm(parameters_, "norm", hidden);
  }
  if (!p.tied && !p.sparse) {
    const nn::Linear out(parameters_, "out", hidden, num_tokens);
    out_weight_ = out.weight, out_bias_ = out.bias;
  } else if (!p.sparse) {
    out_bias_ = parameters_.add("out.bias", 1, num_tokens, nn::Initial::constant(0), false);
  }
  if (by_rows) tokens_ = nn::Embedding(parameters_, "tokens", num_tokens, width, initial, true);
  if (p.tied) out_weight_ = tokens_.table;
  if (p.sparse) {
    const auto as_linear = nn::Initial::uniform(1 / std::sqrt(double(hidden)));
    if (!p.tied) out_weight_ = parameters_.add_table("out.weight", num_tokens, hidden, as_linear);
    out_bias_ = parameters_.add_table("out.bias", num_tokens, 1, p.tied ? nn::Initial::constant(0) : as_linear);
  }
  if (p.init > 0) parameters_.begin_uniform(p.init);
  p.set_groups_of(parameters_);
}

void TokenModel::take(int first_shard, std::vector<Streams> shards, int64_t steps, const SpillArena& arena) {
  first_shard_ = first_shard, shards_ = std::move(shards), steps_ = steps, arena_ = &arena;
  states_.assign(shards_.size(), {});
  halfway_.clear(), halfway_.resize(shards_.size());
}

TokenModel::Piece TokenModel::piece(int64_t step, int shard) const {
  const Streams& mine = shards_.at(size_t(shard - first_shard_));
  const size_t from = size_t(step * params_.length);
  return {mine, from, mine.empty() ? 0 : std::min(size_t(params_.length), mine[0].size() - 1 - from)};
}

uint64_t TokenModel::stream_of(int64_t epoch, int64_t step, int shard) const { return mix64(mix64(uint64_t(epoch) * uint64_t(steps_) + uint64_t(step)) + uint64_t(shard)); }

Var TokenModel::put_states(Tape<float>& t, std::span<const std::span<const int32_t>> streams, size_t from, size_t n, States& states, std::vector<int32_t>& targets) const {
  const size_t S = streams.size();
  std::vector<int32_t> ids(S * n);
  targets.resize(S * n);
  // Rows of recurrent layers are in the order of time, those of a Transformer stream after stream.
  for (size_t s = 0; s < S; ++s)
    for (size_t i = 0; i < n; ++i) {
      const size_t row = recurrent() ? i * S + s : s * n + i;
      ids[row] = streams[s][from + i], targets[row] = streams[s][from + i + 1];
    }
  Var x = tokens_(t, ids);
  if (recurrent()) {
    x = layers_.go_on(t, nn::dropout(t, x, params_.dropout), S, states);
  } else {
    std::vector<int32_t> places(S * n);
    for (size_t r = 0; r < places.size(); ++r) places[r] = int32_t(r % n);
    x = nn::dropout(t, nn::add(t, x, position_(t, places)), params_.dropout);
    const auto segments = nn::Segments::of_lengths(std::vector<size_t>(S, n));
    for (const auto& block : blocks_) x = block(t, x, segments);
    x = norm_(t, x);
  }
  return nn::dropout(t, x, params_.dropout);
}

void TokenModel::put_loss(Tape<float>& t, std::span<const std::span<const int32_t>> streams, size_t from, size_t n, States& states) const {
  std::vector<int32_t> targets;
  const Var x = put_states(t, streams, from, n, states, targets);
  nn::linear_cross_entropy<float>(t, x, out_weight_, out_bias_, targets);
}

void TokenModel::want_rows(int64_t, int64_t step, int shard, nn::TableRows<float>& wanted) {
  auto* rows = wanted.find(tokens_.table.at);
  if (!rows) return;
  for (const auto& stream : shards_.at(size_t(shard - first_shard_))) {
    const size_t from = size_t(step * params_.length), end = std::min(from + size_t(params_.length), stream.size() - 1);
    for (size_t i = from; i < end; ++i) rows->want(stream[i]);
  }
}

void TokenModel::prefetch(int64_t, int64_t step, int shard) {
  const auto [streams, from, n] = piece(step, shard);
  for (const auto& stream : streams) arena_->will_need(std::as_bytes(stream.subspan(from, n + 1)));
}

train::ShardLoss TokenModel::gradient(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const train::ShardGradient& into) {
  States& states = states_.at(size_t(shard - first_shard_));
  if (step == 0) states.clear();
  const auto [streams, from, n] = piece(step, shard);
  if (streams.empty()) return {};
  auto& t = train::thread_tape();
  t.start(parameters_, weights, into.dense, seed_, stream_of(epoch, step, shard), &into.tables, &into.packed, into.rows);
  put_loss(t, streams, from, n, states);
  const double loss = t.loss();
  t.backward(into.complete);
  return {loss, int64_t(n * streams.size()), t.peak_bytes()};
}

train::SoftmaxStates TokenModel::forward(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const train::ShardGradient& into) {
  States& states = states_.at(size_t(shard - first_shard_));
  if (step == 0) states.clear();
  auto& at = halfway_.at(size_t(shard - first_shard_));
  if (!at) at = std::make_unique<train::Halfway>();
  const auto [streams, from, n] = piece(step, shard);
  at->empty = streams.empty();
  if (at->empty) return {};
  at->tape.start(parameters_, weights, into.dense, seed_, stream_of(epoch, step, shard), &into.tables, &into.packed, into.rows);
  std::vector<int32_t> targets;
  at->states = put_states(at->tape, streams, from, n, states, targets);
  return at->softmax_states(std::move(targets));
}

std::vector<float> TokenModel::shard_state(int shard) const {
  std::vector<float> all;
  for (const auto& layer : states_.at(size_t(shard - first_shard_))) all.insert(all.end(), layer.h.begin(), layer.h.end()), all.insert(all.end(), layer.c.begin(), layer.c.end());
  return all;
}

void TokenModel::restore_shard(int shard, std::span<const float> state) {
  States& states = states_.at(size_t(shard - first_shard_));
  states.clear();
  if (state.empty()) return;
  const size_t numbers = shards_.at(size_t(shard - first_shard_)).size() * size_t(params_.hidden), of_layer = numbers * (params_.model == "lstm" ? 2 : 1);
  THRONG_CHECK(state.size() == of_layer * size_t(params_.layers), "a state of {} numbers", state.size());
  for (size_t at = 0; at < state.size(); at += of_layer) {
    const auto h = state.subspan(at, numbers), c = state.subspan(at + numbers, of_layer - numbers);
    states.push_back({{h.begin(), h.end()}, {c.begin(), c.end()}});
  }
}

double TokenModel::log_likelihood(std::span<const float> weights, std::span<const int32_t> text, const std::function<void(double, size_t)>& see) const {
  States states;
  double sum = 0;
  auto& t = train::thread_tape();
  for (size_t from = 0; from + 1 < text.size(); from += size_t(params_.length)) {
    t.start(parameters_, weights, {});
    const size_t n = std::min(size_t(params_.length), text.size() - 1 - from);
    put_loss(t, std::array{text}, from, n, states);
    sum -= t.loss();
    if (see) see(-t.loss(), n);
  }
  return sum;
}

}  // namespace throng::op
