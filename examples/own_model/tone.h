// A model of one's own: whether a review is kind.
#pragma once
#include "framework/graph/params.h"

namespace mine {

/// Trains a convolutional network on texts with a label, 0 or 1 (Kim, 2014: words to vectors, windows of three words, the greatest answer of each filter), and gives
/// every row the probability that its label is 1. Rows without a label are not learned from.
struct Tone {
  std::string text = "text";
  std::string label = "kind";
  int width = 16;
  int filters = 32;
  int64_t epochs = 10;
  int64_t batch = 32;
  double lr = 0.01;
  double dropout = 0.3;

  static constexpr auto kOp = "tone";
  static constexpr auto kSummary = "learns which texts are kind";
  static auto fields() {
    namespace graph = throng::graph;
    return graph::fields(graph::field("text", &Tone::text, "text column"), graph::field("label", &Tone::label, "bool column to learn"),
                         graph::field("width", &Tone::width, "of a word's vector").min(1), graph::field("filters", &Tone::filters, "of the convolution").min(1),
                         graph::field("epochs", &Tone::epochs, "passes over the rows").min(1), graph::field("batch", &Tone::batch, "rows of a minibatch").min(8),
                         graph::field("lr", &Tone::lr, "learning rate of Adam").min(0), graph::field("dropout", &Tone::dropout, "share of answers left out in training").min(0).max(0.9));
  }
};

}  // namespace mine
