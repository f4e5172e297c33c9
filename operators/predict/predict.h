// operators/predict: what a step has learned, on other rows.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Inputs: rows, and a step that learned (train_sequence, language_model, topics, word2vec, ..). Gives the rows what that step's `throng apply` would: nothing is learned anew. The rows need the columns that
/// were learned from, of the same types. For recommenders see recommend.
struct Predict {
  static constexpr auto kOp = "predict";
  static constexpr auto kSummary = "applies what a step of the job has learned to other rows";
  static constexpr bool kReplayed = true;
  static constexpr size_t kMinInputs = 2, kMaxInputs = 2;
  static auto fields() { return std::tuple<>(); }
};

}  // namespace throng::op
