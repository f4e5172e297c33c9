// operators/next_item: which item of a catalogue a user takes next. Published models and the baselines that they have to beat.
#pragma once
#include "framework/recommend/item_task.h"
#include "framework/train/optimizer_params.h"
#include "framework/train/run_params.h"

namespace throng::op {

/// What models of layers have in common. With `validation` the epoch whose weights are kept is the best by NDCG@10 of each user's last training item.
struct ItemTraining : recommend::ItemTask, train::RunParams, train::OptimizerParams {
  int hidden = 64;
  int64_t max_length = 50;
  double dropout = 0.2;
  int64_t batch = 128;
  int64_t batch_rows = 0;
  int64_t epochs = 20;
  int64_t patience = 0;
  std::string vectors;
};
template <class P>
auto item_training() {
  return std::tuple_cat(graph::fields(
      graph::field("hidden", &P::hidden, "width of items and states").min(1).max(8192), graph::field("max_length", &P::max_length, "newest items of a user that are seen").min(2),
      graph::field("dropout", &P::dropout, "share of embeddings, attention and what lies between layers that is left out in training").min(0).max(0.95),
      graph::field("batch", &P::batch, "users in a minibatch, over all ranks; at least `shards`. A shard is a stretch of partitions: with fewer partitions than shards minibatches are smaller").min(1),
      graph::field("batch_rows", &P::batch_rows, "items in a minibatch, over all ranks, instead of `batch` users: as many users as have so many, so that memory and time of a step are even; 0: by users").min(0),
      graph::field("epochs", &P::epochs, "passes over the users at most").min(1),
      graph::field("patience", &P::patience, "end after so many epochs without a better validation; 0: never").min(0),
      graph::field("vectors", &P::vectors, "file of vectors that items begin from, as wide as `hidden`: text of word2vec, fastText or GloVe with items for words, or word2vec.h5 of a step")), train::optimizer_fields<P>(), train::run_fields<P>());
}

/// Blocks of self-attention.
struct ItemTransformer : ItemTraining {
  int blocks = 2;
  int heads = 1;
  int inner = 0;
  std::string norm = "first";
  std::string activation = "relu";
  bool scaled = true;
  std::string init = "uniform";
  bool recompute = false;
  int attended = 0;
};
template <class P>
auto item_transformer() {
  return graph::fields(graph::field("blocks", &P::blocks, "Transformer blocks").min(1).max(64), graph::field("heads", &P::heads, "of the attention").min(1).max(64),
                       graph::field("inner", &P::inner, "width between a block's two linear layers; 0: hidden").min(0).max(65536),
                       graph::field("norm", &P::norm, "first: what goes into each part is normalised; last: what comes out").one_of({"first", "last"}),
                       graph::field("activation", &P::activation, "between a block's two linear layers").one_of({"relu", "gelu"}),
                       graph::field("scaled", &P::scaled, "items' embeddings are multiplied by the root of hidden before positions are added (Vaswani et al., 2017), as SASRec's authors do, but BERT4Rec's and S3-Rec's do not"),
                       graph::field("init", &P::init, "linear layers begin uniform, as PyTorch's, or normal with a deviation of 0.02, as BERT's").one_of({"uniform", "normal"}),
                       graph::field("recompute", &P::recompute, "what lies inside a block is computed anew on the way back instead of kept: the same bits for one more way forward, and memory that hardly grows with the blocks"),
                       graph::field("attended", &P::attended, "so many of the past items that the recommendation looked at most are written beside it, `attended`, with their weights, `attention`: of the last block from the newest place, the mean over heads, an item's places added up (bert4rec's mask looks at itself, too, which is left out); 0: none").min(0).max(1000));
}

/// Self-attentive sequential recommendation (Kang and McAuley, 2018): item and position embeddings, causal Transformer blocks, and the score of an item is the
/// dot product of the last state and its embedding. With loss full it is what Petrov and Macdonald (2023) and Klenitskiy and Vasilev (2023, "SASRec+") found to
/// be much better than one negative with binary cross-entropy.
struct Sasrec : ItemTransformer {
  std::string loss = "full";
  bool sparse = false;
  int64_t negatives = 1;
  double sample_alpha = 0;

  static constexpr auto kOp = "sasrec";
  static constexpr int kVersion = 5;
  static constexpr bool kLearns = true;
  static constexpr auto kSummary = "self-attentive sequential recommendation: trains, ranks each user's held-out item, recommends";
  static auto fields() {
    return std::tuple_cat(
        recommend::item_columns<Sasrec>(), item_transformer<Sasrec>(),
        graph::fields(graph::field("loss", &Sasrec::loss, "full: softmax over the catalogue; sampled: softmax over the next item and `negatives` that all sequences of a minibatch share; bce: binary cross-entropy of the next item and `negatives` of its own").one_of({"full", "sampled", "bce"}),
                      graph::field("sparse", &Sasrec::sparse, "items lie over the ranks, for catalogues that no rank can hold. A step moves only the items it looks at, which is quicker with many: the same steps with sgd and adagrad, from other first numbers; with adam the moments of other items stay, too, much as with PyTorch's SparseAdam. With loss full, which looks at all, each rank computes the softmax of its own"),
                      graph::field("negatives", &Sasrec::negatives, "sampled, bce: items drawn for comparison").min(1),
                      graph::field("sample_alpha", &Sasrec::sample_alpha, "they are drawn by their count to this power: 0 evenly, 1 as often as they occur. Loss sampled takes that out of the scores again (log Q)").min(0).max(1)),
        item_training<Sasrec>(), recommend::item_judging<Sasrec>());
  }
};

/// Bidirectional self-attention that guesses hidden items (Sun et al., 2019, BERT4Rec): in training a share of the items is replaced by a mask and guessed from both
/// sides; to recommend, a mask is put behind the last item. The score of an item is the product of a last layer with its embedding, plus a bias (equation 7).
struct Bert4rec : ItemTransformer {
  double mask = 0.2;
  double mask_last = 0.1;
  bool sparse = false;
  Bert4rec() { norm = "last", activation = "gelu", scaled = false, init = "normal"; }

