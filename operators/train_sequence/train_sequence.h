// operators/train_sequence: what a user does next.
#pragma once
#include "framework/train/optimizer_params.h"
#include "framework/train/run_params.h"

namespace throng::op {

/// Trains a recurrent network or a Transformer on each user's events in time order, and judges it on held-out rows beside three baselines.
/// After every event it predicts `target` of the next one (a category or a number), or whether `target` will equal
/// `event` within `within`, for rows whose whole wait lies before the end of the (training) rows. Rows with `holdout` are
/// not learned from; without that column a tenth of the users is held out. Output: the held-out rows that are foretold, with `actual`, `predicted`, `last` (the value before), and of categories the
/// `probability` of what is predicted and the `likelihood`, that of what was the case (null where it is none of the classes).
struct TrainSequence : train::RunParams, train::OptimizerParams {
  std::string by = "user";
  std::string target = "action";
  std::string task = "auto";
  std::string event;
  Duration within{7 * 86'400'000'000};
  std::vector<std::string> inputs;
  bool gaps = true;
  std::string model = "gru";
  int embedding = 32;
  int hidden = 64;
  int layers = 1;
  bool attention = false;
  int heads = 1;
  double dropout = 0;
  bool recompute = false;
  bool sparse = false;
  int recent = 8;
  int attended = 0;
  int64_t max_classes = 2000;
  int64_t min_count = 1;
  int64_t max_length = 50;
  int64_t epochs = 5;
  int64_t batch = 64;
  int64_t batch_rows = 0;
  double validation = 0;
  int64_t patience = 0;
  int64_t bootstrap = 1000;
  graph::NameMap vectors;
  TrainSequence() { optimizer = "adamw", lr = 0.003, clip = 5; }

  static constexpr auto kOp = "train_sequence";
  static constexpr int kVersion = 7;
  static constexpr auto kSummary = "trains an RNN, LSTM, GRU or Transformer to predict each user's next event";
  static constexpr bool kLearns = true;
  static auto fields() {
    return std::tuple_cat(graph::fields(
        graph::field("by", &TrainSequence::by, "column whose values own the sequences"),
        graph::field("target", &TrainSequence::target, "column to predict of the next event"),
        graph::field("task", &TrainSequence::task, "category, number, or event; auto: event where `event` is given, number for floats").one_of({"auto", "category", "number", "event"}),
        graph::field("event", &TrainSequence::event, "task event: the value of `target` to wait for"),
        graph::field("within", &TrainSequence::within, "task event: how long to wait"),
        graph::field("inputs", &TrainSequence::inputs, "columns the model sees, categories and numbers; empty: target, and action, item, value where there are"),
        graph::field("gaps", &TrainSequence::gaps, "the model also sees the time since the event before"),
        graph::field("model", &TrainSequence::model, "rnn, lstm, gru, or transformer: causal self-attention, norm first, inner width 4 times hidden, learned positions").one_of({"rnn", "lstm", "gru", "transformer"}),
        graph::field("embedding", &TrainSequence::embedding, "size of each category's vector").min(1).max(4096),
        graph::field("hidden", &TrainSequence::hidden, "size of the state").min(1).max(8192),
        graph::field("layers", &TrainSequence::layers, "recurrent layers, or Transformer blocks").min(1).max(16),
        graph::field("attention", &TrainSequence::attention, "rnn, lstm, gru: each state also looks at the states before it, at most `max_length`"),
        graph::field("heads", &TrainSequence::heads, "of the attention").min(1).max(64),
        graph::field("dropout", &TrainSequence::dropout, "share of inputs, of what lies between layers and of attention that is left out in training").min(0).max(0.95),
        graph::field("recompute", &TrainSequence::recompute, "what lies inside a block or a recurrent layer is computed anew on the way back instead of kept: the same bits for one more way forward, and memory that hardly grows with the layers"),
        graph::field("sparse", &TrainSequence::sparse, "vectors of the categories' values lie over the ranks, for values that no rank can hold, and with `recent: 0` the output layer of classes, too, of which each rank then computes the softmax of its own. A step moves only the vectors of the values that it reads, which is quicker with many: the same steps with sgd and adagrad, from other first numbers; with adam the moments of other values stay, too, much as with PyTorch's SparseAdam"),
        graph::field("recent", &TrainSequence::recent, "category: so many of the user's recent distinct values get a learned score for coming back; 0: none").min(0).max(64),
        graph::field("attended", &TrainSequence::attended, "transformer, or with `attention`: so many of the past events that each prediction looked at most are written beside it, `attended` as events back, 0 the newest, and `attention` as their weights (the mean over heads; of the last block); 0: none").min(0).max(1000),
        graph::field("max_classes", &TrainSequence::max_classes, "most frequent values kept of each category column").min(2).max(10000000),
        graph::field("min_count", &TrainSequence::min_count, "rarer values of category columns are unknown").min(1),
        graph::field("max_length", &TrainSequence::max_length, "training cuts longer sequences into pieces of this many events; attention sees no more").min(2),
        graph::field("epochs", &TrainSequence::epochs, "passes over the training rows at most").min(1),
        graph::field("batch", &TrainSequence::batch, "pieces in a minibatch, over all ranks; at least `shards`").min(1),
        graph::field("batch_rows", &TrainSequence::batch_rows, "events in a minibatch, over all ranks, instead of `batch` pieces: as many pieces as have so many, so that memory and time of a step are even; 0: by pieces").min(0),
        graph::field("validation", &TrainSequence::validation, "share of the users whose training rows are not trained on: the epoch with the least loss there is kept").min(0).max(0.5),
        graph::field("patience", &TrainSequence::patience, "end after so many epochs without a better validation; 0: never").min(0),
        graph::field("bootstrap", &TrainSequence::bootstrap, "samples of sequences for the 95 % intervals of the result; 0: none").min(0).max(100000),
        graph::field("vectors", &TrainSequence::vectors, "files of vectors, by category column, that its values begin from, as wide as `embedding`, such as {item: items.vec}: text of word2vec, fastText or GloVe, or word2vec.h5 of a step")), train::optimizer_fields<TrainSequence>(), train::run_fields<TrainSequence>());
  }
};

}  // namespace throng::op
