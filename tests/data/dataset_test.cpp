// Datasets: one content whatever number of ranks wrote it, and clear errors for damage.
#include "framework/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/base/files.h"
#include "framework/comm/threads_backend.h"
#include "tests/support/errors.h"
#include "tests/support/every_type.h"

namespace throng::data {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::error_of;
using testing::every_type;
using testing::same;

// Partition p of the test dataset: some are empty, nulls are in partition 4 only.
Batch partition_rows(int64_t p) {
  if (p % 3 == 1 && p != 4) return Batch::empty(every_type().schema);
  return every_type().batch(p == 4).slice(p % 2, 5 - p % 2);
}

constexpr int64_t kPartitions = 8;

Manifest write_dataset(const fs::path& folder, int ranks, bool write_empty = true, int64_t partitions = kPartitions) {
  Manifest result;
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    DatasetWriter writer(folder, every_type().schema, comm);
    for (int64_t p = first_partition(comm.rank(), ranks, partitions); p < first_partition(comm.rank() + 1, ranks, partitions); ++p)
      if (Batch b = partition_rows(p); write_empty || b.num_rows() > 0) writer.write(p, b);
    Manifest m = writer.commit(partitions, "key");
    if (comm.rank() == 0) result = m;
  });
  return result;
}

TEST(Dataset, HoldsTheSameContentHoweverManyRanksWroteIt) {
  testing::TemporaryFolder folder;
  std::string hash;
  for (int ranks : {1, 2, 3, 5, 8, 11})
    for (bool write_empty : {true, false}) {
      Manifest m = write_dataset(folder / "d", ranks, write_empty);
      if (hash.empty()) hash = m.content_hash();
      EXPECT_EQ(m.content_hash(), hash) << ranks << " ranks";
      DatasetReader reader(folder / "d");
      EXPECT_EQ(reader.manifest().content_hash(), hash);
      EXPECT_EQ(reader.manifest().step_key, "key");
      ASSERT_EQ(reader.num_partitions(), kPartitions);
      std::vector<Batch> parts;
      for (int64_t p = 0; p < kPartitions; ++p) {
        parts.push_back(partition_rows(p));
        EXPECT_TRUE(same(reader.read(p), parts.back())) << "partition " << p << " of " << ranks << " ranks";
      }
      EXPECT_TRUE(same(reader.read_all(), Batch::concat(every_type().schema, parts)));
      EXPECT_EQ(reader.manifest().num_rows(), reader.read_all().num_rows());
    }
}

TEST(Dataset, ReadsNamedColumnsOnly) {
  testing::TemporaryFolder folder;
  write_dataset(folder / "d", 2);
  DatasetReader reader(folder / "d");
  EXPECT_EQ(reader.read(4, {"c9", "c2"}).schema().names(), (std::vector<std::string>{"c2", "c9"}));
  EXPECT_TRUE(same(reader.read_all({"c6"}), reader.read_all().project({"c6"})));
}

TEST(Dataset, MayBeEmpty) {
  testing::TemporaryFolder folder;
  for (int ranks : {1, 3}) {
    comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
      DatasetWriter writer(folder / "d", every_type().schema, comm);
      if (comm.rank() == 0) writer.write(1, Batch::empty(every_type().schema));
      writer.commit(4, "");
    });
    DatasetReader reader(folder / "d");
    EXPECT_EQ(reader.num_partitions(), 4);
    EXPECT_TRUE(same(reader.read_all(), Batch::empty(every_type().schema)));
  }
}

TEST(Dataset, IsReplacedWhole) {
  testing::TemporaryFolder folder;
  write_dataset(folder / "d", 3);
  write_dataset(folder / "d", 1, true, 1);
  EXPECT_TRUE(same(DatasetReader(folder / "d").read_all(), partition_rows(0)));
  int parts = 0;
  for (const auto& entry : fs::directory_iterator(folder / "d")) parts += entry.path().filename().string().starts_with("part-");
  EXPECT_EQ(parts, 1) << "part files of the old dataset are left";
}

TEST(Dataset, WithoutAManifestItDoesNotExist) {
  testing::TemporaryFolder folder;
  write_dataset(folder / "d", 2);
  fs::remove(folder / "d/manifest.json");
  EXPECT_FALSE(DatasetReader::exists(folder / "d"));
  Error e = error_of([&] { DatasetReader reader(folder / "d"); });
  EXPECT_EQ(e.fault(), Fault::kData);
  EXPECT_THAT(e.text(), HasSubstr("no manifest.json"));
  EXPECT_THAT(error_of([&] { DatasetReader reader(folder / "none"); }).text(), HasSubstr("no such dataset"));
}

