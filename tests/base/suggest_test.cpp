// "Did you mean": which names are near.
#include "framework/base/suggest.h"

#include <gtest/gtest.h>

namespace throng {
namespace {

const std::vector<std::string> kKnown{"column", "language", "lowercase", "max_tokens"};

TEST(Suggest, FindsTheNearestName) {
  EXPECT_EQ(nearest_name("lowercse", kKnown), "lowercase");   // a letter is missing
  EXPECT_EQ(nearest_name("colunm", kKnown), "column");        // two are swapped
  EXPECT_EQ(nearest_name("max-tokens", kKnown), "max_tokens");
  EXPECT_EQ(nearest_name("languages", kKnown), "language");
  EXPECT_EQ(nearest_name("language", kKnown), "language");
}

TEST(Suggest, SaysNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest_name("epochs", kKnown), "");
  EXPECT_EQ(nearest_name("", kKnown), "");
  EXPECT_EQ(nearest_name("x", {"a", "b"}), "");  // one replaced letter of one is no likeness
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(Suggest, ListsWhatIsKnown) {
  EXPECT_EQ(suggest("lowercse", kKnown), "did you mean 'lowercase'? known: column, language, lowercase, max_tokens");
  EXPECT_EQ(suggest("epochs", kKnown), "known: column, language, lowercase, max_tokens");
}

}  // namespace
}  // namespace throng
