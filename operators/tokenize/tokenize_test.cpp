// Tokens of English, Chinese and what people put between words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The tokens of one text; `text` is kept whole by JSON.
std::vector<std::string> tokens(const std::string& text, const std::string& params = "") {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", nlohmann::json{{"ts", 1}, {"text", text}}.dump() + "\n");
  folder.write("words.txt", "deep learning\r\n\n上海外滩\n");
  auto run = testing::run_job("job: j\nsteps:\n  e: { op: read_events, path: e.jsonl }\n  t: { op: tokenize, from: e" + std::string(params.empty() ? "" : ", ") +
                                  params + " }\n", folder, "out");
  const auto rows = run.rows("t");
  std::vector<std::string> out;
  for (int64_t i = 0; i < rows.column("tokens").list_size(0); ++i) out.emplace_back(rows.column("tokens").list_string(0, i));
  return out;
}

TEST(Tokenize, WordsAndStopWords) {
  EXPECT_THAT(tokens("The Quick brown FOX, isn't lazy!"), ElementsAre("quick", "brown", "fox", "lazy"));
  EXPECT_THAT(tokens("The Quick", "lowercase: false, stop_words: none"), ElementsAre("The", "Quick"));
  EXPECT_THAT(tokens("quick brown", "extra_stop_words: [BROWN]"), ElementsAre("quick"));
  EXPECT_THAT(tokens("the 的 fox", "language: zh"), ElementsAre("the", "fox"));
  EXPECT_THAT(tokens("the 的 fox", "language: en"), ElementsAre("的", "fox"));
  EXPECT_THAT(tokens("ＡＢＣ　１２", "stop_words: none"), ElementsAre("abc", "12"));
  EXPECT_THAT(tokens("3.14 cats 42", "numbers: drop"), ElementsAre("cats"));
  EXPECT_THAT(tokens("a bb ccc 中", "min_length: 2, stop_words: none"), ElementsAre("bb", "ccc"));
  EXPECT_THAT(tokens(""), ElementsAre());
}

TEST(Tokenize, WordsBetweenSpaces) {
  EXPECT_THAT(tokens(" The  #Cat's\tsat,\r\n[on] 北京大学\n", "split: whitespace"), ElementsAre("#cat's", "sat,", "[on]", "北京大学"));
  EXPECT_THAT(tokens("The CAT, a", "split: whitespace, lowercase: false, stop_words: none, min_length: 2"), ElementsAre("The", "CAT,"));
  EXPECT_THAT(tokens("https://a.b ab", "split: whitespace, ngrams: 2"), ElementsAre("https://a.b", "ab", "https://a.b_ab"));
  EXPECT_THAT(tokens(" \n ", "split: whitespace"), ElementsAre());
}

// Words that nothing changes are taken as they stand; a stop word that does not occur has them read the other way.
TEST(Tokenize, WordsAsTheyStand) {
  const std::string as_they_stand = "split: whitespace, lowercase: false, fold_width: false, stop_words: none";
  EXPECT_THAT(tokens(" The  #Cat's\tＡＢ,\r\n北京大学 The\n", as_they_stand), ElementsAre("The", "#Cat's", "ＡＢ,", "北京大学", "The"));
  EXPECT_THAT(tokens("a b c", as_they_stand + ", max_tokens: 2"), ElementsAre("a", "b"));
  for (const char* text : {"", " ", "\n\t", "one", " one ", "a b  c\td\re", "三 个 词", "x  "})
    for (int most : {1, 2, 3, 512}) {
      const std::string params = as_they_stand + ", max_tokens: " + std::to_string(most);
      EXPECT_EQ(tokens(text, params), tokens(text, params + ", extra_stop_words: [zzz]")) << "'" << text << "', " << most;
    }
}

TEST(Tokenize, Chinese) {
  EXPECT_THAT(tokens("我们在北京大学学习"), ElementsAre("北京", "大学", "学习"));
  EXPECT_THAT(tokens("上海外滩很美", "dictionary_file: words.txt"), ElementsAre("上海外滩", "很美"));
  EXPECT_THAT(tokens("她学Deep Learning吗", "dictionary_file: words.txt"), ElementsAre("学", "deep learning"));
  EXPECT_THAT(tokens("deep learnings", "dictionary_file: words.txt"), ElementsAre("deep", "learnings"));  // no part of a word
}

TEST(Tokenize, WebAddresses) {
  EXPECT_THAT(tokens("see https://a.b/c?d=1, or (www.x.org).", "urls: keep"), ElementsAre("see", "https://a.b/c?d=1", "www.x.org"));
  EXPECT_THAT(tokens("see https://a.b/c now"), ElementsAre("see"));
  EXPECT_THAT(tokens("看https://t.cn/AbC吧", "urls: keep"), ElementsAre("https://t.cn/abc"));
}

