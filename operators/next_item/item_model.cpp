#include "operators/next_item/item_model.h"

#include <algorithm>
#include <cmath>

#include "framework/nn/objective.h"
#include "framework/recommend/factor_scores.h"

namespace throng::op {

using namespace recommend;

using nn::Tape;
using nn::Var;
using Kind = ItemModelOptions::Kind;
using Loss = ItemModelOptions::Loss;

ItemModel::ItemModel(const ItemModelOptions& o, int64_t batch, int shards, uint64_t seed, int64_t batch_rows) : LayeredModel(batch, shards, seed, batch_rows), options_(o), draw_(o.items) {
  auto& p = parameters_;
  const bool masked = o.kind == Kind::kMasked;
  if (o.kind == Kind::kGru) {
    recurrent_ = nn::Recurrent(p, "recurrent", o.hidden, o.hidden, {nn::Cell::kGru, o.layers, false, o.dropout, o.recompute});
  } else {
    position_ = nn::Embedding(p, "position", o.longest, o.hidden, nn::Initial::normal(0.02));
    for (size_t l = 0; l < o.layers; ++l)
      blocks_.emplace_back(p, "block" + std::to_string(l), nn::TransformerOptions{o.hidden, o.heads, o.inner, o.dropout, !masked, o.norm_first, o.activation, o.recompute});
    norm_ = nn::LayerNorm(p, "norm", o.hidden);
  }
  if (masked) {
    head_ = nn::Linear(p, "head", o.hidden, o.hidden);
    head_norm_ = nn::LayerNorm(p, "head_norm", o.hidden);
    if (!o.sparse) bias_ = p.add("bias", 1, o.items + 1, nn::Initial::constant(0), false);
  }
  items_ = nn::Embedding(p, "items", o.items + (masked ? 1 : 0), o.hidden, nn::Initial::normal(0.02), o.sparse);
  if (masked && o.sparse) bias_ = p.add_table("bias", o.items + 1, 1, nn::Initial::constant(0));
  if (o.bert_init) p.begin_as_bert();
}

void ItemModel::take(comm::Communicator& comm, std::vector<std::vector<std::span<const int32_t>>> shards, const SpillArena& arena) {
  shards_ = std::move(shards), arena_ = &arena;
  std::vector<std::vector<uint32_t>> lengths(shards_.size());
  for (size_t s = 0; s < shards_.size(); ++s)
    for (const auto& items : shards_[s]) lengths[s].push_back(uint32_t(std::min(items.size(), options_.longest)));
  set_example_lengths(comm, std::move(lengths));
}

Var ItemModel::states(Tape<float>& t, std::span<const int32_t> ids, const nn::Segments& segments, const std::function<void(size_t, size_t, const float*)>& see) const {
  Var x = items_(t, ids);
  if (options_.kind == Kind::kGru) return recurrent_(t, nn::dropout(t, x, options_.dropout), segments);
  // Places are counted from the end, where the next item is.
  std::vector<int32_t> places(ids.size());
  for (size_t s = 0; s < segments.count(); ++s)
    for (size_t r = segments.begin(s); r < segments.end(s); ++r) places[r] = int32_t(segments.end(s) - 1 - r);
  x = nn::add(t, options_.scaled ? nn::scale(t, x, std::sqrt(double(options_.hidden))) : x, position_(t, places));
  // With the norm last the sum is normalised before the first block, as what goes into the others is.
  if (!options_.norm_first) x = norm_(t, x);
  x = nn::dropout(t, x, options_.dropout);
  for (const auto& block : blocks_) x = &block == &blocks_.back() ? block(t, x, segments, see) : block(t, x, segments);
  return options_.norm_first ? norm_(t, x) : x;
}

ItemModel::Minibatch ItemModel::minibatch(int shard, std::span<const size_t> examples, Random random) const {
  Minibatch m;
  const size_t K = options_.negatives;
  for (size_t i : examples) {
    const auto items = shards_[size_t(shard - first_shard())][i];
    const size_t n = std::min(items.size() - 1, options_.longest), from = items.size() - 1 - n;
    m.ids.insert(m.ids.end(), items.begin() + ptrdiff_t(from), items.end() - 1);
    m.targets.insert(m.targets.end(), items.begin() + ptrdiff_t(from) + 1, items.end());
    m.lengths.push_back(n);
    if (options_.loss == Loss::kFull || options_.loss == Loss::kSampled) continue;
    // Negatives of each row's own, none of which its user took.
    std::vector<int32_t> taken(items.begin(), items.end());
    std::sort(taken.begin(), taken.end());
    for (size_t j = 0; j < n * K; ++j) {
      int32_t item = draw_(random);
      for (int tries = 0; tries < 100 && std::binary_search(taken.begin(), taken.end(), item); ++tries) item = draw_(random);
      m.negatives.push_back(item);
    }
  }
  return m;
}

train::SoftmaxClasses ItemModel::softmax() const {
  if (options_.loss == Loss::kSampled) return {&items_.table, true, nullptr, draw_.log_q()};
  if (!options_.sparse || options_.loss != Loss::kFull) return {};
  return {&items_.table, false, bias_ ? &*bias_ : nullptr};
}

std::vector<int32_t> ItemModel::sample(int64_t epoch, int64_t step) const {
  Random random = random_of_minibatch(epoch, step);
  std::vector<int32_t> items;
  while (items.size() < options_.negatives) items.push_back(draw_(random));
  return items;
}

void ItemModel::prefetch_examples(int shard, std::span<const size_t> examples) const {
  for (size_t i : examples) {
    const auto items = shards_[size_t(shard - first_shard())][i];
    // Negatives of a row's own are none of the user's items, the older ones either.
    const bool all = options_.kind != Kind::kMasked && options_.loss != Loss::kFull && options_.loss != Loss::kSampled;
    arena_->will_need(std::as_bytes(items.last(all ? items.size() : std::min(items.size(), options_.longest + 1))));
  }
}

void ItemModel::want_rows_of(int shard, std::span<const size_t> examples, Random random, nn::TableRows<float>& wanted) const {
  auto* rows = wanted.find(items_.table.at);
  if (!rows) return;
  if (options_.kind == Kind::kMasked) {
    for (int32_t id : masked(shard, examples, random).ids) rows->want(id);
    return;
  }
  const Minibatch m = minibatch(shard, examples, random);
  for (const auto* ids : {&m.ids, &m.targets, &m.negatives}) {
    if (ids == &m.targets && options_.loss == Loss::kFull) continue;  // their owners have them
    for (int32_t id : *ids) rows->want(id);
  }
}

Var ItemModel::put_states(Tape<float>& t, int shard, std::span<const size_t> examples, std::vector<int32_t>& classes) const {
  if (options_.kind == Kind::kMasked) {
    Masked m = masked(shard, examples, t.random_before());
    classes = m.targets;
    return masked_states(t, m);
  }
  Minibatch m = minibatch(shard, examples, t.random_before());
  classes = std::move(m.targets);
  return states(t, m.ids, nn::Segments::of_lengths(m.lengths));
}

int64_t ItemModel::put_loss(Tape<float>& t, int shard, std::span<const size_t> examples) const {
  if (options_.kind == Kind::kMasked) {
    const Masked m = masked(shard, examples, t.random());
    nn::linear_cross_entropy<float>(t, masked_states(t, m), items_.table, bias_, m.targets);
    return int64_t(m.targets.size());
  }
  const auto [ids, targets, negatives, lengths] = minibatch(shard, examples, t.random_before());
  const Var h = states(t, ids, nn::Segments::of_lengths(lengths));
  const size_t N = targets.size(), K = options_.negatives;
  if (options_.loss == Loss::kFull) {
    nn::linear_cross_entropy<float>(t, h, items_.table, {}, targets);
    return int64_t(N);
  }
  std::vector<uint32_t> rows(N * K);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = uint32_t(i / K);
  const Var positive = nn::row_dot(t, h, items_(t, targets));
  const Var negative = nn::reshape(t, nn::row_dot(t, nn::gather_rows<float>(t, h, rows), items_(t, negatives)), N, K);
  if (options_.loss == Loss::kBce) {
    nn::binary_cross_entropy<float>(t, positive, std::vector<float>(N, 1.0f));
    nn::binary_cross_entropy<float>(t, negative, std::vector<float>(N * K, 0.0f), 1 / double(K));
  } else if (options_.loss == Loss::kBpr) {
    nn::bpr(t, positive, negative);
  } else {
    nn::bpr_max(t, positive, negative, options_.regularization);
  }
  return int64_t(N);
}

ItemModel::Masked ItemModel::masked(int shard, std::span<const size_t> examples, Random random) const {
  Masked m;
  for (size_t i : examples) {
    const auto items = shards_[size_t(shard - first_shard())][i];
    const size_t n = std::min(items.size(), options_.longest), begin = m.ids.size(), before = m.hidden.size();
    m.ids.insert(m.ids.end(), items.end() - ptrdiff_t(n), items.end());
    m.lengths.push_back(n);
    if (random.uniform() >= options_.mask_last)
      for (size_t r = begin; r < m.ids.size(); ++r)
        if (random.uniform() < options_.mask) m.hidden.push_back(uint32_t(r));
    if (m.hidden.size() == before) m.hidden.push_back(uint32_t(m.ids.size() - 1));
  }
  for (uint32_t r : m.hidden) m.targets.push_back(m.ids[r]), m.ids[r] = mask_id();
  return m;
}

/// What scores need of the weights, laid out once for many calls.
class ItemModel::Scorer : public ItemScorer {
 public:
  Scorer(const ItemModel& model, std::span<const float> weights, size_t attended) : model_(model), weights_(weights), attended_(attended), items_(weights.data() + model.items_.table.at, model.options_.items, model.options_.hidden, bias_of(model, weights)) {}

