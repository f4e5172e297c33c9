// Vectors of other programs: every form that is read, damage, and that models begin from them.
#include "framework/train/word_vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "framework/data/array_store.h"
#include "framework/data/text_input.h"
#include "framework/train/safetensors.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class WordVectors : public ::testing::Test {
 protected:
  WordVectors() { table_ = parameters_.add("words", 3, 2, nn::Initial::constant(9)); }
  // Rows 1 and 2 are of words; what is left is 9.
  std::vector<float> read(const std::string& content, const std::string& name = "v.txt") {
    folder_.write(name, content);
    return read_file(folder_ / name);
  }
  std::vector<float> read_file(const std::filesystem::path& path) {
    std::vector<float> weights(parameters_.size());
    parameters_.initialize<float>(weights, 1);
    found_ = start_from_word_vectors(path, [](std::string_view word) { return word == "sea" ? 1 : word == "New York" || word == "海" ? 2 : -1; }, table_, weights);
    weights.resize(6);
    return weights;
  }
  std::string error(const std::string& content) {
    const Error error = testing::error_of([&] { read(content); });
    EXPECT_EQ(error.fault(), Fault::kData);
    return error.text();
  }
  testing::TemporaryFolder folder_;
  nn::Parameters parameters_;
  nn::Parameter table_;
  VectorsFound found_;
};

TEST_F(WordVectors, AsWord2vecFastTextAndGloveWriteThem) {
  // word2vec writes a space behind the last number; the first vector of a word counts.
  EXPECT_THAT(read("4 2\nsea 1 -2.5 \nland 3 4 \n海 5e-1 6 \nsea 7 8 \n"), ElementsAre(9, 9, 1, -2.5, 0.5, 6));
  EXPECT_EQ(found_.given, 4);
  EXPECT_EQ(found_.found, 2);
  // GloVe has no first line, and words with spaces inside; other line breaks, no last one.
  EXPECT_THAT(read("land 3 4\r\nNew York 5 6\r\n\r\nsea 1 2"), ElementsAre(9, 9, 1, 2, 5, 6));
  // A word that is a number is no line of counts.
  EXPECT_THAT(read("7 3 4\nsea\t1\t2\n"), ElementsAre(9, 9, 1, 2, 9, 9));
  EXPECT_THAT(read(""), ElementsAre(9, 9, 9, 9, 9, 9));
  std::string large = "100001 2\n";
  for (int i = 0; i < 100000; ++i) large += "word" + std::to_string(i) + " 0.25 -0.125\n";
  EXPECT_THAT(read(large + "sea 1 2\n"), ElementsAre(9, 9, 1, 2, 9, 9));
  EXPECT_EQ(found_.given, 100001);
  data::TextOutput out(folder_ / "v.vec.gz");
  out.write("1 2\nsea 1 2\n");
  out.close();
  EXPECT_THAT(read_file(folder_ / "v.vec.gz"), ElementsAre(9, 9, 1, 2, 9, 9));
}

TEST_F(WordVectors, DamageIsAnError) {
  EXPECT_THAT(error("2 3\nsea 1 2 3\n"), HasSubstr("its vectors have 3 numbers, those of the model 2"));
  EXPECT_THAT(error("sea 1 2 3\n"), HasSubstr("its vectors have 3 numbers, those of the model 2"));
  EXPECT_THAT(error("2 2\nland 1 2\nsea 1 x\n"), HasSubstr("v.txt:3: expected a word and 2 numbers, got 'sea 1 x'"));
  EXPECT_THAT(error("2 2\nland 1 2\n1 2\n"), HasSubstr("v.txt:3: expected a word and 2 numbers, got '1 2'"));
  EXPECT_THAT(error(std::string("2 2\nsea ") + std::string(8, '\0') + "\n"), HasSubstr("binary form must be converted"));
}

TEST_F(WordVectors, ModelsBeginFromThem) {
  std::string events, vectors = "3 2\n";
  for (int user = 0; user < 24; ++user)
    for (int i = 0; i < 8; ++i)
      events += fmt::format(R"({{"user": "u{}", "ts": {}, "action": "{}", "item": "{}", "text": "a b c a"}})", user, 1'700'000'000 + i * 60 + user, "xy"[i % 2], "abc"[(user + i) % 3]) + "\n";
  vectors += "a 0.5 -0.25\nzebra 7 7\nc 3 4\n";
  folder_.write("e.jsonl", events), folder_.write("v.vec", vectors);
  const std::string job = "job: j\nsteps:\n  events: { op: read_events, path: e.jsonl }\n  parts: { op: split, from: events, by: last }\n  tokens: { op: tokenize, from: events, stop_words: none }\n"
                          "  vec: { op: word2vec, from: tokens, dim: 2, epochs: 1, min_count: 1 }\n";
  const std::string still = ", lr: 0, epochs: 1 }\n";
  const auto run = testing::run_job(job + "  lm: { op: language_model, from: tokens, embedding: 2, hidden: 3, batch: 8, vectors: v.vec" + still + "  rec: { op: gru4rec, from: parts, hidden: 2, batch: 8, vectors: v.vec" + still +
                                        "  seq: { op: train_sequence, from: parts, target: action, inputs: [action, item], embedding: 2, hidden: 3, batch: 8, vectors: {item: v.vec}" + still, folder_, "out", {.ranks = 2});
  const std::vector<std::tuple<std::string, std::string>> models{{"lm", "tokens.weight"}, {"rec", "items.weight"}, {"seq", "embedding1.weight"}};
  for (const auto& [step, name] : models) {
    const auto tensors = load_safetensors(engine::RunDirectory(run.folder).state(step) / "model.safetensors");
    const auto& values = tensors.at(name).values;
    size_t a = 0, c = 0;
    for (size_t i = 0; i + 1 < values.size(); i += 2) a += values[i] == 0.5f && values[i + 1] == -0.25f, c += values[i] == 3 && values[i + 1] == 4;
    EXPECT_EQ(a, 1u) << step;
    EXPECT_EQ(c, 1u) << step;
    const auto& result = run.steps.at(step).metrics.at("result").at("vectors");
    EXPECT_EQ(step == "seq" ? result.at("item").at("found") : result.at("found"), 2) << step;
  }
  // What a step of word2vec leaves.
  const std::string left = (engine::RunDirectory(run.folder).state("vec") / "word2vec.h5").string();
  const auto again = testing::run_job(job + "  lm: { op: language_model, from: tokens, embedding: 2, hidden: 3, batch: 8, vectors: \"" + left + "\"" + still, folder_, "again");
  EXPECT_EQ(again.steps.at("lm").metrics.at("result").at("vectors").at("found"), 3);
  for (const std::string bad : {"lm: { op: language_model, from: tokens, vectors: nothing.vec }", "rec: { op: sasrec, from: parts, vectors: nothing.vec }", "seq: { op: train_sequence, from: parts, vectors: {item: nothing.vec} }",
                                "seq: { op: train_sequence, from: parts, vectors: {ts: v.vec} }"})
    EXPECT_EQ(testing::error_of([&] { testing::run_job(job + "  " + bad + "\n", folder_, "bad"); }).fault(), Fault::kJob) << bad;
}

}  // namespace
}  // namespace throng::train
