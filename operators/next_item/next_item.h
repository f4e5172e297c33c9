// operators/next_item: which item of a catalogue a user takes next. Published models and the baseline that they have to beat.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Self-attentive sequential recommendation (Kang and McAuley, 2018): item and position embeddings, causal Transformer blocks, and the score of an item is the
/// dot product of the last state and its embedding. With loss full it is what Petrov and Macdonald (2023) and Klenitskiy and Vasilev (2023, "SASRec+") found to
/// be much better than one negative with binary cross-entropy.
///
/// A user's first held-out item (`split`, by: last gives each user's newest) is ranked against the whole catalogue: items of the training rows. Equal scores
/// count against it, as does an item that no training row has. With `validation` each user's last training item is not learned from, but chooses the epoch
/// whose weights are kept, by NDCG@10. The result names the protocol. Rows of the output: a user, the held-out item and its rank, and the best items now.
struct Sasrec {
  std::string by = "user";
  std::string item = "item";
  int blocks = 2;
  int heads = 1;
  int hidden = 64;
  int inner = 0;
  std::string norm = "first";
  std::string activation = "relu";
  int64_t max_length = 50;
  double dropout = 0.2;
  std::string loss = "full";
  int64_t negatives = 1;
  int64_t min_count = 1;
  int64_t batch = 128;
  int64_t epochs = 20;
  int64_t patience = 0;
  bool validation = true;
  std::string optimizer = "adam";
  double lr = 1e-3;
  double weight_decay = 0;
  double clip = 0;
  bool filter_seen = true;
  int64_t k = 10;
  int shards = 8;
  int64_t checkpoint_every = 200;

  static constexpr auto kOp = "sasrec";
  static constexpr auto kSummary = "self-attentive sequential recommendation: trains, ranks each user's held-out item, recommends";
  static auto fields() {
    return graph::fields(
        graph::field("by", &Sasrec::by, "column whose values own the sequences"), graph::field("item", &Sasrec::item, "text or whole numbers: what is taken"),
        graph::field("blocks", &Sasrec::blocks, "Transformer blocks").min(1).max(64), graph::field("heads", &Sasrec::heads, "of the attention").min(1).max(64),
        graph::field("hidden", &Sasrec::hidden, "width of items and states").min(1).max(8192),
        graph::field("inner", &Sasrec::inner, "width between a block's two linear layers; 0: hidden").min(0).max(65536),
        graph::field("norm", &Sasrec::norm, "first: what goes into each part is normalised; last: what comes out").one_of({"first", "last"}),
        graph::field("activation", &Sasrec::activation, "between a block's two linear layers").one_of({"relu", "gelu"}),
        graph::field("max_length", &Sasrec::max_length, "newest items of a user that are seen").min(2),
        graph::field("dropout", &Sasrec::dropout, "share of embeddings, attention and results that is left out in training").min(0).max(0.95),
        graph::field("loss", &Sasrec::loss, "full: softmax over the catalogue; sampled: softmax over the next item and `negatives` that all sequences of a shard share; bce: binary cross-entropy of the next item and `negatives` of its own").one_of({"full", "sampled", "bce"}),
        graph::field("negatives", &Sasrec::negatives, "sampled, bce: items drawn for comparison").min(1),
        graph::field("min_count", &Sasrec::min_count, "rarer items are left out of the catalogue").min(1),
        graph::field("batch", &Sasrec::batch, "users in a minibatch, over all ranks; at least `shards`").min(1), graph::field("epochs", &Sasrec::epochs, "passes over the users at most").min(1),
        graph::field("patience", &Sasrec::patience, "end after so many epochs without a better validation; 0: never").min(0),
        graph::field("validation", &Sasrec::validation, "each user's last training item chooses the epoch instead of being learned from"),
        graph::field("optimizer", &Sasrec::optimizer, "as PyTorch's of the same name").one_of({"sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw"}),
        graph::field("lr", &Sasrec::lr, "learning rate").min(0), graph::field("weight_decay", &Sasrec::weight_decay, "adamw: of the weights themselves; others: added to the gradient").min(0),
        graph::field("clip", &Sasrec::clip, "longest gradient allowed; 0: no limit").min(0),
        graph::field("filter_seen", &Sasrec::filter_seen, "items that the user took before are neither ranked nor recommended"),
        graph::field("k", &Sasrec::k, "items recommended to each user").min(1).max(1000),
        graph::field("shards", &Sasrec::shards, "logical shards of a minibatch, a power of two; results depend on it, not on ranks").min(1).max(1024),
        graph::field("checkpoint_every", &Sasrec::checkpoint_every, "steps between checkpoints; 0: after each epoch only").min(0));
  }
};

