// Weights in memory and in files, and files as memory.
#include "framework/train/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "framework/base/files.h"
#include "framework/data/array_store.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng::train {
namespace {

using ::testing::HasSubstr;

std::vector<float> counted(size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = float(i) / 7;
  return values;
}

TEST(Weights, OfAFileAreThoseThatWereWrittenInParts) {
  testing::TemporaryFolder folder;
  const auto path = folder / "w.h5";
  const std::vector<float> values = counted(10000);
  EXPECT_EQ(WeightsFile::epoch_of(path), 0);
  {
    WeightsFile file(path, values.size());
    file.put(6000, std::span(values).subspan(6000));
    file.put(0, std::span(values).first(6000));
    EXPECT_FALSE(std::filesystem::exists(path)) << "not before it is whole";
    file.finish(3);
  }
  EXPECT_EQ(WeightsFile::epoch_of(path), 3);
  EXPECT_EQ(data::ArrayStore::load(path).floats("weights"), values) << "an HDF5 file like others";
  const Weights weights = Weights::of(path, values.size()), copy = weights;
  EXPECT_EQ(weights, Weights(values));
  EXPECT_EQ(copy.data(), weights.data());
  // Another in its place changes nothing of those that are read.
  { WeightsFile(path, values.size()).finish(4); }
  EXPECT_EQ(weights, Weights(values));
  EXPECT_EQ(WeightsFile::epoch_of(path), 4);
  EXPECT_THAT(testing::error_of([&] { Weights::of(path, 9999); }).text(), HasSubstr("belongs to another model"));
}

TEST(Weights, AFileThatIsNotFinishedLeavesNothing) {
  testing::TemporaryFolder folder;
  { WeightsFile(folder / "w.h5", 100).put(0, counted(100)); }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Weights, ScratchIsZerosToBeWritten) {
  for (size_t n : {size_t{1000}, (size_t{1} << 24) + 5}) {
    Weights weights = Weights::scratch(n);
    ASSERT_EQ(weights.size(), n);
    EXPECT_EQ(weights[0], 0);
    EXPECT_EQ(weights[n - 1], 0);
    weights.change()[n - 1] = 2;
    const Weights copy = weights;
    EXPECT_EQ(copy[n - 1], 2);
  }
}

TEST(MappedFile, BeginsAnywhere) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20000; ++i) text += char('a' + i % 23);
  const std::string path = folder.write("f", text);
  for (size_t at : {size_t{0}, size_t{1}, size_t{4096}, size_t{5001}}) {
    const MappedFile file = MappedFile::of(path, at, 10000);
    ASSERT_EQ(file.bytes().size(), 10000u);
    EXPECT_EQ(std::memcmp(file.bytes().data(), text.data() + at, 10000), 0) << at;
  }
  EXPECT_THAT(testing::error_of([&] { MappedFile::of(path, 15000, 5001); }).text(), HasSubstr("has 20000 bytes; expected 5001 from 15000 on"));
  EXPECT_EQ(testing::error_of([&] { MappedFile::of(folder / "none", 0, 1); }).fault(), Fault::kSystem);
}

}  // namespace
}  // namespace throng::train
