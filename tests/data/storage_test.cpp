// How datasets lie on disk: chunks by size, gzip, strings as codes. What they hold never depends on it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "framework/base/thread_pool.h"
#include "framework/comm/threads_backend.h"
#include "framework/data/dataset.h"
#include "framework/data/deflate.h"
#include "tests/support/errors.h"
#include "tests/support/every_type.h"

namespace throng::data {
namespace {
namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::error_of;
using testing::every_type;
using testing::same;

const Schema& schema() {
  static const Schema s{{"id", Type::kInt64}, {"action", Type::kString}, {"city", Type::kString}, {"note", Type::kString}, {"score", Type::kFloat32}, {"tags", Type::kListString}};
  return s;
}

// A partition of the large dataset: `action` has few values, `city` up to 400, some null, `note` is always another. Partition 2 is empty, 3 has few rows.
Batch rows_of(int64_t p) {
  Column id(Type::kInt64), action(Type::kString), city(Type::kString), note(Type::kString), score(Type::kFloat32), tags(Type::kListString);
  const std::vector<std::string> actions{"浏览", "click", "", "点赞和收藏", "purchase_with_a_long_name"};
  const int64_t n = p == 2 ? 0 : p == 3 ? 10 : 60000;
  for (int64_t r = 0; r < n; ++r) {
    id.append(p * 1000000 + r);
    action.append_string(actions[size_t((r * 7 + r / 11) % 5)]);
    if (r % 13 == 5 && p != 0) city.append_null();
    else city.append_string("城市" + std::to_string(r * 31 % (p == 1 ? 400 : 40)));
    note.append_string(fmt::format("note {}", r * 977 + p));
    r % 9 == 0 && p == 4 ? score.append_null() : score.append(float(r % 100) / 4);
    for (int64_t k = 0; k < r % 3; ++k) tags.add_list_string("t" + std::to_string(k));
    tags.end_list();
  }
  return Batch(schema(), {id, action, city, note, score, tags});
}
constexpr int64_t kPartitions = 6;

const std::vector<Batch>& partitions() {
  static const std::vector<Batch> all = [] {
    std::vector<Batch> b;
    for (int64_t p = 0; p < kPartitions; ++p) b.push_back(rows_of(p));
    return b;
  }();
  return all;
}

struct How {
  int gzip_level = 0;
  int threads = 0;
};
Manifest write_dataset(const fs::path& folder, int ranks, How how = {}) {
  Manifest result;
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    std::optional<ThreadPool> pool;
    if (how.threads) pool.emplace(how.threads);
    DatasetWriter writer(folder, schema(), comm, "", {.gzip_level = how.gzip_level, .pool = pool ? &*pool : nullptr});
    for (int64_t p = first_partition(comm.rank(), ranks, kPartitions); p < first_partition(comm.rank() + 1, ranks, kPartitions); ++p) writer.write(p, partitions()[size_t(p)]);
    Manifest m = writer.commit(kPartitions, "key");
    if (comm.rank() == 0) result = m;
  });
  return result;
}

uint64_t bytes_on_disk(const fs::path& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) bytes += entry.file_size();
  return bytes;
}

void holds_all(const fs::path& folder) {
  const DatasetReader reader(folder);
  for (int64_t p = 0; p < kPartitions; ++p) EXPECT_TRUE(same(reader.read(p), partitions()[size_t(p)])) << "partition " << p;
}

TEST(Storage, FewRowsTakeLittleDisk) {
  testing::TemporaryFolder folder;
  for (int gzip_level : {0, 4}) {
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      DatasetWriter writer(folder / "d", every_type().schema, comm, "", {.gzip_level = gzip_level});
      for (int64_t p : {1, 3}) writer.write(p, every_type().batch());
      writer.commit(5, "");
    });
    EXPECT_LT(fs::file_size(folder / "d/part-00001.h5"), 32u << 10) << "gzip " << gzip_level;
    EXPECT_TRUE(same(DatasetReader(folder / "d").read(3), every_type().batch()));
  }
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

TEST(Storage, ContentIsTheSameHoweverItIsStored) {
  testing::TemporaryFolder folder;
  std::string hash;
  uint64_t plain = 0;
  for (int ranks : {1, 2, 3, 5})
    for (How how : {How{}, How{1, 0}, How{4, 1}, How{9, 3}}) {
      SCOPED_TRACE(::testing::Message() << ranks << " ranks, gzip " << how.gzip_level << ", threads " << how.threads);
      const Manifest m = write_dataset(folder / "d", ranks, how);
      if (hash.empty()) hash = m.content_hash();
      EXPECT_EQ(m.content_hash(), hash);
      EXPECT_EQ(m.gzip, how.gzip_level > 0);
      holds_all(folder / "d");
      const uint64_t bytes = bytes_on_disk(folder / "d");
      if (how.gzip_level == 0) plain = bytes;
      else EXPECT_LT(bytes, plain / 2);
    }
}

TEST(Storage, FewDifferentStringsAreCodes) {
  testing::TemporaryFolder folder;
  for (int ranks : {1, 3}) {
    const Manifest m = write_dataset(folder / "d", ranks);
    for (int64_t p = 0; p < kPartitions; ++p)
      for (const PiecePlace& piece : m.partitions[size_t(p)].pieces) {
        EXPECT_EQ(piece.columns[1].codes.has_value(), p != 3) << "partition " << p;
        EXPECT_EQ(piece.columns[2].codes.has_value(), p != 3) << "partition " << p;
        EXPECT_FALSE(piece.columns[3].codes);
        if (p == 1) {
          EXPECT_EQ(piece.columns[2].codes->dictionary_size, 401u) << "with that of null";
        }
      }
  }
}

