#include "operators/tokenize/tokenize.h"

#include <array>
#include <unordered_set>

#include "framework/base/files.h"
#include "framework/graph/registry.h"
#include "framework/text/unicode.h"
#include "operators/tokenize/stop_words.h"

namespace throng::op {
namespace {

using text::WordKind;

constexpr size_t kMaxTopicBytes = 180;     // `#any words#`: about 60 Chinese characters
constexpr size_t kMaxEmoticonBytes = 30;

bool is_ascii_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
bool is_name_char(uint32_t c) {
  return c < 0x80 ? is_ascii_word(char(c)) || c == '-' : text::is_word_part(c);
}

// Bytes of the web address at `at`, or 0.
size_t match_url(std::string_view t, size_t at) {
  if (at > 0 && is_ascii_word(t[at - 1])) return 0;
  auto rest = t.substr(at);
  if (!rest.starts_with("http://") && !rest.starts_with("https://") && !rest.starts_with("www.")) return 0;
  size_t n = 0;
  while (n < rest.size() && rest[n] > ' ' && static_cast<unsigned char>(rest[n]) < 0x80 && rest[n] != '"' && rest[n] != '<' && rest[n] != '>') ++n;
  while (n > 0 && std::string_view(".,;:!?)]}'").find(rest[n - 1]) != std::string_view::npos) --n;
  return n;
}

// Bytes of the run of name characters after the mark at `at`, mark included; 0 when there is none.
size_t match_name(std::string_view t, size_t at) {
  size_t end = at + 1;
  while (end < t.size()) {
    size_t next = end;
    if (!is_name_char(text::next_code_point(t, next))) break;
    end = next;
  }
  return end == at + 1 ? 0 : end - at;
}

// `#any words#`: a second # closes it, on the same line, with no space beside the marks. In "#a,#b" it begins another.
size_t match_topic(std::string_view t, size_t at) {
  size_t close = t.find('#', at + 1);
  if (close == std::string_view::npos || close - at < 2 || close - at > kMaxTopicBytes) return 0;
  auto inside = t.substr(at + 1, close - at - 1);
  if (inside.front() == ' ' || std::string_view(" ,;/|&").find(inside.back()) != std::string_view::npos || inside.find('\n') != std::string_view::npos) return 0;
  return close + 1 - at;
}

size_t match_emoticon(std::string_view t, size_t at) {
  size_t close = t.find(']', at + 1);
  if (close == std::string_view::npos || close - at < 2 || close - at > kMaxEmoticonBytes) return 0;
  bool letters = false;
  for (size_t i = at + 1; i < close;) {
    uint32_t c = text::next_code_point(t, i);
    if (c == ' ' || c == '[' || (c < 0x80 && !is_ascii_word(char(c)))) return 0;
    letters = letters || c >= 0x80 || !std::isdigit(int(c));
  }
  return letters ? close + 1 - at : 0;
}

class TokenizeOperator : public graph::MapOperator {
 public:
  explicit TokenizeOperator(Tokenize params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& field = inputs[0].at(params_.column);
    if (field.type != data::Type::kString) throw job_error("column '{}' is {}; tokenize needs text", field.name, data::type_name(field.type));
    auto add_stop_words = [&](auto words) {
      for (auto w : words) stop_words_.insert(normal(w));
    };
    stop_words_.clear();
    if (params_.stop_words == "auto" && params_.language != "zh") add_stop_words(english_stop_words());
    if (params_.stop_words == "auto" && params_.language != "en") add_stop_words(chinese_stop_words());
    add_stop_words(params_.extra_stop_words);
    for (const auto& word : params_.dictionary) add_dictionary_word(word);
    for (const auto& path : files()) {
      std::string lines = read_file(path);
      for (size_t at = 0; at < lines.size();) {
        size_t end = std::min(lines.find('\n', at), lines.size());
        add_dictionary_word(std::string_view(lines).substr(at, end - at));
        at = end + 1;
      }
    }
    data::Schema schema = inputs[0];
    schema.set({params_.into, data::Type::kListString});
    return schema;
  }
  std::vector<std::filesystem::path> files() const override {
    if (params_.dictionary_file.empty()) return {};
    return {base_folder / params_.dictionary_file};
  }

  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    graph::Names names{params_.column};
    for (const auto& name : wanted)
      if (name != params_.into || name == params_.column) names.push_back(name);
    (void)schema;
    return names;
  }

  data::Batch map(const data::Batch& batch) const override {
    static thread_local text::WordBreaker breaker;
    const data::Column& texts = batch.column(params_.column);
    data::Column tokens(data::Type::kListString);
    std::vector<std::string> words;
    const bool unchanged = as_they_stand();
    int64_t cut = 0;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (unchanged) {
        cut += !take_words(texts.string(r), tokens);
        continue;
      }
      words.clear();
      if (params_.split == "whitespace") split_at_spaces(normal(texts.string(r)), [&](std::string_view word) { add_word(word, words); });
      else split(texts.string(r), breaker, words);
      add_ngrams(words);
      if (words.size() > size_t(params_.max_tokens)) words.resize(size_t(params_.max_tokens)), ++cut;
      for (const auto& w : words) tokens.add_list_string(w);
      tokens.end_list();
    }
    counters().add("rows_cut", cut);
    return batch.with({params_.into, data::Type::kListString}, std::move(tokens));
  }

