// Whole runs: keyed steps on any ranks and memory, what is skipped, saved and kept aside.
#include "framework/engine/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/files.h"
#include "framework/graph/registry.h"
#include "tests/support/every_type.h"

namespace throng {
namespace {
using ::testing::HasSubstr;
using testing::JobSettings;

// Numbers the rows of each user in time order; keyed by one column, so that it goes through the exchange.
struct NumberRows {
  std::vector<std::string> key{"user"}, order{"ts"};
  static constexpr auto kOp = "test_number_rows";
  static constexpr auto kSummary = "for tests: numbers the rows of a key";
  static auto fields() { return graph::fields(graph::field("key", &NumberRows::key, "key"), graph::field("order", &NumberRows::order, "order")); }
};
class NumberRowsOperator : public graph::KeyedOperator {
 public:
  explicit NumberRowsOperator(NumberRows p) : p_(std::move(p)) {}
  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    data::Schema s = inputs[0];
    s.set({"number", data::Type::kInt64});
    return s;
  }
  graph::Names key() const override { return p_.key; }
  graph::Names order() const override { return p_.order; }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override {
    data::Column numbers(data::Type::kInt64);
    for (size_t g = 0; g + 1 < starts.size(); ++g)
      for (int64_t r = starts[g]; r < starts[g + 1]; ++r) numbers.append(r - starts[g]);
    return rows.with({"number", data::Type::kInt64}, std::move(numbers));
  }

 private:
  NumberRows p_;
};

void register_once() {
  static bool done = (graph::registry().add<NumberRows, NumberRowsOperator>(), true);
  (void)done;
}

std::string events(int n, int users = 37) {
  std::string text;
  for (int i = 0; i < n; ++i) {
    std::string user = i % 101 == 0 ? "null" : fmt::format("\"u{}\"", i * 7919 % users);
    text += fmt::format("{{\"user\":{},\"ts\":{},\"text\":\"{}\",\"n\":{}}}\n", user, 1700000000 + i * 31 % 1009, std::string(size_t(i % 200), 'x'), i);
  }
  return text;
}

const std::string kEvents = "job: j\nsteps:\n  e: { op: read_events, path: e.jsonl }\n";

TEST(Run, KeyedRowsComeTogetherInOrder) {
  register_once();
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(5000));
  const std::string yaml = kEvents + "  k: { op: test_number_rows, from: e }\n";
  auto run = testing::run_on_all_rank_counts(yaml, folder);
  auto rows = run.rows("k");
  ASSERT_EQ(rows.num_rows(), 5000);
  std::set<std::string> seen;
  for (int64_t r = 0; r < rows.num_rows(); ++r) {
    const auto &user = rows.column("user"), &ts = rows.column("ts"), &n = rows.column("n");
    std::string name = user.is_valid(r) ? std::string(user.string(r)) : "(null)";
    if (rows.column("number").as_int64(r) == 0) {
      EXPECT_TRUE(seen.insert(name).second) << name << " comes in two groups";
      continue;
    }
    ASSERT_EQ(data::Column::compare(user, r - 1, user, r), 0);
    ASSERT_LE(ts.as_int64(r - 1), ts.as_int64(r));
    if (ts.as_int64(r - 1) == ts.as_int64(r)) {
      ASSERT_LT(n.as_int64(r - 1), n.as_int64(r)) << "ties keep the input's order";
    }
  }
  EXPECT_EQ(seen.size(), 38u);
}

TEST(Run, StepsThatAskForTheSameOrderShareOneShuffle) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(3000));
  auto run = testing::run_on_all_rank_counts(kEvents + R"(  a: { op: transitions, from: e, by: user, value: text }
  b: { op: transitions, from: e, by: user, value: n, within: 1h }
  c: { op: transitions, from: e, by: n, value: text }
)", folder);
  EXPECT_TRUE(std::filesystem::exists(run.folder / "steps/a.by_user"));
  EXPECT_FALSE(std::filesystem::exists(run.folder / "steps/b.by_user"));
  EXPECT_TRUE(std::filesystem::exists(run.folder / "steps/c.by_n"));
  EXPECT_GT(run.rows("a").num_rows(), 0);
  EXPECT_GT(run.rows("b").num_rows(), 0);
}

TEST(Run, MemoryAndThreadsChangeNothing) {
  register_once();
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(40000, 500));
  const std::string yaml = kEvents + "  a: { op: test_number_rows, from: e }\n  f: { op: filter, from: a, where: \"number < 60\" }\n" +
                           "  b: { op: test_number_rows, from: f, key: [number], order: [n] }\n";
  auto plenty = testing::run_job(yaml, folder, "plenty");
  EXPECT_EQ(plenty.steps["b"].bytes_spilled, 0u);
  int number = 0;
  for (JobSettings s : {JobSettings{1, 3, 1 << 20}, JobSettings{3, 1, 1 << 20}, JobSettings{2, 2, 200'000}}) {
    auto tight = testing::run_job(yaml, folder, "tight" + std::to_string(++number), s);
    EXPECT_GT(tight.steps["b"].bytes_spilled, 0u) << s.ranks << " ranks";
    EXPECT_EQ(tight.steps["b"].content_hash, plenty.steps["b"].content_hash) << s.ranks << " ranks";
  }
}

TEST(Run, NullsSurviveManyBatchesOfAPartition) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 40000; ++i) text += i % 3 && i < 20000 ? fmt::format("{{\"ts\":{},\"v\":null}}\n", i) : fmt::format("{{\"ts\":{},\"v\":{}}}\n", i, i);
  folder.write("e.jsonl", text);
  auto rows = testing::run_job(kEvents.substr(0, kEvents.size() - 3) + ", partitions: 1 }\n", folder, "out").rows("e");
  ASSERT_EQ(rows.num_rows(), 40000);
  for (int64_t r = 0; r < 40000; ++r) ASSERT_EQ(rows.column("v").is_valid(r), !(r % 3 && r < 20000)) << r;
}

