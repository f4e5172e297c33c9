// operators/topics: what rows of text are about.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Latent Dirichlet allocation (Blei, Ng, Jordan, JMLR 2003) by collapsed Gibbs sampling (Griffiths and Steyvers, PNAS 2004),
/// distributed as in AD-LDA (Newman et al., JMLR 2009) with logical partitions as workers, so that results do not depend on
/// ranks. Fits on training rows; adds `topic` and `topic_weight` to every row (null where no word is known). Outputs: `words`
/// (topic, rank, word, probability) and `summary` (topic, share of rows' weight, label).
struct Topics {
  std::string column = "tokens";
  int k = 20;
  int64_t iterations = 100;
  double alpha = 0.1;
  double beta = 0.01;
  int64_t min_count = 5;
  double max_share = 0.5;
  int64_t max_size = 50000;
  int top_words = 10;

  static constexpr auto kOp = "topics";
  static constexpr auto kSummary = "finds topics in token rows (LDA) and gives each row its topic";
  static constexpr bool kLearns = true;
  static auto fields() {
    return graph::fields(graph::field("column", &Topics::column, "token column"),
                         graph::field("k", &Topics::k, "number of topics").min(2).max(10000),
                         graph::field("iterations", &Topics::iterations, "Gibbs sweeps").min(1),
                         graph::field("alpha", &Topics::alpha, "prior of a topic in a row").min(1e-6),
                         graph::field("beta", &Topics::beta, "prior of a word in a topic").min(1e-6),
                         graph::field("min_count", &Topics::min_count, "leave out rarer words").min(1),
                         graph::field("max_share", &Topics::max_share, "leave out words in more than this share of the rows").min(0).max(1),
                         graph::field("max_size", &Topics::max_size, "keep the most frequent words; 0: all").min(0),
                         graph::field("top_words", &Topics::top_words, "words listed for each topic").min(1).max(1000));
  }
};

}  // namespace throng::op
