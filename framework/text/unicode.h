// Unicode text: case, width, encodings and word boundaries. The door to ICU.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace throng::text {

bool is_valid_utf8(std::string_view text);
/// Replaces each invalid byte sequence by U+FFFD.
std::string repair_utf8(std::string_view text);

std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
/// NFKC: full-width letters and digits become plain ones, ligatures fall apart.
std::string fold_width(std::string_view text);
/// Number of code points.
int64_t length(std::string_view text);
/// Code points [first, first + count); out-of-range parts are cut.
std::string_view substring(std::string_view text, int64_t first, int64_t count);

/// Turns text of a named encoding into UTF-8; false when bytes do not belong to it. Not shared between threads.
class Decoder {
 public:
  /// A job error when ICU does not know the name.
  explicit Decoder(const std::string& encoding);
  ~Decoder();
  Decoder(Decoder&&) noexcept;
  bool decode(std::string_view bytes, std::string& utf8);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class WordKind { kWord, kNumber, kIdeograph, kEmoji, kOther };
struct Word {
  size_t begin, end;  ///< byte range in the text
  WordKind kind;
};

/// Finds words by Unicode rules (UAX 29, with ICU's dictionary for Chinese and Japanese). Not shared between threads.
class WordBreaker {
 public:
  WordBreaker();
  ~WordBreaker();
  WordBreaker(WordBreaker&&) noexcept;
  /// All pieces of a valid UTF-8 text but white space and punctuation, in order; emoji sequences are one piece.
  std::vector<Word> words(std::string_view text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// True for a code point drawn as a picture by default, or made one by a selector that follows.
bool is_emoji(uint32_t code_point);
bool is_han(uint32_t code_point);
/// True for letters and digits of any script, and the marks on them.
bool is_word_part(uint32_t code_point);
/// Reads the code point at `at` and moves past it; U+FFFD for damage.
uint32_t next_code_point(std::string_view text, size_t& at);

}  // namespace throng::text