TEST(Tokenize, MentionsAndHashtags) {
  EXPECT_THAT(tokens("@ann hi @Bob_2: mail"), ElementsAre("@ann", "hi", "@bob_2", "mail"));
  EXPECT_THAT(tokens("@ann hi", "mentions: drop"), ElementsAre("hi"));
  EXPECT_THAT(tokens("#cats and #dogs!"), ElementsAre("#cats", "#dogs"));
  EXPECT_THAT(tokens("#cats,#dogs"), ElementsAre("#cats", "#dogs"));
  EXPECT_THAT(tokens("#世界 杯#进球了"), ElementsAre("#世界 杯#", "进", "球"));
  EXPECT_THAT(tokens("#big cats# run", "hashtags: words"), ElementsAre("big", "cats", "run"));
  EXPECT_THAT(tokens("#cats run", "hashtags: words"), ElementsAre("cats", "run"));
  EXPECT_THAT(tokens("#cats run", "hashtags: drop"), ElementsAre("run"));
  EXPECT_THAT(tokens("C# is # 1"), ElementsAre("c", "1"));
}

TEST(Tokenize, NamesEndAtEmojiAndPunctuation) {
  EXPECT_THAT(tokens("#happy😀 @ann👍🏽"), ElementsAre("#happy", "😀", "@ann", "👍🏽"));
  EXPECT_THAT(tokens("@小明，你好！#天气。", "fold_width: false, stop_words: none"), ElementsAre("@小明", "你好", "#天气"));
  EXPECT_THAT(tokens("@小明，好天气", "stop_words: none"), ElementsAre("@小明", "好", "天气"));
  EXPECT_THAT(tokens("#été #naïve_1 #한국"), ElementsAre("#été", "#naïve_1", "#한국"));
}

TEST(Tokenize, EmojiAndEmoticons) {
  EXPECT_THAT(tokens("good👍🏽👨‍👩‍👧 ❤️[doge]"), ElementsAre("good", "👍🏽", "👨‍👩‍👧", "❤️", "[doge]"));
  EXPECT_THAT(tokens("good👍[doge]x", "emoji: drop, emoticons: drop"), ElementsAre("good", "x"));
  EXPECT_THAT(tokens("[1] [a b] [笑cry] []"), ElementsAre("1", "b", "[笑cry]"));
}

TEST(Tokenize, NgramsAndCuts) {
  EXPECT_THAT(tokens("red green blue", "ngrams: 3"), ElementsAre("red", "green", "blue", "red_green", "green_blue", "red_green_blue"));
  EXPECT_THAT(tokens("red green blue", "max_tokens: 2"), ElementsAre("red", "green"));
  EXPECT_THAT(tokens("red", "ngrams: 5"), ElementsAre("red"));
}

TEST(Tokenize, NullTextGivesAnEmptyListAndOtherColumnsStay) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 2000; ++i)
    text += i % 3 ? fmt::format("{{\"ts\":{},\"text\":\"word{} 北京 #tag\",\"n\":{}}}\n", i, i, i) : fmt::format("{{\"ts\":{},\"n\":{}}}\n", i, i);
  folder.write("e.jsonl", text);
  auto run = testing::run_on_all_rank_counts("job: j\nsteps:\n  e: { op: read_events, path: e.jsonl }\n  t: { op: tokenize, from: e, into: words, max_tokens: 2 }\n"
                                           "  u: { op: tokenize, from: e, into: words, max_tokens: 2, split: whitespace, lowercase: false, fold_width: false, stop_words: none }\n", folder);
  auto rows = run.rows("t");
  ASSERT_EQ(rows.num_rows(), 2000);
  EXPECT_EQ(rows.column("words").list_size(0), 0);
  EXPECT_TRUE(rows.column("words").is_valid(0));
  EXPECT_FALSE(rows.column("text").is_valid(0));
  EXPECT_EQ(rows.column("words").list_string(1, 0), "word1");
  EXPECT_EQ(rows.column("n").as_int64(1999), 1999);
  EXPECT_EQ(run.steps["t"].nodes["t"]["counters"]["rows_cut"], 1333);
  EXPECT_EQ(run.steps["u"].nodes["u"]["counters"]["rows_cut"], 1333);
  EXPECT_EQ(run.rows("u").column("words").list_size(0), 0);
}

TEST(Tokenize, NeedsATextColumn) {
  auto message = [](const std::string& params) -> std::string {
    try {
      tokens("x", params);
    } catch (const Error& e) {
      return e.text();
    }
    return "accepted";
  };
  EXPECT_THAT(message("column: ts"), HasSubstr("column 'ts' is timestamp; tokenize needs text"));
  EXPECT_THAT(message("column: texd"), HasSubstr("did you mean 'text'?"));
  EXPECT_THAT(message("dictionary_file: none.txt"), HasSubstr("none.txt"));
  EXPECT_THAT(message("dictionary_file: ."), HasSubstr("reading failed"));
}

}  // namespace
}  // namespace throng
