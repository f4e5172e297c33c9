// operators/matrix_factorization: users and items as vectors whose products are ratings, or say what comes next.
#pragma once
#include "framework/recommend/item_task.h"

namespace throng::op {

/// A vector for each user and each item.
///
/// With a column of ratings, their value is foretold: mean + b_u + b_i + p_u . q_i by stochastic gradient descent (sgd; Koren, Bell and Volinsky, 2009), or mean + p_u . q_i by
/// alternating least squares with a regularization times the number of ratings (als; Zhou et al., 2008). The rows of the output are the held-out rating rows with what
/// was foretold; the result has their RMSE and MAE. A user or item without a training rating has the mean and what is known of the other.
///
/// Without ratings, what a user took is foretold, and judged as other recommenders are (recommend::ItemTask): by alternating least squares with a confidence of 1 + alpha times
/// how often (als; Hu, Koren and Volinsky, 2008), or by pairs of a taken item and another (bpr; Rendle et al., 2009).
///
/// sgd and bpr go over blocks of users and items in turns (Gemulla et al., 2011): shard s of the users meets block s + t of the items in turn t, so that no two
/// meet the same vectors, and the result depends on `shards`, not on ranks; items are dealt to the blocks anew in each epoch, and bpr draws the other item from the block
/// of the taken one. `recommend` and `throng apply` give each user of other rows a vector by the items taken there, with the items' as they are: by the same least squares, or for bpr by as many passes
/// over them. All vectors lie on every rank for als, on rank 0 for checkpoints; items' do for all methods. With ratings nothing is ranked: k and filter_seen have no part.
struct MatrixFactorization : recommend::ItemTask {
  std::string rating;
  std::string method = "als";
  int factors = 64;
  int64_t epochs = 20;
  std::optional<double> lr;
  std::optional<double> regularization;
  double alpha = 40;
  int shards = 8;
  int64_t checkpoint_every = 5;

  static constexpr auto kOp = "matrix_factorization";
  static constexpr bool kLearns = true;
  /// Ratings have no list of items to recommend.
  bool replayed() const { return rating.empty(); }
  static constexpr auto kSummary = "vectors for users and items whose products foretell ratings, or what is taken next (ALS, BPR, biased SGD)";
  static auto fields() {
    using P = MatrixFactorization;
    return std::tuple_cat(
        recommend::item_columns<P>(),
        graph::fields(graph::field("rating", &P::rating, "column of numbers that users gave to items, with method als or sgd; empty: to take an item is all there is, with als or bpr"),
                      graph::field("method", &P::method, "als: alternating least squares; bpr: pairwise ranking; sgd: gradient descent with biases").one_of({"als", "bpr", "sgd"}),
                      graph::field("factors", &P::factors, "numbers in a vector").min(1).max(1024), graph::field("epochs", &P::epochs, "passes over the rows").min(1),
                      graph::field("lr", &P::lr, "learning rate of sgd and bpr; none: 0.005 and 0.05").min(0),
                      graph::field("regularization", &P::regularization, "pull of all numbers towards 0; none: sgd 0.02, bpr 0.01, als 0.05 with ratings and 0.1 without").min(0),
                      graph::field("alpha", &P::alpha, "als without ratings: what a taken item adds to the confidence").min(0),
                      graph::field("shards", &P::shards, "logical shards of the users, a power of two, at least the number of ranks; sgd and bpr depend on it, not on ranks").min(1).max(1024),
                      graph::field("checkpoint_every", &P::checkpoint_every, "epochs between checkpoints; 0: only when told to stop").min(0)),
        recommend::item_judging<P>());
  }
};

}  // namespace throng::op
