// Named arrays: every kind comes back as it was.
#include "framework/data/array_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "tests/support/batches.h"

namespace throng::data {
namespace {

ArrayStore sample() {
  ArrayStore s;
  s.put("weights", std::vector<float>{1.5f, -0.0f, 1e-40f, std::nanf("")}, {2, 2});
  s.put("gru/input", std::vector<float>{1, 2, 3});
  s.put("gru/hidden.0", std::vector<double>{1e300, -1}, {1, 2, 1});
  s.put("counts", std::vector<int64_t>{INT64_MIN, INT64_MAX, 0});
  s.put("none", std::vector<float>{}, {0, 5});
  s.put_strings("words", {"plain", "", "two\nlines", "back\\slash", "\\n", "中文", "end\\"});
  s.put_strings("nothing", {});
  s.texts["settings"] = "{\"a\":1}";
  s.texts["empty"] = "";
  return s;
}

TEST(ArrayStore, ComesBackAsItWas) {
  testing::TemporaryFolder folder;
  ArrayStore s = sample();
  s.save(folder / "state.h5");
  ArrayStore back = ArrayStore::load(folder / "state.h5");
  EXPECT_EQ(back.content_hash(), s.content_hash());
  EXPECT_EQ(back.arrays.size(), s.arrays.size());
  EXPECT_EQ(back.arrays.at("weights").shape, (std::vector<uint64_t>{2, 2}));
  EXPECT_EQ(back.arrays.at("none").shape, (std::vector<uint64_t>{0, 5}));
  EXPECT_EQ(back.floats("gru/input"), s.floats("gru/input"));
  EXPECT_EQ(back.doubles("gru/hidden.0"), s.doubles("gru/hidden.0"));
  EXPECT_EQ(back.integers("counts"), s.integers("counts"));
  EXPECT_EQ(std::signbit(back.floats("weights")[1]), true);
  EXPECT_EQ(back.strings("words"), s.strings("words"));
  EXPECT_EQ(back.strings("words")[2], "two\nlines");
  EXPECT_TRUE(back.strings("nothing").empty());
  EXPECT_EQ(back.texts, s.texts);
}

TEST(ArrayStore, HashSeesNamesShapesAndValues) {
  const std::string hash = sample().content_hash();
  auto changed = [&](auto change) {
    ArrayStore s = sample();
    change(s);
    return s.content_hash() != hash;
  };
  EXPECT_FALSE(changed([](ArrayStore&) {}));
  EXPECT_TRUE(changed([](ArrayStore& s) { s.put("gru/input", std::vector<float>{1, 2, 4}); }));
  EXPECT_TRUE(changed([](ArrayStore& s) { s.arrays.at("weights").shape = {4}; }));
  EXPECT_TRUE(changed([](ArrayStore& s) { s.put("gru/input", std::vector<double>{1, 2, 3}); }));
  EXPECT_TRUE(changed([](ArrayStore& s) { s.texts["settings"] += " "; }));
  EXPECT_TRUE(changed([](ArrayStore& s) { s.arrays.erase("counts"); }));
}

TEST(ArrayStore, MissingAndIllTypedArraysAreDataErrors) {
  ArrayStore s = sample();
  for (auto read : std::vector<std::function<void()>>{[&] { s.floats("none such"); }, [&] { s.floats("counts"); }, [&] { s.doubles("weights"); },
                                                      [&] { s.strings("none such"); }}) {
    try {
      read();
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kData);
    }
  }
  EXPECT_THROW(s.put("bad", std::vector<float>{1, 2}, {3}), Error);
}

TEST(ArrayStore, SavingReplacesAtOnce) {
  testing::TemporaryFolder folder;
  sample().save(folder / "state.h5");
  ArrayStore small;
  small.put("one", std::vector<float>{1});
  small.save(folder / "state.h5");
  EXPECT_EQ(ArrayStore::load(folder / "state.h5").arrays.size(), 1u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()), 1);
  std::string bytes = read_file(folder / "state.h5");
  folder.write("cut.h5", bytes.substr(0, bytes.size() / 2));
  folder.write("text.h5", "not HDF5");
  for (const char* bad : {"cut.h5", "text.h5", "none.h5"}) {
    try {
      ArrayStore::load(folder / bad);
      FAIL() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kData) << bad;
    }
  }
}

}  // namespace
}  // namespace throng::data
