// operators/vocabulary: tokens to numbers.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Learns the words of a token column from training rows and adds their numbers: word 0 is the most frequent, ties by text;
/// words it does not know are left out and counted. Output `words`: word, count, rows.
struct Vocabulary {
  std::string column = "tokens";
  std::string into = "token_ids";
  int64_t min_count = 5;
  int64_t max_size = 0;

  static constexpr auto kOp = "vocabulary";
  static constexpr auto kSummary = "learns the words of a token column and numbers them";
  static constexpr bool kLearns = true;
  static auto fields() {
    return graph::fields(graph::field("column", &Vocabulary::column, "token column (list<string>) or text column"),
                         graph::field("into", &Vocabulary::into, "name of the list<int32> column that is added"),
                         graph::field("min_count", &Vocabulary::min_count, "leave out rarer words").min(1),
                         graph::field("max_size", &Vocabulary::max_size, "keep the most frequent; 0: all").min(0));
  }
};

}  // namespace throng::op
