#include "framework/train/word_vectors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/data/array_store.h"
#include "framework/data/text_input.h"
#include "framework/data/vocabulary.h"

namespace throng::train {
namespace {

using Find = std::function<int32_t(std::string_view)>;

/// Where vectors go.
class Table {
 public:
  Table(std::string path, const Find& find, const nn::Parameter& table, std::span<float> weights) : path_(std::move(path)), find_(find), table_(table), weights_(weights), filled_(table.rows, false) {}

  size_t cols() const { return table_.cols; }
  void check_width(size_t width) const {
    if (width != table_.cols) throw data_error("{}: its vectors have {} numbers, those of the model {}", path_, width, table_.cols).with_hint("they must be as many; is it the right file?");
  }
  void see(std::string_view word, std::span<const float> vector) {
    ++result.given;
    const int32_t row = find_(word);
    if (row < 0 || filled_.at(size_t(row))) return;
    filled_[size_t(row)] = true, ++result.found;
    if (!weights_.empty()) std::copy(vector.begin(), vector.end(), weights_.begin() + ptrdiff_t(table_.at + size_t(row) * table_.cols));
  }
  VectorsFound result;

 private:
  std::string path_;
  const Find& find_;
  nn::Parameter table_;
  std::span<float> weights_;
  std::vector<bool> filled_;
};

bool is_hdf5(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  char first[4] = {};
  in.read(first, 4);
  return std::string_view(first, 4) == "\x89HDF";
}

void read_step(const std::filesystem::path& path, Table& table) {
  const auto store = data::ArrayStore::load(path);
  const auto words = data::Vocabulary::load(store, "words");
  const auto& vectors = store.floats("vectors");
  const size_t width = words.size() ? vectors.size() / words.size() : 0;
  table.check_width(width);
  for (size_t w = 0; w < words.size(); ++w) table.see(words.word(w), std::span(vectors).subspan(w * width, width));
}

/// Cuts the last field off a line; false where there is none.
bool cut_last(std::string_view& line, std::string_view& field) {
  const size_t end = line.find_last_not_of(" \t\r");
  if (end == std::string_view::npos) return false;
  line = line.substr(0, end + 1);
  const size_t before = line.find_last_of(" \t");
  field = before == std::string_view::npos ? line : line.substr(before + 1);
  line = before == std::string_view::npos ? std::string_view() : line.substr(0, before);
  return true;
}

template <class N>
bool read_number(std::string_view text, N& number) {
  const auto [at, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  return code == std::errc() && at == text.data() + text.size() && std::isfinite(double(number));
}

void read_text(const std::filesystem::path& path, Table& table) {
  constexpr uint64_t kAhead = 1 << 20;
  data::TextWindow window(path, 0);
  std::vector<float> vector(table.cols());
  int64_t number = 0;
  for (uint64_t at = 0;;) {
    size_t end;
    while ((end = window.from(at).find('\n')) == std::string_view::npos && !window.at_end()) window.ensure(window.end() + kAhead);
    end = std::min(end, window.from(at).size());
    std::string_view line = window.from(at).substr(0, end);
    const bool last = window.at_end() && at + end >= window.end();
    ++number;
    std::string_view rest = line, field;
    size_t fields = 0;
    if (number == 1) {
      for (std::string_view all = line; cut_last(all, field);) ++fields;
      std::string_view counts = line;
      std::string_view second, first;
      int64_t words, width;
      if (fields == 2 && cut_last(counts, second) && cut_last(counts, first) && read_number(first, words) && read_number(second, width)) {
        table.check_width(size_t(width));
        rest = {};
      } else if (fields > 0) {
        table.check_width(fields - 1);
      }
    }
    if (!rest.empty() && rest.find_first_not_of(" \t\r") != std::string_view::npos) {
      // From the end: a word may have spaces inside.
      bool good = true;
      for (size_t k = vector.size(); good && k-- > 0;) good = cut_last(rest, field) && read_number(field, vector[k]);
      if (!good || rest.empty())
        throw data_error("{}:{}: expected a word and {} numbers, got '{}'", path.string(), number, vector.size(), line.substr(0, 40))
            .with_hint("text of word2vec, fastText or GloVe can be read; word2vec's binary form must be converted first (gensim: save_word2vec_format(.., binary=False))");
      table.see(rest, vector);
    }
    at += end + 1;
    if (last) return;
    window.discard_before(at);
  }
}

}  // namespace

VectorsFound start_from_word_vectors(const std::filesystem::path& path, const Find& find, const nn::Parameter& where, std::span<float> weights) {
  Table table(path.string(), find, where, weights);
  if (is_hdf5(path)) read_step(path, table);
  else read_text(path, table);
  return table.result;
}

void WordVectorStart::add_to(TrainerOptions& options) {
  options.begin = [this, before = std::move(options.begin)](std::span<float> weights) {
    if (before) before(weights);
    found_ = start_from_word_vectors(path_, find_, table_, weights);
  };
}

nlohmann::json WordVectorStart::result() {
  if (!found_) found_ = start_from_word_vectors(path_, find_, table_, {});
  return {{"given", found_->given}, {"found", found_->found}};
}

}  // namespace throng::train