TEST(Dataset, DamageIsFoundAndNamed) {
  testing::TemporaryFolder folder;
  write_dataset(folder / "d", 1);
  fs::path part = folder / "d/part-00000.h5";
  std::string bytes = read_file(part);
  // A float64 of row 0 as it lies in the file; one bit of it changes.
  double value = partition_rows(0).column("c4").values<double>()[0];
  size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&value), sizeof value));
  ASSERT_NE(at, std::string::npos);
  bytes[at] ^= 1;
  std::ofstream(part, std::ios::binary) << bytes;
  DatasetReader reader(folder / "d");
  Error e = error_of([&] { reader.read(0); });
  EXPECT_EQ(e.fault(), Fault::kData);
  EXPECT_THAT(e.message(), HasSubstr("checksum"));
  EXPECT_THAT(e.message(), HasSubstr("part-00000.h5"));
  EXPECT_THAT(e.message(), HasSubstr("'c4'"));
  EXPECT_EQ(reader.read(0, {"c3"}).num_rows(), 5);  // other columns are whole

  std::ofstream(part, std::ios::binary) << bytes.substr(0, bytes.size() / 2);
  EXPECT_EQ(error_of([&] { DatasetReader(folder / "d").read(0); }).fault(), Fault::kData);
  fs::remove(part);
  EXPECT_THAT(error_of([&] { DatasetReader(folder / "d").read(0); }).message(), HasSubstr("missing"));
  std::string manifest = read_file(folder / "d/manifest.json");
  folder.write("d/manifest.json", manifest.substr(0, 100));
  EXPECT_THAT(error_of([&] { DatasetReader(folder / "d"); }).message(), HasSubstr("damaged manifest"));
  size_t rows = manifest.find("\"rows\":5");
  ASSERT_NE(rows, std::string::npos);
  folder.write("d/manifest.json", manifest.replace(rows, 8, "\"rows\":6"));
  EXPECT_THAT(error_of([&] { DatasetReader(folder / "d"); }).message(), HasSubstr("content_hash"));
}

TEST(Dataset, ColumnNamesMayHoldAnything) {
  testing::TemporaryFolder folder;
  Schema schema{{"km/h", Type::kFloat64}, {"km", Type::kInt64}, {"km.valid", Type::kInt64}, {"a b", Type::kString}, {"价格%", Type::kInt64},
                {"..", Type::kInt64},     {".", Type::kString}, {"x", Type::kString},        {"x/bytes", Type::kInt64}};
  Column with_null = testing::integers({1, 2});
  with_null.set_null(0);
  Batch batch(schema, {testing::doubles({1.5, 2}), with_null, testing::integers({3, 4}), testing::strings({"p", "q"}), testing::integers({5, 6}),
                       testing::integers({7, 8}), testing::strings({"r", ""}), testing::strings({"s", "t"}), testing::integers({9, 10})});
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    DatasetWriter writer(folder / "d", schema, comm);
    writer.write(0, batch);
    writer.commit(1, "");
  });
  EXPECT_TRUE(same(DatasetReader(folder / "d").read_all(), batch));
}

TEST(Dataset, CopiesAreWholeAndOverwriteOnlyDatasets) {
  testing::TemporaryFolder folder;
  write_dataset(folder / "d", 2);
  copy_dataset(folder / "d", folder / "out/copy");
  copy_dataset(folder / "d", folder / "out/copy");
  EXPECT_TRUE(same(DatasetReader(folder / "out/copy").read_all(), DatasetReader(folder / "d").read_all()));
  copy_dataset(folder / "d", folder.path() / "slash1/");
  EXPECT_TRUE(same(DatasetReader(folder / "slash1").read_all(), DatasetReader(folder / "d").read_all()));
  copy_dataset(folder / "d", folder.path() / "slash1/");
  EXPECT_TRUE(DatasetReader::exists(folder / "slash1"));
  folder.write("mine/thesis.txt", "years of work");
  Error e = error_of([&] { copy_dataset(folder / "d", folder / "mine"); });
  EXPECT_EQ(e.fault(), Fault::kJob);
  EXPECT_EQ(read_file(folder / "mine/thesis.txt"), "years of work");
  EXPECT_FALSE(fs::exists(folder / "mine.partial"));
}

}  // namespace
}  // namespace throng::data
