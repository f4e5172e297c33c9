// operators/tokenize: text to tokens.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Splits a text column into tokens by Unicode word rules (UAX 29); Chinese is segmented by ICU's dictionary. Row-local.
/// Adds the list column `tokens`; empty and null text give an empty list. URLs, @mentions, #hashtags, emoji and bracket
/// emoticons stay whole and keep their marks, so that their kind shows.
/// `split: whitespace` takes text that is in words already: a token is a run of anything but space, tab and line ends, of no kind.
struct Tokenize {
  std::string column = "text";
  std::string into = "tokens";
  std::string split = "words";
  std::string language = "auto";
  bool lowercase = true;
  bool fold_width = true;
  std::string urls = "drop";
  std::string mentions = "keep";
  std::string hashtags = "keep";
  std::string emoji = "keep";
  std::string emoticons = "keep";
  std::string numbers = "keep";
  std::string stop_words = "auto";
  std::vector<std::string> extra_stop_words;
  std::vector<std::string> dictionary;
  std::string dictionary_file;
  int min_length = 1;
  int ngrams = 1;
  int max_tokens = 512;

  static constexpr auto kOp = "tokenize";
  static constexpr auto kSummary = "splits text into tokens: Unicode words, Chinese, hashtags, mentions, emoji";
  static auto fields() {
    const std::vector<std::string> keep_drop{"keep", "drop"};
    return graph::fields(
        graph::field("column", &Tokenize::column, "text column to split"),
        graph::field("into", &Tokenize::into, "name of the list column that is added"),
        graph::field("split", &Tokenize::split, "words: by Unicode rules; whitespace: at spaces, tabs and line ends only, with no kinds of tokens and no dictionary").one_of({"words", "whitespace"}),
        graph::field("language", &Tokenize::language, "whose stop words are meant by stop_words: auto").one_of({"auto", "en", "zh"}),
        graph::field("lowercase", &Tokenize::lowercase, "fold case first"),
        graph::field("fold_width", &Tokenize::fold_width, "turn full-width forms into plain ones first (NFKC)"),
        graph::field("urls", &Tokenize::urls, "web addresses").one_of(keep_drop),
        graph::field("mentions", &Tokenize::mentions, "@name").one_of(keep_drop),
        graph::field("hashtags", &Tokenize::hashtags, "#word and #any words#; words: as plain words").one_of({"keep", "drop", "words"}),
        graph::field("emoji", &Tokenize::emoji, "emoji").one_of(keep_drop),
        graph::field("emoticons", &Tokenize::emoticons, "bracket emoticons such as [doge]").one_of(keep_drop),
        graph::field("numbers", &Tokenize::numbers, "tokens of digits only").one_of(keep_drop),
        graph::field("stop_words", &Tokenize::stop_words, "auto: English and Chinese by language; none: keep all").one_of({"auto", "none"}),
        graph::field("extra_stop_words", &Tokenize::extra_stop_words, "more words to drop"),
        graph::field("dictionary", &Tokenize::dictionary, "words that must stay whole"),
        graph::field("dictionary_file", &Tokenize::dictionary_file, "file of such words, one a line"),
        graph::field("min_length", &Tokenize::min_length, "shortest word kept, in characters").min(1).max(100),
        graph::field("ngrams", &Tokenize::ngrams, "also join up to this many neighbours with _").min(1).max(5),
        graph::field("max_tokens", &Tokenize::max_tokens, "cut longer rows").min(1).max(1000000));
  }
};

}  // namespace throng::op