TEST(Run, SavedOutputsAreThereAlsoWhenTheStepWasSkipped) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(100));
  const std::string steps = kEvents + "  f: { op: filter, from: e, where: \"n >= 50\" }\n";
  testing::run_job(steps, folder, "out");
  auto run = testing::run_job(steps + "save: { f: results/f }\n", folder, "out");
  ASSERT_TRUE(data::DatasetReader::exists(folder / "out/results/f")) << "saved although unchanged";
  EXPECT_TRUE(testing::same(data::DatasetReader(folder / "out/results/f").read_all(), run.rows("f")));
  std::filesystem::remove_all(folder / "out/results");
  testing::run_job(steps + "save: { f: results/f }\n", folder, "out");
  EXPECT_TRUE(data::DatasetReader::exists(folder / "out/results/f")) << "saved again after it was removed";
}

// What a step reads beside its inputs is part of what it is: with other content it is done again, and what comes behind it.
TEST(Run, AStepWhoseFileHasChangedIsDoneAgain) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", R"({"user":"a","ts":1,"text":"blue sky thinking"})");
  folder.write("words.txt", "blue sky\n");
  const std::string yaml =
      "job: j\nsteps:\n  e: { op: read_events, path: e.jsonl }\n  t: { op: tokenize, from: e, dictionary_file: words.txt }\n  w: { op: explode, from: t, column: tokens }\n  c: { op: aggregate, from: w, by: [tokens], aggregates: { n: count() } }\n";
  std::map<std::string, bool> skipped;
  testing::JobSettings settings;
  settings.progress = [&](const engine::Progress& p) {
    if (p.finished) skipped[p.step] = p.skipped;
  };
  testing::run_job(yaml, folder, "out", settings);
  const auto same = testing::run_job(yaml, folder, "out", settings);
  EXPECT_TRUE(skipped.at("c"));
  folder.write("words.txt", "sky thinking\n");
  const auto other = testing::run_job(yaml, folder, "out", settings);
  EXPECT_FALSE(skipped.at("c"));
  EXPECT_NE(same.steps.at("c").key, other.steps.at("c").key);
}

TEST(Run, SavingAnOutputThatIsNoneIsAFault) {
  testing::TemporaryFolder folder;
  folder.write("e.jsonl", events(10));
  try {
    testing::run_job(kEvents + "save: { e.words: results }\n", folder, "out");
    FAIL() << "nothing was saved, and nobody said so";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kJob);
    EXPECT_THAT(e.text(), HasSubstr("step 'e' has no output named 'words'"));
  }
}

TEST(Run, QuarantineHoldsTheRowsOfThisRunOnly) {
  testing::TemporaryFolder folder;
  auto kept = [&](const std::string& events) {
    folder.write("e.jsonl", events);
    testing::run_job(kEvents.substr(0, kEvents.size() - 3) + ", partitions: 16, on_bad_row: quarantine }\n  f: { op: filter, from: e, where: \"n >= 0\" }\n", folder, "out");
    std::string text;
    for (const auto& file : expand_glob(folder / "out/steps/e/state/quarantine-*")) text += read_file(file);
    return std::count(text.begin(), text.end(), '\n');
  };
  EXPECT_EQ(kept("rotten\n" + events(2000) + "rotten too\n"), 2);
  EXPECT_EQ(kept("rotten\n" + events(2000)), 1);
  EXPECT_EQ(kept(events(2000)), 0);
}

TEST(Run, ErrorsNameTheStepAndTheRow) {
  testing::TemporaryFolder folder;
  // One row alone is at fault, so that every number of ranks meets the same error.
  folder.write("e.jsonl", events(2000) + "{\"user\":\"u\",\"ts\":1700000000,\"text\":\"\",\"n\":4611686018427387904}\n" + events(1000));
  for (int ranks : {1, 3}) {
    try {
      testing::run_job(kEvents + "  d: { op: derive, from: e, columns: { m: \"n * 2\" } }\n", folder, "out" + std::to_string(ranks), {ranks, 1});
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kData);
      EXPECT_THAT(e.message(), HasSubstr("step 'd' (derive): expression `n * 2`: 4611686018427387904 * 2 does not fit"));
    }
  }
}

}  // namespace
}  // namespace throng
