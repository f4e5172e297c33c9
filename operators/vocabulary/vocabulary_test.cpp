// vocabulary: numbers and counts of words against a plain loop; held-out rows do not add to them.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "tests/support/batches.h"

namespace throng {
namespace {

constexpr int64_t kCut = 1'700'000'000 + 250 * 60;

std::vector<std::vector<std::string>> made_up(int n) {
  std::vector<std::vector<std::string>> rows(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    Random random(41, uint64_t(i));
    for (uint32_t k = random.below(9); k > 0; --k) rows[size_t(i)].push_back(fmt::format("w{}", random.below(random.below(60) + 1)));
  }
  return rows;
}

std::string lines(const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i)
    text += fmt::format("{{\"user\":\"u{}\",\"ts\":{},\"action\":\"post\",\"text\":{}}}\n", i % 7, 1'700'000'000 + int64_t(i) * 60, rows[i].empty() ? "null" : fmt::format("\"{}\"", fmt::join(rows[i], " ")));
  return text;
}

const std::string kJob = "job: j\nsteps:\n  events: { op: read_events, path: events.jsonl, partitions: 5 }\n  split: { op: split, from: events, at: \"" + std::to_string(kCut) +
                         "\" }\n  tokens: { op: tokenize, from: split }\n  words: { op: vocabulary, from: tokens, min_count: 3, max_size: 40 }\n";

TEST(VocabularyOperator, EqualsAPlainLoop) {
  testing::TemporaryFolder folder;
  auto rows = made_up(400);
  folder.write("events.jsonl", lines(rows));
  auto run = testing::run_on_all_rank_counts(kJob, folder);
  std::map<std::string, std::pair<int64_t, int64_t>> counts;
  for (size_t i = 0; i < 250; ++i) {
    for (const auto& w : rows[i]) ++counts[w].first;
    for (const auto& w : std::set<std::string>(rows[i].begin(), rows[i].end())) ++counts[w].second;
  }
  std::vector<std::string> words;
  for (const auto& [w, c] : counts)
    if (c.first >= 3) words.push_back(w);
  std::stable_sort(words.begin(), words.end(), [&](const auto& a, const auto& b) { return counts[a].first > counts[b].first; });
  ASSERT_GT(words.size(), 40u);
  words.resize(40);
  auto table = run.rows("words", "words");
  ASSERT_EQ(table.num_rows(), 40);
  for (int64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(table.column("word").string(i), words[size_t(i)]);
    EXPECT_EQ(table.column("count").as_int64(i), counts[words[size_t(i)]].first);
    EXPECT_EQ(table.column("rows").as_int64(i), counts[words[size_t(i)]].second);
  }
  auto got = run.rows("words");
  ASSERT_EQ(got.num_rows(), 400);
  for (int64_t r = 0; r < 400; ++r) {
    std::vector<int32_t> expected;
    for (const auto& w : rows[size_t(r)])
      if (auto it = std::find(words.begin(), words.end(), w); it != words.end()) expected.push_back(int32_t(it - words.begin()));
    auto ids = got.column("token_ids").list<int32_t>(r);
    EXPECT_EQ(std::vector<int32_t>(ids.begin(), ids.end()), expected) << r;
  }
}

TEST(VocabularyOperator, HeldOutRowsAddNothing) {
  testing::TemporaryFolder folder;
  auto rows = made_up(400);
  auto state = [&](const std::string& out) {
    folder.write("events.jsonl", lines(rows));
    auto run = testing::run_job(kJob, folder, out, {2, 1});
    return data::ArrayStore::load(engine::RunDirectory(run.folder).state("words") / "vocabulary.h5").content_hash();
  };
  auto before = state("before");
  for (size_t i = 250; i < 400; ++i) rows[i] = {"other", "other", "w59", "w59"};
  EXPECT_EQ(before, state("after"));
  rows[0].push_back("w1");
  EXPECT_NE(before, state("changed"));
}

}  // namespace
}  // namespace throng