  static constexpr auto kOp = "bert4rec";
  static constexpr int kVersion = 2;
  static constexpr bool kLearns = true;
  static constexpr auto kSummary = "recommendation by bidirectional self-attention that guesses hidden items";
  static auto fields() {
    return std::tuple_cat(recommend::item_columns<Bert4rec>(), item_transformer<Bert4rec>(),
                          graph::fields(graph::field("mask", &Bert4rec::mask, "share of a sequence's items that is hidden, at least one").min(0).max(1),
                                        graph::field("mask_last", &Bert4rec::mask_last, "share of sequences in which the last item is hidden instead, as when recommending").min(0).max(1),
                                        graph::field("sparse", &Bert4rec::sparse, "items lie over the ranks, for catalogues that no rank can hold: each rank computes the softmax of its own. Other items are hidden than without")),
                          item_training<Bert4rec>(), recommend::item_judging<Bert4rec>());
  }
};

/// Recurrent recommendation (Hidasi et al., 2016, GRU4Rec), trained on whole sequences: item embeddings, GRU layers, and the score of an item is the dot product of the
/// last state and its embedding.
struct Gru4rec : ItemTraining {
  int layers = 1;
  std::string loss = "full";
  bool sparse = false;
  int64_t negatives = 1;
  double sample_alpha = 0;
  double regularization = 1;
  bool recompute = false;

  static constexpr auto kOp = "gru4rec";
  static constexpr int kVersion = 5;
  static constexpr bool kLearns = true;
  static constexpr auto kSummary = "recurrent recommendation: trains, ranks each user's held-out item, recommends";
  static auto fields() {
    return std::tuple_cat(
        recommend::item_columns<Gru4rec>(),
        graph::fields(graph::field("layers", &Gru4rec::layers, "GRU layers").min(1).max(16),
                      graph::field("loss", &Gru4rec::loss, "full: softmax over the catalogue; sampled: softmax over the next item and `negatives` that all sequences of a minibatch share; bce: binary cross-entropy of the next item and `negatives` of its own; bpr and bpr_max: pairwise, with `negatives` of its own").one_of({"full", "sampled", "bce", "bpr", "bpr_max"}),
                      graph::field("sparse", &Gru4rec::sparse, "items lie over the ranks, for catalogues that no rank can hold. A step moves only the items it looks at, which is quicker with many: the same steps with sgd and adagrad, from other first numbers; with adam the moments of other items stay, too, much as with PyTorch's SparseAdam. With loss full, which looks at all, each rank computes the softmax of its own"),
                      graph::field("negatives", &Gru4rec::negatives, "all losses but full: items drawn for comparison").min(1),
                      graph::field("sample_alpha", &Gru4rec::sample_alpha, "they are drawn by their count to this power: 0 evenly, 1 as often as they occur. Loss sampled takes that out of the scores again (log Q)").min(0).max(1),
                      graph::field("regularization", &Gru4rec::regularization, "bpr_max: weight of the negatives' squared scores").min(0),
                      graph::field("recompute", &Gru4rec::recompute, "what lies inside a layer is computed anew on the way back instead of kept: the same bits for one more way forward, and memory that hardly grows with the layers")),
        item_training<Gru4rec>(), recommend::item_judging<Gru4rec>());
  }
};

/// The most popular items of the training rows, the same for everyone but for what each has taken: the baseline of every paper.
struct Popular : recommend::ItemTask {
  static constexpr auto kOp = "popular";
  static constexpr bool kLearns = true;
  static constexpr auto kSummary = "recommends the most popular items, and ranks each user's held-out item among them";
  static auto fields() { return std::tuple_cat(recommend::item_columns<Popular>(), recommend::item_judging<Popular>()); }
};

/// Items like those taken (Sarwar et al., 2001; for sessions Hidasi et al., 2016): two items are as alike as users took both,
/// together / (sqrt(n_i n_j) + shrink), or for jaccard together / (n_i + n_j - together + shrink). A score is the sum over the `recent` newest items of the user
/// of how alike they are, where the item is among the `neighbours` most alike.
struct ItemKnn : recommend::ItemTask {
  int64_t neighbours = 100;
  std::string similarity = "cosine";
  double shrink = 0;
  int64_t max_length = 200;
  int64_t recent = 0;

  static constexpr auto kOp = "item_knn";
  static constexpr bool kLearns = true;
  static constexpr auto kSummary = "recommends items that the same users took, and ranks each user's held-out item among them";
  static auto fields() {
    return std::tuple_cat(recommend::item_columns<ItemKnn>(),
                          graph::fields(graph::field("neighbours", &ItemKnn::neighbours, "most alike items that are kept for each").min(1).max(100000),
                                        graph::field("similarity", &ItemKnn::similarity, "of two items").one_of({"cosine", "jaccard"}),
                                        graph::field("shrink", &ItemKnn::shrink, "added below the line, so that few common users mean little").min(0),
                                        graph::field("max_length", &ItemKnn::max_length, "newest items of a user that are compared with each other").min(2),
                                        graph::field("recent", &ItemKnn::recent, "newest items of a user that recommend; 0: all; 1: the last alone, as for sessions").min(0)),
                          recommend::item_judging<ItemKnn>());
  }
};

}  // namespace throng::op
