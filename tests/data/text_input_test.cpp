// Text windows over plain, gzip and zstd files: any window shows the same text, and damage is an error.
#include "framework/data/text_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "framework/base/random.h"
#include "tests/support/batches.h"

namespace throng::data {
namespace {
using ::testing::HasSubstr;

std::string sample_text(size_t n, bool repetitive) {
  std::string text;
  Random random(1, repetitive);
  while (text.size() < n) text += repetitive ? "the same line again and again\n" : fmt::format("{} {}\n", random.next64(), random.next());
  return text.substr(0, n);
}

std::string write_text(const std::filesystem::path& path, std::string_view text, size_t piece = 1 << 16) {
  TextOutput out(path);
  for (size_t at = 0; at < text.size(); at += piece) out.write(text.substr(at, piece));
  out.close();
  return path.string();
}

std::string read_through(const std::string& path, size_t step) {
  TextWindow window(path, 0);
  std::string all;
  for (uint64_t at = 0;;) {
    bool more = window.ensure(at + step);
    all += window.from(at).substr(0, step);
    at = std::min<uint64_t>(at + step, window.end());
    window.discard_before(at);
    if (!more) break;
  }
  return all;
}

TEST(TextInput, EveryFormHoldsTheSameText) {
  testing::TemporaryFolder folder;
  for (bool repetitive : {true, false})
    for (size_t n : {size_t{0}, size_t{1}, size_t{1} << 18, (size_t{1} << 18) + 1, size_t{1'500'000}}) {
      std::string text = sample_text(n, repetitive);
      for (const char* name : {"t", "t.gz", "t.zst"}) {
        std::string path = write_text(folder / name, text);
        for (size_t step : {size_t{4096}, size_t{100'000}, size_t{1} << 22}) EXPECT_TRUE(read_through(path, step) == text) << name << " of " << n;
      }
    }
}

TEST(TextInput, WindowsBeginAnywhere) {
  testing::TemporaryFolder folder;
  std::string text = sample_text(1'000'000, false);
  for (const char* name : {"t", "t.gz", "t.zst"}) {
    std::string path = write_text(folder / name, text);
    for (uint64_t offset : {uint64_t{0}, uint64_t{1}, uint64_t{262'144}, uint64_t{700'001}, uint64_t{999'999}, uint64_t{1'000'000}}) {
      TextWindow window(path, offset);
      EXPECT_EQ(window.ensure(offset + 50), offset + 50 <= text.size());
      EXPECT_EQ(window.from(offset).substr(0, 50), text.substr(offset, 50)) << name << " at " << offset;
      window.discard_before(offset + 20);
      window.discard_before(offset);  // was given up already
      if (offset + 50 <= text.size()) {
        EXPECT_EQ(window.from(offset + 20).substr(0, 30), text.substr(offset + 20, 30));
      }
    }
  }
}

TEST(TextInput, FramesFollowEachOther) {
  testing::TemporaryFolder folder;
  for (const char* ending : {".gz", ".zst"}) {
    std::string joined, text;
    for (size_t n : {size_t{3}, size_t{0}, size_t{300'000}, size_t{5}}) {
      std::string part = sample_text(n, n > 100);
      joined += read_file(write_text(folder / (std::string("one") + ending), part));
      text += part;
    }
    std::string path = folder.write(std::string("all") + ending, joined);
    EXPECT_TRUE(read_through(path, 10'000) == text) << ending;
  }
}

TEST(TextInput, TruncationAndDamageAreDataErrors) {
  testing::TemporaryFolder folder;
  std::string text = sample_text(600'000, false);
  for (const char* ending : {".gz", ".zst"}) {
    std::string whole = read_file(write_text(folder / (std::string("w") + ending), text));
    for (size_t n : {size_t{11}, whole.size() / 2, whole.size() - 1}) {
      std::string path = folder.write(std::string("cut") + ending, whole.substr(0, n));
      try {
        read_through(path, 100'000);
        FAIL() << ending << " cut at " << n;
      } catch (const Error& e) {
        EXPECT_EQ(e.fault(), Fault::kData);
        EXPECT_THAT(e.message(), HasSubstr(path));
        EXPECT_THAT(e.message(), HasSubstr("ends in the middle"));
        EXPECT_THAT(e.hint(), HasSubstr("cut short"));
      }
    }
    std::string damaged = whole;
    for (size_t i = 0; i < 40; ++i) damaged[damaged.size() / 2 + i] = char(0x5a ^ damaged[damaged.size() / 2 + i]);
    std::string path = folder.write(std::string("damaged") + ending, damaged);
    try {
      EXPECT_TRUE(read_through(path, 100'000) == text) << ending;
      FAIL() << "damage was not seen";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kData) << ending;
      EXPECT_THAT(e.message(), HasSubstr(path));
    }
  }
  EXPECT_THROW(TextWindow(folder / "none", 0), Error);
}

}  // namespace
}  // namespace throng::data
