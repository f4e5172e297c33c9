// Hot keys from summaries of pieces: which are found, how well they are counted, and that merging follows its rule.
#include "framework/engine/heavy_hitters.h"

#include <gtest/gtest.h>

#include "framework/base/random.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

using engine::HeavyHitters;

data::Batch rows_of(const std::vector<std::string>& users) {
  auto schema = std::make_shared<data::Schema>();
  schema->add({"user", data::Type::kString});
  return data::Batch(std::move(schema), {std::make_shared<data::Column>(testing::strings(users))});
}

HeavyHitters summary(const std::vector<std::string>& users, uint64_t seed = 1) {
  const auto rows = rows_of(users);
  const auto hashes = rows.hash_rows({"user"});
  return HeavyHitters(rows, {"user"}, hashes, seed);
}

std::vector<std::string> skewed(int n, uint64_t seed) {  // hot: 30 %, warm: 8 %, the rest alone
  Random random(seed, 0, 0);
  std::vector<std::string> users;
  for (int i = 0; i < n; ++i) {
    const uint64_t x = random.below(100);
    users.push_back(x < 30 ? "hot" : x < 38 ? "warm" : "u" + std::to_string(random.below(1'000'000)));
  }
  return users;
}

TEST(HeavyHitters, SmallPiecesAreCountedRowByRow) {
  const auto keys = summary({"a", "b", "a", "c", "a", "b", "d"}).keys();
  ASSERT_EQ(keys.size(), 2u) << "one row is no repetition";
  EXPECT_EQ(keys[0].text, R"({"user":"a"})");
  EXPECT_EQ(keys[0].rows, 3);
  EXPECT_EQ(keys[1].rows, 2);
  EXPECT_TRUE(summary({}).keys().empty());
}

TEST(HeavyHitters, LargePiecesAreCountedByASample) {
  HeavyHitters all;
  for (uint64_t piece = 0; piece < 50; ++piece) all.merge(summary(skewed(50'000, piece), piece));
  EXPECT_EQ(all.num_rows(), 50 * 50'000);
  const auto keys = all.keys();
  ASSERT_GE(keys.size(), 2u);
  EXPECT_EQ(keys[0].text, R"({"user":"hot"})");
  EXPECT_NEAR(double(keys[0].rows) / double(all.num_rows()), 0.30, 0.01);
  EXPECT_EQ(keys[1].text, R"({"user":"warm"})");
  EXPECT_NEAR(double(keys[1].rows) / double(all.num_rows()), 0.08, 0.01);
  for (size_t k = 2; k < keys.size(); ++k) EXPECT_LT(keys[k].rows, all.num_rows() / 100) << keys[k].text;
}

// A user that comes at every 64th row must be neither all of the sample nor none of it.
TEST(HeavyHitters, ASampleHasNoRhythm) {
  std::vector<std::string> users;
  for (int i = 0; i < 65'536; ++i) users.push_back(i % 16 == 0 ? "beat" : "u" + std::to_string(i));
  const auto keys = summary(users).keys();
  ASSERT_EQ(keys.size(), 1u);
  EXPECT_NEAR(double(keys[0].rows), 4096, 1200);
}

TEST(HeavyHitters, MergingKeepsWhatHasMoreThanItsShare) {
  HeavyHitters all;
  int64_t hot = 0, rows = 0;
  for (int piece = 0; piece < 200; ++piece) {  // each piece has 24 keys of its own beside the hot one: more than there are counters
    std::vector<std::string> users;
    for (int i = 0; i < 480; ++i) users.push_back(fmt::format("p{}k{}", piece, i % 24));
    for (int i = 0; i < 100; ++i) users.push_back("hot");
    hot += 100, rows += int64_t(users.size());
    all.merge(summary(users, uint64_t(piece)));
    EXPECT_LE(all.keys().size(), HeavyHitters::kCounters);
  }
  EXPECT_EQ(all.num_rows(), rows);
  EXPECT_EQ(all.keys().at(0).text, R"({"user":"hot"})");
  EXPECT_LE(all.keys().at(0).rows, hot);
  EXPECT_GE(all.keys().at(0).rows, hot - rows / int64_t(HeavyHitters::kCounters + 1)) << "the bound of Misra and Gries";
}

TEST(HeavyHitters, TravelsAsJson) {
  const auto one = summary(skewed(20'000, 3));
  EXPECT_EQ(HeavyHitters::from_json(one.to_json()).to_json(), one.to_json());
}

}  // namespace
}  // namespace throng
