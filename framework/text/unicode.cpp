#include "framework/text/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/ucnv.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include "framework/base/error.h"

namespace throng::text {
namespace {

bool is_ascii(std::string_view text) {
  for (unsigned char c : text)
    if (c >= 0x80) return false;
  return true;
}

icu::StringPiece piece(std::string_view text) { return {text.data(), int32_t(text.size())}; }

}  // namespace

bool is_valid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (uint8_t(text[at]) < 0x80) {
      ++at;
      continue;
    }
    int32_t i = int32_t(at), n = int32_t(text.size());
    UChar32 c;
    U8_NEXT(text.data(), i, n, c);
    if (c < 0) return false;
    at = size_t(i);
  }
  return true;
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  int32_t i = 0, n = int32_t(text.size());
  while (i < n) {
    int32_t start = i;
    UChar32 c;
    U8_NEXT(text.data(), i, n, c);
    if (c < 0)
      out += "\xEF\xBF\xBD";
    else
      out.append(text, size_t(start), size_t(i - start));
  }
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  if (is_ascii(text)) {
    out.assign(text);
    for (char& c : out)
      if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
    return out;
  }
  UErrorCode code = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&out);
  icu::CaseMap::utf8ToLower("", 0, piece(text), sink, nullptr, code);
  THRONG_CHECK(U_SUCCESS(code), "{}", u_errorName(code));
  return out;
}

std::string to_upper(std::string_view text) {
  std::string out;
  UErrorCode code = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&out);
  icu::CaseMap::utf8ToUpper("", 0, piece(text), sink, nullptr, code);
  THRONG_CHECK(U_SUCCESS(code), "{}", u_errorName(code));
  return out;
}

std::string fold_width(std::string_view text) {
  if (is_ascii(text)) return std::string(text);
  UErrorCode code = U_ZERO_ERROR;
  static const icu::Normalizer2* normalizer = icu::Normalizer2::getNFKCInstance(code);
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  normalizer->normalizeUTF8(0, piece(text), sink, nullptr, code);
  THRONG_CHECK(U_SUCCESS(code), "{}", u_errorName(code));
  return out;
}

int64_t length(std::string_view text) {
  int64_t n = 0;
  for (unsigned char c : text) n += (c & 0xC0) != 0x80;
  return n;
}

std::string_view substring(std::string_view text, int64_t first, int64_t count) {
  const int64_t last = count > INT64_MAX - std::max<int64_t>(first, 0) ? INT64_MAX : first + count;
  int64_t index = -1;
  size_t begin = text.size(), end = text.size();
  for (size_t i = 0; i < text.size(); ++i) {
    if ((uint8_t(text[i]) & 0xC0) == 0x80) continue;
    ++index;
    if (index == std::max<int64_t>(first, 0)) begin = i;
    if (index >= last) {
      end = i;
      break;
    }
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

bool is_emoji(uint32_t c) {
  return u_hasBinaryProperty(UChar32(c), UCHAR_EMOJI_PRESENTATION) ||
         (c > 0xFF && u_hasBinaryProperty(UChar32(c), UCHAR_EXTENDED_PICTOGRAPHIC));
}

bool is_han(uint32_t c) { return u_hasBinaryProperty(UChar32(c), UCHAR_IDEOGRAPHIC); }

bool is_word_part(uint32_t c) {
  return u_hasBinaryProperty(UChar32(c), UCHAR_POSIX_ALNUM) || (U_GET_GC_MASK(UChar32(c)) & U_GC_M_MASK) != 0;
}

uint32_t next_code_point(std::string_view text, size_t& at) {
  int32_t i = int32_t(at);
  UChar32 c;
  U8_NEXT(text.data(), i, int32_t(text.size()), c);
  at = size_t(i);
  return c < 0 ? 0xFFFD : uint32_t(c);
}

// ------------------------------------------------------------------------------------------------ encodings

struct Decoder::State {
  UConverter* converter = nullptr;
  std::vector<UChar> wide;
  ~State() { ucnv_close(converter); }
};

Decoder::Decoder(const std::string& encoding) : state_(std::make_unique<State>()) {
  UErrorCode code = U_ZERO_ERROR;
  state_->converter = ucnv_open(encoding.c_str(), &code);
  if (U_FAILURE(code) || !state_->converter)
    throw job_error("unknown encoding '{}'", encoding).with_hint("for example utf-8, gb18030, big5, latin1, shift_jis");
  if (ucnv_getMinCharSize(state_->converter) != 1)
    throw job_error("encoding '{}' is not supported: its lines cannot be found by byte", encoding)
        .with_hint("convert the file to UTF-8 first (iconv)");
  ucnv_setToUCallBack(state_->converter, UCNV_TO_U_CALLBACK_STOP, nullptr, nullptr, nullptr, &code);
}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

bool Decoder::decode(std::string_view bytes, std::string& utf8) {
  UErrorCode code = U_ZERO_ERROR;
  ucnv_resetToUnicode(state_->converter);
  state_->wide.resize(bytes.size() * 2 + 2);
  int32_t n = ucnv_toUChars(state_->converter, state_->wide.data(), int32_t(state_->wide.size()), bytes.data(),
                            int32_t(bytes.size()), &code);
  if (U_FAILURE(code)) return false;
  utf8.clear();
  icu::UnicodeString(false, state_->wide.data(), n).toUTF8String(utf8);
  return true;
}

// -------------------------------------------------------------------------------------------------- words

struct WordBreaker::State {
  std::unique_ptr<icu::BreakIterator> iterator;
  UText* text = nullptr;
  ~State() { utext_close(text); }
};

WordBreaker::WordBreaker() : state_(std::make_unique<State>()) {
  UErrorCode code = U_ZERO_ERROR;
  state_->iterator.reset(icu::BreakIterator::createWordInstance(icu::Locale::getRoot(), code));
  if (U_FAILURE(code)) throw system_error("ICU's word rules cannot be loaded: {}", u_errorName(code));
}
WordBreaker::~WordBreaker() = default;
WordBreaker::WordBreaker(WordBreaker&&) noexcept = default;

std::vector<Word> WordBreaker::words(std::string_view text) {
  std::vector<Word> words;
  if (text.empty()) return words;
  UErrorCode code = U_ZERO_ERROR;
  state_->text = utext_openUTF8(state_->text, text.data(), int64_t(text.size()), &code);
  state_->iterator->setText(state_->text, code);
  THRONG_CHECK(U_SUCCESS(code), "{}", u_errorName(code));
  int32_t begin = state_->iterator->first();
  for (int32_t end = state_->iterator->next(); end != icu::BreakIterator::DONE; begin = end, end = state_->iterator->next()) {
    int32_t status = state_->iterator->getRuleStatus();
    size_t at = size_t(begin);
    uint32_t first = next_code_point(text, at);
    WordKind kind = WordKind::kOther;
    if (is_emoji(first) || (first > 0xFF && size_t(end) > at && text.substr(at, 3) == "\xEF\xB8\x8F"))
      kind = WordKind::kEmoji;
    else if (status >= UBRK_WORD_KANA)
      kind = WordKind::kIdeograph;
    else if (status >= UBRK_WORD_LETTER)
      kind = is_han(first) ? WordKind::kIdeograph : WordKind::kWord;
    else if (status >= UBRK_WORD_NUMBER)
      kind = WordKind::kNumber;
    else
      continue;
    words.push_back({size_t(begin), size_t(end), kind});
  }
  return words;
}

}  // namespace throng::text
