// Strings as codes of a dictionary: the same column comes back, and only where it is much shorter.
#include "framework/data/string_codes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/hash.h"
#include "tests/support/batches.h"

namespace throng::data {
namespace {

// `rows` strings, of `different` ones in no order, each at least `length` bytes long.
Column repeated(int64_t rows, int64_t different, size_t length, bool nulls = false) {
  Column c(Type::kString);
  for (int64_t r = 0; r < rows; ++r) {
    if (nulls && r % 7 == 3) {
      c.append_null();
      continue;
    }
    const int64_t k = int64_t(mix64(uint64_t(r)) % uint64_t(different));
    const std::string s = std::to_string(k);
    c.append_string(s + std::string(length > s.size() ? length - s.size() : 0, char('a' + k % 20)));
  }
  return c;
}

void comes_back(const Column& c, size_t dictionary) {
  const auto coded = encode_strings(c);
  ASSERT_TRUE(coded);
  EXPECT_EQ(coded->lengths.size(), dictionary);
  EXPECT_EQ(coded->codes.size(), size_t(c.size()) * (dictionary > 256 ? 2 : 1));
  const Column back = decode_strings(c.size(), *coded, c.valid());
  EXPECT_EQ(back.content_hash(), c.content_hash());
  EXPECT_EQ(back.bytes(), c.bytes());
  EXPECT_EQ(back.offsets(), c.offsets());
}

TEST(StringCodes, BringBackTheColumn) {
  for (int64_t different : {1, 8, 255, 256, 257, 3000, 6000})
    for (size_t length : {5, 8, 15, 16, 17, 32, 33, 100}) {
      SCOPED_TRACE(::testing::Message() << different << " strings of " << length << " bytes");
      comes_back(repeated(80000, different, length), size_t(different));
    }
  comes_back(repeated(50000, 8, 12, true), 9);  // null is the empty string
}

TEST(StringCodes, TellShortStringsApart) {
  const std::vector<std::string> near{"", "a", "aa", "aaa", "aba", "ab", "ba", "aaaa", "aaab", "aaaaaaaa", "aaaaaaab", "baaaaaaa", "aaaaaaaaa", "浏览", "点击", "购买商品", std::string(1, '\0'),
                                      std::string(2, '\0'), std::string(16, 'x'), std::string(17, 'x'), std::string(18, 'x')};
  Column c(Type::kString);
  for (int64_t r = 0; r < 40000; ++r) c.append_string(near[size_t(r * r + r / 3) % near.size()]);
  comes_back(c, near.size());
  Column empty(Type::kString);
  for (int64_t r = 0; r < 20000; ++r) empty.append_string("");
  comes_back(empty, 1);
}

TEST(StringCodes, AreOnlyMadeWhereTheyPay) {
  EXPECT_FALSE(encode_strings(Column(Type::kString)));
  EXPECT_FALSE(encode_strings(repeated(1000, 8, 10))) << "a small piece";
  EXPECT_FALSE(encode_strings(repeated(100000, 100000, 10))) << "all different";
  EXPECT_FALSE(encode_strings(repeated(140000, 70000, 10))) << "more than 65,536, found by the sample";
  EXPECT_TRUE(encode_strings(repeated(100000, 256, 0))) << "1 of 6.4 bytes";
}

TEST(StringCodes, MoreThan65536StringsStayPlain) {
  // Sorted, so that a sample sees repeats: the limit itself is met.
  for (auto [different, fits] : {std::pair(65536, true), std::pair(65537, false)}) {
    Column c(Type::kString);
    for (int64_t r = 0; r < 4 * different; ++r) c.append_string("a rather long string, number " + std::to_string(100000 + r / 4));
    EXPECT_EQ(encode_strings(c).has_value(), fits) << different;
    if (fits) comes_back(c, size_t(different));
  }
}

TEST(StringCodes, WhatDoesNotFitIsAnError) {
  const Column c = repeated(30000, 8, 10);
  const StringCodes good = *encode_strings(c);
  auto fails = [&](auto damage) {
    StringCodes bad = good;
    damage(bad);
    try {
      decode_strings(c.size(), bad, {});
    } catch (const Error& e) {
      return e.fault() == Fault::kData;
    }
    return false;
  };
  EXPECT_TRUE(fails([](StringCodes& s) { s.codes[29999] = std::byte{8}; }));
  EXPECT_TRUE(fails([](StringCodes& s) { s.lengths[3] += 1; }));
  EXPECT_TRUE(fails([](StringCodes& s) { s.codes.pop_back(); }));
  EXPECT_TRUE(fails([](StringCodes& s) { s.lengths.clear(), s.bytes.clear(); }));
}

}  // namespace
}  // namespace throng::data