 private:
  std::string normal(std::string_view t) const {
    std::string out = params_.fold_width ? text::fold_width(t) : std::string(t);
    return params_.lowercase ? text::to_lower(out) : out;
  }

  void add_dictionary_word(std::string_view word) {
    while (!word.empty() && (word.back() == '\r' || word.back() == ' ')) word.remove_suffix(1);
    if (word.empty()) return;
    std::string n = normal(word);
    longest_ = std::max(longest_, n.size());
    dictionary_.insert(std::move(n));
  }

  void split(std::string_view original, text::WordBreaker& breaker, std::vector<std::string>& out) const {
    std::string whole = normal(original);
    std::string_view t = whole;
    size_t plain = 0;
    auto flush = [&](size_t end) {
      if (end > plain) split_plain(t.substr(plain, end - plain), breaker, out);
    };
    auto special = [&](size_t at, size_t n, bool keep) {
      flush(at);
      if (keep) out.emplace_back(t.substr(at, n));
      plain = at + n;
      return plain;
    };
    for (size_t at = 0; at < t.size();) {
      char c = t[at];
      size_t n = 0;
      if ((c == 'h' || c == 'w') && (n = match_url(t, at))) {
        at = special(at, n, params_.urls == "keep");
      } else if (c == '@' && (at == 0 || !is_ascii_word(t[at - 1])) && (n = match_name(t, at))) {
        at = special(at, n, params_.mentions == "keep");
      } else if (c == '#' && ((n = match_topic(t, at)) || (n = match_name(t, at)))) {
        if (params_.hashtags == "words") {
          flush(at);
          size_t close = t[at + n - 1] == '#' ? 1 : 0;
          split_plain(t.substr(at + 1, n - 1 - close), breaker, out);
          at = plain = at + n;
        } else {
          at = special(at, n, params_.hashtags == "keep");
        }
      } else if (c == '[' && (n = match_emoticon(t, at))) {
        at = special(at, n, params_.emoticons == "keep");
      } else if (!dictionary_.empty() && (n = match_dictionary(t, at))) {
        at = special(at, n, true);
      } else {
        text::next_code_point(t, at);
      }
    }
    flush(t.size());
  }

  size_t match_dictionary(std::string_view t, size_t at) const {
    bool word_before = at > 0 && is_ascii_word(t[at - 1]);
    for (size_t n = std::min(longest_, t.size() - at); n > 0; --n) {
      bool ascii_edge_before = word_before && is_ascii_word(t[at]);
      bool ascii_edge_after = at + n < t.size() && is_ascii_word(t[at + n]) && is_ascii_word(t[at + n - 1]);
      if (!ascii_edge_before && !ascii_edge_after && dictionary_.count(std::string(t.substr(at, n)))) return n;
    }
    return 0;
  }

  void split_plain(std::string_view t, text::WordBreaker& breaker, std::vector<std::string>& out) const {
    for (const auto& w : breaker.words(t)) {
      auto word = t.substr(w.begin, w.end - w.begin);
      if (w.kind == WordKind::kEmoji) {
        if (params_.emoji == "keep") out.emplace_back(word);
        continue;
      }
      if (w.kind == WordKind::kNumber && params_.numbers == "drop") continue;
      add_word(word, out);
    }
  }

  template <class Add>
  static void split_at_spaces(std::string_view t, const Add& add) {
    static constexpr auto is_space = [] {
      std::array<bool, 256> set{};
      for (unsigned char c : {' ', '\t', '\n', '\r'}) set[c] = true;
      return set;
    }();
    for (size_t at = 0; at < t.size();) {
      size_t end = at;
      while (end < t.size() && !is_space[static_cast<unsigned char>(t[end])]) ++end;
      if (end > at) add(t.substr(at, end - at));
      at = end + 1;
    }
  }

  // Texts that are only cut at spaces: no word is changed, left out or joined with another.
  bool as_they_stand() const {
    return params_.split == "whitespace" && !params_.lowercase && !params_.fold_width && params_.ngrams < 2 && params_.min_length <= 1 && stop_words_.empty();
  }
  bool take_words(std::string_view t, data::Column& tokens) const {
    int64_t left = params_.max_tokens;
    split_at_spaces(t, [&](std::string_view word) {
      if (left-- > 0) tokens.add_list_string(word);
    });
    tokens.end_list();
    return left >= 0;
  }

  void add_word(std::string_view word, std::vector<std::string>& out) const {
    if (params_.min_length > 1 && text::length(word) < params_.min_length) return;
    std::string s(word);
    if (!stop_words_.count(s)) out.push_back(std::move(s));
  }

  void add_ngrams(std::vector<std::string>& words) const {
    const size_t singles = words.size();
    for (size_t n = 2; n <= size_t(params_.ngrams); ++n)
      for (size_t i = 0; i + n <= singles; ++i) {
        std::string joined = words[i];
        for (size_t k = 1; k < n; ++k) joined += "_" + words[i + k];
        words.push_back(std::move(joined));
      }
  }

  Tokenize params_;
  std::unordered_set<std::string> stop_words_, dictionary_;
  size_t longest_ = 0;
};

}  // namespace
}  // namespace throng::op

void register_tokenize(throng::graph::Registry& registry) { registry.add<throng::op::Tokenize, throng::op::TokenizeOperator>(); }