  // A history without items gives zeros, or what a mask alone gives.
  std::unique_ptr<Scores> scores_of(std::span<const Asked> users) const override {
    std::vector<float> last(users.size() * items_.width(), 0.0f);
    std::vector<std::vector<Attended>> seen(attended_ > 0 ? users.size() : 0);
    constexpr size_t kAtOnce = 64;  // on the tape
    for (size_t at = 0; at < users.size(); at += kAtOnce) last_states(users.subspan(at, std::min(kAtOnce, users.size() - at)), &last[at * items_.width()], seen.empty() ? nullptr : &seen[at]);
    auto scores = items_.scores(std::move(last));
    if (seen.empty()) return scores;
    return std::make_unique<WithAttention>(std::move(scores), std::move(seen));
  }

 private:
  /// Scores, and what the last block looked at from the last place.
  class WithAttention : public Scores {
   public:
    WithAttention(std::unique_ptr<Scores> scores, std::vector<std::vector<Attended>> seen) : scores_(std::move(scores)), seen_(std::move(seen)) {}
    void get(size_t first, size_t count, float* into) const override { scores_->get(first, count, into); }
    float one(size_t user, int32_t item) const override { return scores_->one(user, item); }
    std::vector<Attended> attended(size_t user) const override { return seen_[user]; }