/// Recurrent recommendation (Hidasi et al., 2016, GRU4Rec), trained on whole sequences: item embeddings, GRU layers, and the score of an item is the dot product of the
/// last state and its embedding. Judged as `sasrec` is.
struct Gru4rec {
  std::string by = "user";
  std::string item = "item";
  int layers = 1;
  int hidden = 64;
  int64_t max_length = 50;
  double dropout = 0.2;
  std::string loss = "full";
  int64_t negatives = 1;
  int64_t min_count = 1;
  int64_t batch = 128;
  int64_t epochs = 20;
  int64_t patience = 0;
  bool validation = true;
  std::string optimizer = "adam";
  double lr = 1e-3;
  double weight_decay = 0;
  double clip = 0;
  bool filter_seen = true;
  int64_t k = 10;
  int shards = 8;
  int64_t checkpoint_every = 200;

  static constexpr auto kOp = "gru4rec";
  static constexpr auto kSummary = "recurrent recommendation: trains, ranks each user's held-out item, recommends";
  static auto fields() {
    return graph::fields(
        graph::field("by", &Gru4rec::by, "column whose values own the sequences: a user, or a session"), graph::field("item", &Gru4rec::item, "text or whole numbers: what is taken"),
        graph::field("layers", &Gru4rec::layers, "GRU layers").min(1).max(16), graph::field("hidden", &Gru4rec::hidden, "width of items and states").min(1).max(8192),
        graph::field("max_length", &Gru4rec::max_length, "newest items of a user that are seen").min(2),
        graph::field("dropout", &Gru4rec::dropout, "share of embeddings, and of what lies between layers, that is left out in training").min(0).max(0.95),
        graph::field("loss", &Gru4rec::loss, "full: softmax over the catalogue; sampled: softmax over the next item and `negatives` that all sequences of a shard share; bce: binary cross-entropy of the next item and `negatives` of its own; bpr and bpr_max: pairwise, with `negatives` of its own").one_of({"full", "sampled", "bce", "bpr", "bpr_max"}),
        graph::field("negatives", &Gru4rec::negatives, "all losses but full: items drawn for comparison").min(1),
        graph::field("min_count", &Gru4rec::min_count, "rarer items are left out of the catalogue").min(1),
        graph::field("batch", &Gru4rec::batch, "users in a minibatch, over all ranks; at least `shards`").min(1), graph::field("epochs", &Gru4rec::epochs, "passes over the users at most").min(1),
        graph::field("patience", &Gru4rec::patience, "end after so many epochs without a better validation; 0: never").min(0),
        graph::field("validation", &Gru4rec::validation, "each user's last training item chooses the epoch instead of being learned from"),
        graph::field("optimizer", &Gru4rec::optimizer, "as PyTorch's of the same name").one_of({"sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw"}),
        graph::field("lr", &Gru4rec::lr, "learning rate").min(0), graph::field("weight_decay", &Gru4rec::weight_decay, "adamw: of the weights themselves; others: added to the gradient").min(0),
        graph::field("clip", &Gru4rec::clip, "longest gradient allowed; 0: no limit").min(0),
        graph::field("filter_seen", &Gru4rec::filter_seen, "items that the user took before are neither ranked nor recommended"),
        graph::field("k", &Gru4rec::k, "items recommended to each user").min(1).max(1000),
        graph::field("shards", &Gru4rec::shards, "logical shards of a minibatch, a power of two; results depend on it, not on ranks").min(1).max(1024),
        graph::field("checkpoint_every", &Gru4rec::checkpoint_every, "steps between checkpoints; 0: after each epoch only").min(0));
  }
};

/// The most popular items of the training rows, the same for everyone but for what each has taken: the baseline of every paper. Judged as `sasrec` is.
struct Popular {
  std::string by = "user";
  std::string item = "item";
  int64_t min_count = 1;
  bool validation = true;
  bool filter_seen = true;
  int64_t k = 10;

  static constexpr auto kOp = "popular";
  static constexpr auto kSummary = "recommends the most popular items, and ranks each user's held-out item among them";
  static auto fields() {
    return graph::fields(graph::field("by", &Popular::by, "column whose values own the sequences"), graph::field("item", &Popular::item, "text or whole numbers: what is taken"),
                         graph::field("min_count", &Popular::min_count, "rarer items are left out of the catalogue").min(1),
                         graph::field("validation", &Popular::validation, "each user's last training item is not counted, as the models do not learn from it"),
                         graph::field("filter_seen", &Popular::filter_seen, "items that the user took before are neither ranked nor recommended"),
                         graph::field("k", &Popular::k, "items recommended to each user").min(1).max(1000));
  }
};

}  // namespace throng::op
