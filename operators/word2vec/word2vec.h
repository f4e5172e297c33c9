// operators/word2vec: a vector for every word.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Skip-gram with negative sampling (Mikolov et al., NIPS 2013) on training rows; the negatives of a centre word are shared by
/// its window. The result has one row a word: word, count, vector. `mode: exact` gives the same bits on any number of ranks:
/// logical shards work from one state for a block of words, then their changes are added in shard order. `mode: fast`: the
/// threads of a rank change one copy without locks (Hogwild), and the ranks' copies are averaged after each block; faster, but
/// no two runs are alike.
/// A checkpoint is written after each epoch, and a wish to stop is heard there.
/// `throng apply` adds `vector`, the mean over a row's known words, to new rows.
struct Word2vec {
  std::string column = "tokens";
  int dim = 100;
  int window = 5;
  int negative = 5;
  int64_t min_count = 5;
  int64_t max_size = 0;
  int64_t epochs = 5;
  double lr = 0.025;
  double sample = 0.001;
  std::string mode = "exact";
  int shards = 8;
  int64_t block = 0;

  static constexpr auto kOp = "word2vec";
  static constexpr int kVersion = 2;
  static constexpr auto kSummary = "trains word vectors: skip-gram with negative sampling";
  static constexpr bool kLearns = true;
  static auto fields() {
    return graph::fields(
        graph::field("column", &Word2vec::column, "token column"),
        graph::field("dim", &Word2vec::dim, "size of a vector").min(1).max(4096),
        graph::field("window", &Word2vec::window, "words on each side at most; the width is drawn anew for each word").min(1).max(100),
        graph::field("negative", &Word2vec::negative, "words drawn against each centre word, by count^0.75").min(1).max(100),
        graph::field("min_count", &Word2vec::min_count, "leave out rarer words").min(1),
        graph::field("max_size", &Word2vec::max_size, "keep the most frequent words; 0: all").min(0),
        graph::field("epochs", &Word2vec::epochs, "passes over the text").min(1),
        graph::field("lr", &Word2vec::lr, "learning rate at the start; falls to 0.0001 in a line").min(0),
        graph::field("sample", &Word2vec::sample, "frequent words above this share are thinned out; 0: none").min(0).max(1),
        graph::field("mode", &Word2vec::mode, "exact: independent of ranks; fast: asynchronous, no two runs are alike").one_of({"exact", "fast"}),
        graph::field("shards", &Word2vec::shards, "exact: logical shards").min(1).max(1024),
        graph::field("block", &Word2vec::block, "words of a shard (fast: of a thread) between merges; 0: chosen by the size of the text").min(0));
  }
};

}  // namespace throng::op
