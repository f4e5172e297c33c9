// The tokens of rows as one text, of which any rank reads any stretch. Internal to language_model.
#pragma once
#include <string>
#include <vector>

#include "framework/data/vocabulary.h"
#include "framework/graph/holdout_seen.h"

namespace throng::op {

/// Numbers of tokens: the end of a row, an unknown one, then those of the vocabulary.
struct TokenNumbers {
  static constexpr int32_t kEnd = 0, kUnknown = 1, kFirst = 2;
  data::Vocabulary words;
  size_t size() const { return words.size() + size_t(kFirst); }
  int32_t find(std::string_view word) const {
    const int32_t id = words.find(word);
    return id < 0 ? kUnknown : id + kFirst;
  }
};

/// Calls visit(token) for the tokens of a row: the entries of a list, or the characters of a text.
void for_each_token(const data::Column& column, int64_t row, const std::function<void(std::string_view)>& visit);
/// The numbers of a row's tokens and its end; of a row without a value nothing.
void append_row(const TokenNumbers& numbers, const data::Column& column, int64_t row, std::vector<int32_t>& to);

/// Training rows and held-out rows are a text each; positions are counted over all ranks.
class TokenText {
 public:
  enum Part { kTraining, kHeldOut };
  /// Collective. Learns the vocabulary of the training rows, and how long the texts are.
  TokenText(graph::CollectiveContext& context, std::string column, int64_t max_words, int64_t min_count);

  const TokenNumbers& numbers() const { return numbers_; }
  int64_t size(Part part) const { return starts_[part].back(); }
  int64_t unknown(Part part) const { return unknown_[part]; }
  const graph::HoldoutSeen& holdout() const { return holdout_; }
  /// Tokens [begin, end) of a text, kept in the step's arena. Not collective.
  std::span<const int32_t> read(Part part, int64_t begin, int64_t end);

 private:
  graph::CollectiveContext& context_;
  std::string column_;
  graph::Names columns_;  // what is read
  TokenNumbers numbers_;
  std::vector<int64_t> starts_[2];  // of the partitions, and the end
  int64_t unknown_[2] = {0, 0};
  graph::HoldoutSeen holdout_;
};

}  // namespace throng::op
