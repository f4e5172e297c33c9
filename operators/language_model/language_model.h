// operators/language_model: which token comes next.
#pragma once
#include "framework/train/optimizer_params.h"
#include "framework/train/run_params.h"

namespace throng::op {

/// Trains a recurrent network (Mikolov et al., 2010; Zaremba et al., 2014) or a causal Transformer (Radford et al., 2018) to predict each token from those before it. The
/// training rows are one text: their tokens in the order of rows, an end of row after each, cut into `batch` streams of one length that go on side by side, `length` tokens a step.
/// Recurrent states go on from step to step without a gradient (truncated backpropagation through time); a Transformer sees what its piece has. Held-out rows are
/// such a text of their own, in as many streams as there are shards, and give the perplexity. Output: the held-out rows (all, where none is), each with the log-likelihood of its tokens and its end, in
/// nats, as a text of its own.
struct LanguageModel : train::RunParams, train::OptimizerParams {
  std::string column = "tokens";
  std::string model = "lstm";
  int embedding = 128;
  int hidden = 256;
  int layers = 1;
  int heads = 4;
  double dropout = 0;
  bool tied = false;
  bool recompute = false;
  bool sparse = false;
  int64_t max_words = 10000;
  int64_t min_count = 1;
  int64_t length = 35;
  int64_t batch = 32;
  int64_t epochs = 5;
  double validation = 0;
  int64_t patience = 0;
  double init = 0;
  int64_t bootstrap = 1000;
  std::string vectors;
  LanguageModel() { lr = 0.002, clip = 5, decay = 0.5, decay_after = 4; }

  static constexpr auto kOp = "language_model";
  static constexpr int kVersion = 4;
  static constexpr auto kSummary = "trains an RNN, LSTM, GRU or Transformer to predict the next token of a text";
  static constexpr bool kLearns = true;
  static auto fields() {
    using P = LanguageModel;
    return std::tuple_cat(
        graph::fields(
            graph::field("column", &P::column, "tokens (list<string>), or text, whose characters are the tokens"),
            graph::field("model", &P::model, "rnn, lstm, gru, or transformer: causal self-attention, norm first, inner width 4 times hidden, learned positions").one_of({"rnn", "lstm", "gru", "transformer"}),
            graph::field("embedding", &P::embedding, "size of a token's vector; transformer: hidden has its place").min(1).max(8192), graph::field("hidden", &P::hidden, "size of the state").min(1).max(8192),
            graph::field("layers", &P::layers, "recurrent layers, or Transformer blocks").min(1).max(64), graph::field("heads", &P::heads, "of a Transformer's attention").min(1).max(64),
            graph::field("dropout", &P::dropout, "share of embeddings, of what lies between layers, of attention and of the output that is left out in training").min(0).max(0.95),
            graph::field("tied", &P::tied, "the output layer has the embeddings as its weights (Press and Wolf, 2017)"),
            graph::field("recompute", &P::recompute, "what lies inside a block or a recurrent layer is computed anew on the way back instead of kept: the same bits for one more way forward, and memory that hardly grows with the layers"),
            graph::field("sparse", &P::sparse, "vectors of tokens and the output layer lie over the ranks, for vocabularies that no rank can hold: each rank computes the softmax of its own. A step moves only the vectors of the tokens that it reads: the same steps with sgd and adagrad, from other first numbers; with adam the moments of other tokens stay, too, much as with PyTorch's SparseAdam"),
            graph::field("max_words", &P::max_words, "most frequent tokens kept; others are one unknown token").min(1).max(10000000), graph::field("min_count", &P::min_count, "rarer tokens are unknown").min(1),
            graph::field("length", &P::length, "tokens of a stream in one step; a transformer sees no more").min(1).max(100000), graph::field("batch", &P::batch, "streams, over all ranks; at least `shards`").min(1),
            graph::field("epochs", &P::epochs, "passes over the training text at most").min(1),
            graph::field("validation", &P::validation, "share of the training text, its end, that is not trained on: the epoch with the least perplexity there is kept").min(0).max(0.5),
            graph::field("patience", &P::patience, "end after so many epochs without a better validation; 0: never").min(0),
            graph::field("bootstrap", &P::bootstrap, "samples of pieces of `length` for the 95 % intervals of the result; 0: none").min(0).max(100000),
            graph::field("init", &P::init, "all weights begin uniform within this; 0: as PyTorch's layers do").min(0),
            graph::field("vectors", &P::vectors, "file of word vectors that the tokens' begin from, as wide as `embedding`: text of word2vec, fastText or GloVe, or word2vec.h5 of a step; </s> is the end of a row")),
        train::optimizer_fields<P>(), train::run_fields<P>());
  }
};

}  // namespace throng::op
