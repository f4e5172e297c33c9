// Columns of every type: appending, slicing, hashing, comparing.
#include "framework/data/column.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/support/every_type.h"

namespace throng::data {
namespace {

using testing::every_type;
using testing::same;

TEST(Column, SlicesOfEveryTypeHoldTheRows) {
  for (const Column& c : every_type().columns_with_nulls) {
    for (int64_t first = 0; first <= c.size(); ++first)
      for (int64_t count = 0; first + count <= c.size(); ++count) {
        Column part(c.type());
        part.append_slice(c, first, count);
        ASSERT_EQ(part.size(), count);
        for (int64_t r = 0; r < count; ++r) {
          EXPECT_EQ(part.is_valid(r), c.is_valid(first + r));
          EXPECT_EQ(Column::compare(part, r, c, first + r), 0) << type_name(c.type()) << " row " << first + r;
        }
      }
  }
}

TEST(Column, TakeGivesRowsInTheOrderAsked) {
  for (const Column& c : every_type().columns_with_nulls) {
    std::vector<int64_t> rows{3, 0, 0, 2, 1, 3};
    Column taken = c.take(rows), appended(c.type());
    for (int64_t r : rows) appended.append_row(c, r);
    ASSERT_EQ(taken.size(), 6);
    EXPECT_TRUE(same(taken, appended)) << type_name(c.type());
    EXPECT_EQ(c.take(std::vector<int64_t>{}).size(), 0);
  }
}

TEST(Column, ContentHashDoesNotSeeHowAColumnWasMade) {
  for (const Column& c : every_type().columns_with_nulls) {
    Column whole(c.type()), pieces(c.type());
    whole.append_all(c);
    for (int64_t r = 0; r < c.size(); ++r) pieces.append_row(c, r);
    EXPECT_EQ(whole.content_hash(), c.content_hash());
    EXPECT_EQ(pieces.content_hash(), c.content_hash());
    // A validity array without a null says nothing.
    Column valid(c.type());
    valid.append_null();
    valid.append_row(c, 0);
    Column plain(c.type());
    plain.append_row(c, 0);
    EXPECT_EQ(valid.take(std::vector<int64_t>{1}).content_hash(), plain.content_hash());
  }
}

TEST(Column, ContentHashTellsRowsApart) {
  for (const Column& c : every_type().columns_with_nulls) {
    Column swapped = c.take(std::vector<int64_t>{1, 0, 2, 3, 4});
    EXPECT_NE(swapped.content_hash(), c.content_hash()) << type_name(c.type());
  }
  Column null(Type::kString), empty(Type::kString);
  null.append_null(), empty.append_string("");
  EXPECT_NE(null.content_hash(), empty.content_hash());
  Column a(Type::kListString), b(Type::kListString);
  a.add_list_string("xy"), a.end_list();
  b.add_list_string("x"), b.add_list_string("y"), b.end_list();
  EXPECT_NE(a.content_hash(), b.content_hash());
}

TEST(Column, EqualValuesHashAlike) {
  auto hash = [](const Column& c, int64_t row) {
    std::vector<uint64_t> h(size_t(c.size()), 1);
    c.hash_rows(h);
    return h[size_t(row)];
  };
  Column d(Type::kFloat64);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (double v : {0.0, -0.0, nan, -nan, std::bit_cast<double>(0x7ff8000000000001ull), 1.0}) d.append(v);
  EXPECT_EQ(hash(d, 0), hash(d, 1));
  EXPECT_NE(hash(d, 0), hash(d, 5));
  for (int64_t row : {3, 4}) {  // one NaN, or keys that compare equal would land on two ranks
    EXPECT_EQ(Column::compare(d, 2, d, row), 0);
    EXPECT_EQ(hash(d, 2), hash(d, row)) << row;
  }
  Column f(Type::kFloat32);
  for (float v : {0.0f, -0.0f, float(nan), -float(nan)}) f.append(v);
  EXPECT_EQ(hash(f, 0), hash(f, 1));
  EXPECT_EQ(hash(f, 2), hash(f, 3));
}

TEST(Column, ComparePutsNullsFirstAndNanLast) {
  Column d(Type::kFloat64);
  d.append_null();
  for (double v : {-1.0, 2.0, std::nan("")}) d.append(v);
  for (int64_t i = 0; i < d.size(); ++i)
    for (int64_t j = 0; j < d.size(); ++j) EXPECT_EQ(Column::compare(d, i, d, j) < 0, i < j) << i << " " << j;
  Column s = testing::strings({"", "a", "ab", "b", "中"});
  for (int64_t i = 0; i < s.size(); ++i)
    for (int64_t j = 0; j < s.size(); ++j) EXPECT_EQ(Column::compare(s, i, s, j) < 0, i < j);
  Column l = testing::token_lists({{}, {"a"}, {"a", "b"}, {"b"}});
  for (int64_t i = 0; i < l.size(); ++i)
    for (int64_t j = 0; j < l.size(); ++j) EXPECT_EQ(Column::compare(l, i, l, j) < 0, i < j);
}

TEST(Column, PartsThatDoNotFitAreDataErrors) {
  auto refused = [](Type type, int64_t rows, Column::Parts parts) {
    try {
      Column::from_parts(type, rows, std::move(parts));
    } catch (const Error& e) {
      return e.fault() == Fault::kData;
    }
    return false;
  };
  EXPECT_TRUE(refused(Type::kInt64, 2, {Buffer(8), {}, {}, {}}));
  EXPECT_TRUE(refused(Type::kInt64, 1, {Buffer(9), {}, {}, {}}));
  EXPECT_TRUE(refused(Type::kBool, 2, {Buffer(2), {}, {}, AlignedVector<uint8_t>(1)}));
  EXPECT_TRUE(refused(Type::kString, 2, {Buffer(3), {1}, {}, {}}));
  EXPECT_TRUE(refused(Type::kString, 2, {Buffer(3), {1, 1}, {}, {}}));
  EXPECT_TRUE(refused(Type::kListString, 1, {Buffer(3), {2}, {3}, {}}));
  EXPECT_TRUE(refused(Type::kListString, 1, {Buffer(3), {2}, {1, 1}, {}}));
}

TEST(Column, SetNullClearsTheValue) {
  Column c = testing::integers({5, 6});
  c.set_null(1);
  EXPECT_FALSE(c.is_valid(1));
  EXPECT_TRUE(c.is_valid(0));
  EXPECT_EQ(c.values<int64_t>()[1], 0);
}

}  // namespace
}  // namespace throng::data
