#include "operators/next_item/next_item.h"

#include "framework/graph/registry.h"
#include "operators/next_item/baselines.h"
#include "operators/next_item/trained_recommender.h"

namespace throng::op {

using namespace recommend;
namespace {

using Kind = ItemModelOptions::Kind;

ItemModelOptions::Loss loss_of(const std::string& name) {
  using Loss = ItemModelOptions::Loss;
  return name == "full" ? Loss::kFull : name == "sampled" ? Loss::kSampled : name == "bce" ? Loss::kBce : name == "bpr" ? Loss::kBpr : Loss::kBprMax;
}

ItemModelOptions common(const ItemTraining& p) {
  ItemModelOptions o;
  o.hidden = size_t(p.hidden), o.longest = size_t(p.max_length), o.dropout = p.dropout;
  return o;
}
ItemModelOptions transformer(const ItemTransformer& p) {
  ItemModelOptions o = common(p);
  o.layers = size_t(p.blocks), o.heads = size_t(p.heads), o.inner = size_t(p.inner ? p.inner : p.hidden);
  o.norm_first = p.norm == "first", o.scaled = p.scaled, o.bert_init = p.init == "normal", o.recompute = p.recompute, o.attended = size_t(p.attended), o.activation = p.activation == "gelu" ? nn::Activation::kGelu : nn::Activation::kRelu;
  return o;
}

ItemModelOptions model_of(const Sasrec& p) {
  ItemModelOptions o = transformer(p);
  o.loss = loss_of(p.loss), o.negatives = size_t(p.negatives), o.sample_alpha = p.sample_alpha, o.sparse = p.sparse;
  return o;
}
ItemModelOptions model_of(const Bert4rec& p) {
  ItemModelOptions o = transformer(p);
  o.kind = Kind::kMasked, o.mask = p.mask, o.mask_last = p.mask_last, o.sparse = p.sparse;
  return o;
}
ItemModelOptions model_of(const Gru4rec& p) {
  ItemModelOptions o = common(p);
  o.kind = Kind::kGru, o.layers = size_t(p.layers), o.loss = loss_of(p.loss), o.negatives = size_t(p.negatives), o.sample_alpha = p.sample_alpha, o.regularization = p.regularization, o.recompute = p.recompute, o.sparse = p.sparse;
  return o;
}

template <class P>
struct TrainedOperator : TrainedRecommender {
  explicit TrainedOperator(const P& params) : TrainedRecommender(params, model_of(params), P::kOp) {}
};

}  // namespace
}  // namespace throng::op

void register_next_item(throng::graph::Registry& registry) {
  using namespace throng::op;
  registry.add<Sasrec, TrainedOperator<Sasrec>>();
  registry.add<Bert4rec, TrainedOperator<Bert4rec>>();
  registry.add<Gru4rec, TrainedOperator<Gru4rec>>();
  registry.add<Popular, PopularRecommender>();
  registry.add<ItemKnn, ItemKnnRecommender>();
}
