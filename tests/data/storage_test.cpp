// How datasets lie on disk: chunks by size. What they hold never depends on it.
#include <gtest/gtest.h>

#include "framework/comm/threads_backend.h"
#include "framework/data/dataset.h"
#include "tests/support/every_type.h"

namespace throng::data {
namespace {
namespace fs = std::filesystem;
using testing::every_type;
using testing::same;

TEST(Storage, FewRowsTakeLittleDisk) {
  testing::TemporaryFolder folder;
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    DatasetWriter writer(folder / "d", every_type().schema, comm);
    for (int64_t p : {1, 3}) writer.write(p, every_type().batch());
    writer.commit(5, "");
  });
  EXPECT_LT(fs::file_size(folder / "d/part-00001.h5"), 32u << 10);
  EXPECT_TRUE(same(DatasetReader(folder / "d").read(3), every_type().batch()));
}

TEST(Storage, ManyRowsTakeNoMoreThanAPieceBesides) {
  testing::TemporaryFolder folder;
  Column id(Type::kInt64), value(Type::kFloat64);
  for (int64_t r = 0; r < 1000000; ++r) id.append(r), value.append(double(r) / 3);
  const Batch rows(Schema{{"id", Type::kInt64}, {"value", Type::kFloat64}}, {id, value});
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    DatasetWriter writer(folder / "d", rows.schema(), comm);
    writer.write(0, rows);
    writer.commit(1, "");
  });
  EXPECT_LT(fs::file_size(folder / "d/part-00000.h5"), (16u << 20) + kPieceBytes);
  EXPECT_TRUE(same(DatasetReader(folder / "d").read(0), rows));
}

}  // namespace
}  // namespace throng::data