TEST(Storage, IsChangedByWritingItAnew) {
  testing::TemporaryFolder folder;
  const Manifest plain = write_dataset(folder / "d", 3);
  const DatasetReader reader(folder / "d");
  auto store = [&](const fs::path& to, int ranks) {
    comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
      ThreadPool pool(2);
      store_dataset(reader, to, comm, {.gzip_level = 4, .pool = &pool});
    });
  };
  for (int ranks : {1, 2, 5}) {
    store(folder / "out/packed", ranks);
    const DatasetReader packed(folder / "out/packed");
    EXPECT_EQ(packed.manifest().content_hash(), plain.content_hash());
    EXPECT_EQ(packed.manifest().step_key, "key");
    holds_all(folder / "out/packed");
  }
  folder.write("mine/thesis.txt", "years of work");
  const Error e = error_of([&] { store(folder / "mine", 2); });
  EXPECT_THAT(e.message(), HasSubstr("not a dataset"));
  EXPECT_EQ(read_file(folder / "mine/thesis.txt"), "years of work");
  EXPECT_FALSE(fs::exists(folder / "mine.partial"));
}

// Changes one byte of a part file in twenty places in turn: the rows are right, or there is an error of the data.
TEST(Storage, DamageIsFound) {
  testing::TemporaryFolder folder;
  for (int gzip_level : {0, 4}) {
    write_dataset(folder / "d", 1, {gzip_level, 0});
    const fs::path part = folder / "d/part-00000.h5";
    const std::string whole = read_file(part);
    int found = 0, tried = 0;
    for (size_t at = whole.size() / 20; at < whole.size(); at += whole.size() / 20, ++tried) {
      std::string bytes = whole;
      bytes[at] = char(bytes[at] ^ 4);
      std::ofstream(part, std::ios::binary) << bytes;
      const Error e = error_of([&] { holds_all(folder / "d"); });
      if (e.fault() == Fault::kBug) continue;  // not in use
      EXPECT_EQ(e.fault(), Fault::kData) << e.text();
      EXPECT_THAT(e.message(), HasSubstr("part-00000.h5"));
      ++found;
    }
    EXPECT_GT(found, tried / 2) << "gzip " << gzip_level;
    std::ofstream(part, std::ios::binary) << whole.substr(0, whole.size() / 2);
    EXPECT_EQ(error_of([&] { holds_all(folder / "d"); }).fault(), Fault::kData);
  }
}

TEST(Storage, ADamagedChunkIsNamed) {
  testing::TemporaryFolder folder;
  write_dataset(folder / "d", 1, {4, 0});
  const fs::path part = folder / "d/part-00000.h5";
  std::string bytes = read_file(part);
  const size_t at = bytes.find(std::string("\x78\x5e", 2));  // a zlib stream's head at level 4
  ASSERT_NE(at, std::string::npos);
  bytes[at + 2000] = char(bytes[at + 2000] ^ 1);
  std::ofstream(part, std::ios::binary) << bytes;
  const Error e = error_of([&] { holds_all(folder / "d"); });
  EXPECT_EQ(e.fault(), Fault::kData);
  EXPECT_THAT(e.text(), HasSubstr("compressed chunk"));
  EXPECT_THAT(e.text(), HasSubstr("hint: "));
}

TEST(Storage, FormatTwoIsRead) {
  testing::TemporaryFolder folder;
  Manifest m;
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    DatasetWriter writer(folder / "d", every_type().schema, comm);
    for (int64_t p : {0, 1}) writer.write(p, every_type().batch(p == 1));
    m = writer.commit(2, "");
  });
  auto j = nlohmann::json::parse(m.to_json());
  EXPECT_EQ(j["version"], 3);
  j["version"] = 2;
  for (auto& pieces : j["partitions"])
    for (auto& piece : pieces)
      for (size_t c = 0; c < m.schema.size(); ++c)
        if (m.schema[c].type == Type::kString) piece["columns"][c][2] = 0;  // nothing was said of strings
  folder.write("d/manifest.json", j.dump());
  const DatasetReader reader(folder / "d");
  EXPECT_EQ(reader.manifest().content_hash(), m.content_hash());
  for (int64_t p : {0, 1}) EXPECT_TRUE(same(reader.read(p), every_type().batch(p == 1)));
  j["version"] = 4;
  folder.write("d/manifest.json", j.dump());
  EXPECT_THAT(error_of([&] { DatasetReader(folder / "d"); }).text(), HasSubstr("format version 4, this program reads 2 and 3"));
}

TEST(Deflate, ChunksComeBackAndDamageIsSeen) {
  Buffer values(8 * 5000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = std::byte(i * i / 700);
  for (auto [width, shuffled] : {std::pair<size_t, bool>(1, false), {4, false}, {4, true}, {8, false}, {8, true}})
    for (int level : {1, 4, 9}) {
      const Packing packing{.shuffled = shuffled, .deflated = true};
      const Buffer packed = pack_chunk(values, packing, width, level);
      Buffer back(values.size()), shorter(values.size() - 8), longer(values.size() + 8);
      EXPECT_TRUE(unpack_chunk(packed, packing, width, back));
      EXPECT_EQ(back, values);
      EXPECT_FALSE(unpack_chunk(packed, packing, width, shorter));
      EXPECT_FALSE(unpack_chunk(packed, packing, width, longer));
      EXPECT_FALSE(unpack_chunk(std::span(packed).first(packed.size() / 2), packing, width, back));
      EXPECT_FALSE(unpack_chunk({}, packing, width, back));
    }
}

}  // namespace
}  // namespace throng::data
