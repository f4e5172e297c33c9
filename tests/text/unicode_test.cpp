// Case, width, encodings and word boundaries, with Chinese, emoji and damage.
#include "framework/text/unicode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/error.h"

namespace throng::text {
namespace {
using ::testing::ElementsAre;

TEST(Unicode, FindsAndRepairsDamage) {
  EXPECT_TRUE(is_valid_utf8("plain 中文 😀"));
  EXPECT_TRUE(is_valid_utf8(""));
  for (const char* bad : {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "中\xe4\xb8"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << bad;
    EXPECT_TRUE(is_valid_utf8(repair_utf8(bad))) << bad;
  }
  EXPECT_EQ(repair_utf8("a\xff" "b"), "a\xEF\xBF\xBD" "b");
  EXPECT_EQ(repair_utf8("中文"), "中文");
}

TEST(Unicode, FoldsCaseAndWidth) {
  EXPECT_EQ(to_lower("HeLLo ÄÖ ΣΑΣ 中"), "hello äö σας 中");
  EXPECT_EQ(to_upper("straße é"), "STRASSE É");
  EXPECT_EQ(fold_width("ＡＢＣ１２３　ﬁ"), "ABC123 fi");
  EXPECT_EQ(fold_width("plain"), "plain");
}

TEST(Unicode, CountsCodePoints) {
  EXPECT_EQ(length("a中😀"), 3);
  EXPECT_EQ(length(""), 0);
  EXPECT_EQ(substring("a中😀b", 1, 2), "中😀");
  EXPECT_EQ(substring("a中😀b", 3, 100), "b");
  EXPECT_EQ(substring("a中😀b", 4, 1), "");
  EXPECT_EQ(substring("a中😀b", -1, 2), "a");  // the part before the text is cut
  EXPECT_EQ(substring("a中😀b", 1, 0), "");
  EXPECT_EQ(substring("a中😀b", 1, INT64_MAX), "中😀b");
}

TEST(Unicode, DecodesNamedEncodings) {
  std::string out;
  EXPECT_TRUE(Decoder("gb18030").decode("\xd6\xd0\xce\xc4", out));
  EXPECT_EQ(out, "中文");
  EXPECT_TRUE(Decoder("latin1").decode("caf\xe9", out));
  EXPECT_EQ(out, "café");
  EXPECT_FALSE(Decoder("gb18030").decode("\xd6", out));
  Decoder gb("gb18030");  // damage does not stick
  EXPECT_FALSE(gb.decode("\xff\xff", out));
  EXPECT_TRUE(gb.decode("\xd6\xd0", out));
  EXPECT_EQ(out, "中");
  EXPECT_TRUE(gb.decode("", out));
  EXPECT_EQ(out, "");
  EXPECT_THROW(Decoder("klingon-8"), Error);
  EXPECT_THROW(Decoder("utf-16"), Error);
}

std::vector<std::string> words(std::string_view text) {
  static WordBreaker breaker;
  std::vector<std::string> out;
  for (const auto& w : breaker.words(text)) out.emplace_back(text.substr(w.begin, w.end - w.begin));
  return out;
}

TEST(Unicode, BreaksWords) {
  EXPECT_THAT(words("Don't stop, 3.14 times!"), ElementsAre("Don't", "stop", "3.14", "times"));
  EXPECT_THAT(words("我爱北京"), ElementsAre("我", "爱", "北京"));
  EXPECT_THAT(words("hi👍🏽you"), ElementsAre("hi", "👍🏽", "you"));
  EXPECT_THAT(words("👨‍👩‍👧❤️"), ElementsAre("👨‍👩‍👧", "❤️"));
  EXPECT_THAT(words("🇨🇳🇩🇪"), ElementsAre("🇨🇳", "🇩🇪"));
  EXPECT_THAT(words("..., !"), ElementsAre());
  EXPECT_THAT(words(""), ElementsAre());
}

TEST(Unicode, KnowsKinds) {
  WordBreaker breaker;
  std::vector<WordKind> kinds;
  for (const auto& w : breaker.words("abc 42 北京 😀")) kinds.push_back(w.kind);
  EXPECT_THAT(kinds, ElementsAre(WordKind::kWord, WordKind::kNumber, WordKind::kIdeograph, WordKind::kEmoji));
  EXPECT_TRUE(is_emoji(0x1F600));
  EXPECT_FALSE(is_emoji('1'));
  EXPECT_TRUE(is_han(0x4E2D));
  EXPECT_FALSE(is_han('a'));
  for (uint32_t c : {uint32_t{'a'}, uint32_t{'7'}, 0xE9u, 0x4E2Du, 0xD55Cu, 0x0301u, 0x094Du}) EXPECT_TRUE(is_word_part(c)) << c;
  for (uint32_t c : {uint32_t{' '}, uint32_t{'#'}, 0xFF0Cu, 0x3002u, 0x1F600u, 0x00D7u}) EXPECT_FALSE(is_word_part(c)) << c;
}

}  // namespace
}  // namespace throng::text
