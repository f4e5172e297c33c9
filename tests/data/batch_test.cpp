// Batches: the wire form of every type, and cutting and joining rows.
#include "framework/data/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/every_type.h"

namespace throng::data {
namespace {

using testing::every_type;
using testing::same;

TEST(Batch, SurvivesTheWire) {
  for (bool nulls : {true, false}) {
    Batch batch = every_type().batch(nulls);
    batch.origin = {7, 1234567};
    for (const Batch& b : {batch, batch.slice(1, 3), batch.slice(2, 1), batch.slice(5, 0), Batch::empty(batch.schema())}) {
      Buffer wire;
      b.serialize(wire);
      Batch back = Batch::deserialize(wire, b.schema_ptr());
      EXPECT_TRUE(same(back, b)) << b.num_rows() << " rows";
      EXPECT_EQ(back.origin.partition, b.origin.partition);
      EXPECT_EQ(back.origin.first_row, b.origin.first_row);
    }
  }
}

TEST(Batch, SeveralBlocksOfTheWireAreOneBatch) {
  const Batch with = every_type().batch(true), without = every_type().batch(false);
  const std::vector<Batch> parts{without, with, with.slice(0, 0), without.slice(1, 3), with.slice(2, 1)};
  for (size_t n = 0; n <= parts.size(); ++n) {
    const std::span<const Batch> some(parts.data(), n);
    std::vector<Buffer> blocks(n);
    for (size_t i = 0; i < n; ++i) some[i].serialize(blocks[i]);
    EXPECT_TRUE(same(Batch::deserialize(std::span<const Buffer>(blocks), with.schema_ptr()), Batch::concat(with.schema(), some))) << n << " blocks";
  }
  std::vector<Buffer> cut(2);
  for (Buffer& b : cut) with.serialize(b);
  cut[1].resize(cut[1].size() - 1);
  EXPECT_THROW(Batch::deserialize(std::span<const Buffer>(cut), with.schema_ptr()), Error);
}

TEST(Batch, RowsByTargetAreThoseTaken) {
  for (bool nulls : {true, false})
    for (size_t num_targets : {1, 3, 40})
      for (int64_t copies : {0, 1, 30}) {
        Batch batch = Batch::concat(every_type().schema, std::vector<Batch>(size_t(copies), every_type().batch(nulls)));
        batch.origin = {3, 99};
        std::vector<uint32_t> target;
        std::vector<std::vector<int64_t>> rows(num_targets);
        for (int64_t r = 0; r < batch.num_rows(); ++r) {
          target.push_back(uint32_t(uint64_t(r) * 7 % 11 % num_targets));
          rows[target.back()].push_back(r);
        }
        const auto blocks = batch.serialize_by(target, num_targets);
        ASSERT_EQ(blocks.size(), num_targets);
        for (size_t t = 0; t < num_targets; ++t) {
          Buffer wanted;
          if (!rows[t].empty()) batch.take(rows[t]).serialize(wanted);
          EXPECT_EQ(blocks[t], wanted) << "target " << t << " of " << num_targets;
        }
      }
}

TEST(Batch, ACutWireFormIsADataError) {
  Buffer wire;
  Batch batch = every_type().batch();
  batch.serialize(wire);
  for (size_t n = 0; n < wire.size(); n += 1 + n / 50) {
    try {
      Batch::deserialize(std::span<const std::byte>(wire).first(n), batch.schema_ptr());
      FAIL() << n << " of " << wire.size() << " bytes were taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kData) << e.message();
    }
  }
}

TEST(Batch, SlicesJoinToTheWhole) {
  Batch batch = every_type().batch();
  for (int64_t cut = 0; cut <= batch.num_rows(); ++cut) {
    std::vector<Batch> parts{batch.slice(0, cut), batch.slice(cut, batch.num_rows() - cut)};
    EXPECT_TRUE(same(Batch::concat(batch.schema(), parts), batch)) << cut;
  }
  EXPECT_EQ(Batch::concat(batch.schema(), {}).num_rows(), 0);
  EXPECT_EQ(batch.slice(2, 2).origin.first_row, 2);
  // Nulls in one part only.
  std::vector<Batch> mixed{every_type().batch(false), batch, every_type().batch(false)};
  Batch joined = Batch::concat(batch.schema(), mixed);
  ASSERT_EQ(joined.num_rows(), 15);
  EXPECT_TRUE(same(joined.slice(0, 5), mixed[0]));
  EXPECT_TRUE(same(joined.slice(5, 5), mixed[1]));
  EXPECT_TRUE(same(joined.slice(10, 5), mixed[2]));
}

TEST(Batch, FiltersAndTakes) {
  Batch batch = every_type().batch();
  EXPECT_TRUE(same(batch.filter(std::vector<uint8_t>{0, 1, 1, 0, 0}), batch.slice(1, 2)));
  EXPECT_TRUE(same(batch.filter(std::vector<uint8_t>(5, 1)), batch));
  EXPECT_EQ(batch.filter(std::vector<uint8_t>(5, 0)).num_rows(), 0);
  EXPECT_TRUE(same(batch.take(std::vector<int64_t>{1, 2}), batch.slice(1, 2)));
}

TEST(Batch, ProjectsAndReplacesColumns) {
  Batch batch = every_type().batch();
  Batch some = batch.project({"c6", "c0", "unknown"});
  EXPECT_EQ(some.schema().names(), (std::vector<std::string>{"c0", "c6"}));
  EXPECT_EQ(batch.project({}).num_rows(), 5);
  Batch more = batch.with({"c1", Type::kInt64}, testing::integers({1, 2, 3, 4, 5}));
  EXPECT_EQ(more.num_columns(), batch.num_columns());
  EXPECT_EQ(more.column("c1").as_int64(4), 5);
  EXPECT_EQ(batch.column("c1").type(), Type::kInt32);  // the old one is as it was
  EXPECT_THROW(batch.with({"x", Type::kInt64}, testing::integers({1})), Error);
  try {
    batch.column("c11");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kJob);
    EXPECT_THAT(e.hint(), ::testing::HasSubstr("c1"));
  }
}

TEST(Batch, RowHashesFollowTheNamedColumnsOnly) {
  Batch a(Schema{{"k", Type::kString}, {"v", Type::kInt64}}, {testing::strings({"x", "y", "x"}), testing::integers({1, 2, 3})});
  auto h = a.hash_rows({"k"});
  EXPECT_EQ(h[0], h[2]);
  EXPECT_NE(h[0], h[1]);
  EXPECT_EQ(a.slice(2, 1).hash_rows({"k"})[0], h[0]);
  EXPECT_NE(a.hash_rows({"k", "v"})[0], a.hash_rows({"k", "v"})[2]);
}

}  // namespace
}  // namespace throng::data