   private:
    std::unique_ptr<Scores> scores_;
    std::vector<std::vector<Attended>> seen_;
  };

  // An item that was taken several times is looked at in all its places; of equal ones the newer comes first.
  std::vector<Attended> most_of(std::span<const int32_t> ids, std::span<const float> weights) const {
    std::vector<Attended> found;
    for (size_t i = ids.size(); i-- > 0;) {
      if (ids[i] == model_.mask_id()) continue;
      const auto there = std::find_if(found.begin(), found.end(), [&](const Attended& a) { return a.item == ids[i]; });
      if (there == found.end()) found.push_back({ids[i], weights[i]});
      else there->weight += weights[i];
    }
    std::stable_sort(found.begin(), found.end(), [](const Attended& a, const Attended& b) { return a.weight > b.weight; });
    found.resize(std::min(found.size(), attended_));
    return found;
  }

  static std::vector<float> bias_of(const ItemModel& model, std::span<const float> weights) {
    if (!model.bias_) return {};
    const auto begin = weights.begin() + ptrdiff_t(model.bias_->at);
    return {begin, begin + ptrdiff_t(model.options_.items)};
  }

  // `seen`: of each user; null where it is not wanted.
  void last_states(std::span<const Asked> users, float* into, std::vector<Attended>* seen) const {
    const bool masked = model_.options_.kind == Kind::kMasked;
    std::vector<int32_t> ids;
    std::vector<size_t> lengths;
    for (const auto& user : users) {
      const size_t n = std::min(user.history.size(), model_.options_.longest - (masked ? 1 : 0));
      ids.insert(ids.end(), user.history.end() - ptrdiff_t(n), user.history.end());
      if (masked) ids.push_back(model_.mask_id());
      lengths.push_back(n + (masked ? 1 : 0));
    }
    if (ids.empty()) return;
    auto& t = train::thread_tape();
    t.start(model_.parameters_, weights_, {});
    const nn::Segments segments = nn::Segments::of_lengths(lengths);
    std::vector<uint32_t> rows;
    std::vector<size_t> with;
    for (size_t s = 0; s < users.size(); ++s)
      if (lengths[s] > 0) rows.push_back(uint32_t(segments.end(s) - 1)), with.push_back(s);
    std::vector<float> mean;  // over the heads so far, of the last row of one user
    const auto see = [&](size_t s, size_t head, const float* found) {
      const size_t n = lengths[s], heads = model_.options_.heads;
      if (n == 0) return;
      if (head == 0) mean.assign(n, 0.0f);
      for (size_t i = 0; i < n; ++i) mean[i] += found[(n - 1) * n + i] / float(heads);
      if (head + 1 == heads) seen[s] = most_of(std::span(ids).subspan(segments.begin(s), n), mean);
    };
    Var h = nn::gather_rows<float>(t, seen ? model_.states(t, ids, segments, see) : model_.states(t, ids, segments), rows);
    if (masked) h = model_.head(t, h);
    for (size_t i = 0; i < with.size(); ++i) std::copy_n(t.value(h) + i * items_.width(), items_.width(), into + with[i] * items_.width());
  }

  const ItemModel& model_;
  std::span<const float> weights_;
  size_t attended_;
  ItemFactors items_;
};

std::unique_ptr<ItemScorer> ItemModel::scorer(std::span<const float> weights, size_t attended) const { return std::make_unique<Scorer>(*this, weights, attended); }

}  // namespace throng::op
