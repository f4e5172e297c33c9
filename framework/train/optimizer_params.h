// Parameters of every operator that moves weights by steps of an optimiser: where they begin, which move, and how.
#pragma once
#include "framework/graph/params.h"
#include "framework/train/trainer.h"

namespace throng::train {

struct OptimizerParams {
  int64_t accumulate = 1;
  std::string optimizer = "adam";
  double lr = 1e-3;
  double momentum = 0;
  double weight_decay = 0;
  double clip = 0;
  std::string schedule = "constant";
  int64_t warmup = 0;
  double decay = 0.1;
  int64_t decay_after = 1;
  std::string start;
  graph::NameMap start_names;
  std::vector<std::string> freeze;
  graph::NumberMap lr_factors;
  graph::NumberMap weight_decays;

  /// A job error where some do not go together, or there is no file `start` in the job's folder. To be called when the operator is bound.
  void check(const std::filesystem::path& folder) const;
  /// The same where a step moves some rows of a table only (`sparse`).
  void check_sparse() const;
  /// What the operator reads beside its inputs.
  std::vector<std::filesystem::path> files(const std::filesystem::path& folder) const;
  /// Tells the trainer; `batches` are minibatches of an epoch. `parameters` and this must outlive its run.
  void apply(TrainerOptions& options, int64_t batches, const nn::Parameters& parameters, const std::filesystem::path& folder) const;
  /// Freezes what `freeze` names, and gives groups of weights their learning rates and decays. A job error, with names that are near, where one names nothing.
  void set_groups_of(nn::Parameters& parameters) const;
};

template <class P>
auto optimizer_fields() {
  return graph::fields(
      graph::field("accumulate", &P::accumulate, "minibatches whose gradients are added up for one step of the optimizer").min(1),
      graph::field("optimizer", &P::optimizer, "as PyTorch's of the same name").one_of({"sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw"}),
      graph::field("lr", &P::lr, "learning rate").min(0),
      graph::field("momentum", &P::momentum, "of sgd and rmsprop").min(0).max(0.9999),
      graph::field("weight_decay", &P::weight_decay, "adamw: of the weights themselves; others: added to the gradient; not of biases and norms").min(0),
      graph::field("clip", &P::clip, "longest gradient allowed; 0: no limit").min(0),
      graph::field("schedule", &P::schedule, "of the learning rate after the warm-up: constant; cosine: falls to 0 at the last step; step: times `decay` after `decay_after` epochs and after each one that follows").one_of({"constant", "cosine", "step"}),
      graph::field("warmup", &P::warmup, "steps in which the learning rate rises to lr").min(0),
      graph::field("decay", &P::decay, "schedule step: the factor").min(0).max(1),
      graph::field("decay_after", &P::decay_after, "schedule step: epochs before the first fall").min(0),
      graph::field("start", &P::start, "safetensors file to begin from: matrices of the model's names (a run leaves its own in model.safetensors); others begin at random"),
      graph::field("start_names", &P::start_names, "where `start` has other names than the model: only matrices named here begin from it, such as {items.weight: emb.weight}. Several of its tensors are put one behind the other, and rows can be cut out: {recurrent.l0: 'gru.weight_ih_l0 gru.weight_hh_l0 gru.bias_ih_l0 gru.bias_hh_l0', block0.attention.key.weight: 'attn.in_proj_weight[64:128]'}"),
      graph::field("freeze", &P::freeze, "weights whose names begin so stay as they begin, such as those that `start` brings (all names are in model.safetensors)"),
      graph::field("lr_factors", &P::lr_factors, "groups of weights with another learning rate: for names that begin so, the factor of `lr`, such as {embedding: 0.1}; a later one wins"),
      graph::field("weight_decays", &P::weight_decays, "groups with another weight decay, of names that begin so, such as {output: 0}; biases and norms have none"));
}

}  // namespace throng::train
