// operators/evaluate: how good predictions are.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Compares a column of predictions with what was the case, over the held-out rows where the input says which these are.
///
/// Classes (text, whole numbers, true or false): accuracy; precision, recall and F1 of each class, and as macro, weighted and micro means, as scikit-learn defines
/// them (0 where nothing was predicted). With `score`, a probability of `positive`: AUC (ties count half; with DeLong's variance, 1988), log loss (natural, probabilities kept
/// 1e-15 away from 0 and 1) and Brier score. With `likelihood`, the probability that was given to what was the case, of any number of classes: log loss (the same) and perplexity, e to its power. Numbers: mse, rmse, mae, bias (mean of predicted - actual), r2. Rows without a value in one of the columns are left out and counted.
///
/// The output has a row for each group, measure and class, with a 95 % interval: of what follows from counts by bootstrap over rows, of AUC by its variance, of means over rows
/// by theirs (normal). With more than 16 million rows scores are rounded to 15 bits of their fraction for the AUC.
struct Evaluate {
  std::string actual = "actual";
  std::string predicted = "predicted";
  std::string task = "auto";
  std::string score;
  std::string positive;
  std::string likelihood;
  std::vector<std::string> by;
  std::string rows = "auto";
  int64_t bootstrap = 1000;

  static constexpr auto kOp = "evaluate";
  static constexpr int kVersion = 2;
  static constexpr auto kSummary = "measures predictions: accuracy, precision, recall, F1, AUC, log loss, errors of numbers, with intervals";
  static auto fields() {
    return graph::fields(graph::field("actual", &Evaluate::actual, "column of what was the case"), graph::field("predicted", &Evaluate::predicted, "column of what was foretold; with score or likelihood it may be empty: none"),
                         graph::field("task", &Evaluate::task, "auto: numbers with a fraction are regression, all else is classification").one_of({"auto", "classification", "regression"}),
                         graph::field("score", &Evaluate::score, "column with the probability of `positive`; empty: none"),
                         graph::field("positive", &Evaluate::positive, "with score: the class whose probability it is"),
                         graph::field("likelihood", &Evaluate::likelihood, "column with the probability that was given to the class that was the case, such as train_sequence's 'likelihood'; empty: none"),
                         graph::field("by", &Evaluate::by, "measure each group of equal values by itself"),
                         graph::field("rows", &Evaluate::rows, "holdout: held-out rows; all; auto: held-out rows if the input has the column 'holdout'").one_of({"auto", "holdout", "all"}),
                         graph::field("bootstrap", &Evaluate::bootstrap, "samples of rows for the intervals of what follows from counts; 0: no intervals at all").min(0).max(100000));
  }
};

}  // namespace throng::op
