// Names of columns to order by.
#include "framework/data/row_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace throng::data {
namespace {

TEST(OrderBy, ReadsColumnsAndTheirDirection) {
  const Schema schema({{"a", Type::kInt64}, {"-b", Type::kString}, {"tags", Type::kListString}});
  auto read = [&](const std::string& item) {
    const OrderBy o = OrderBy::parse(item, schema);
    return std::pair(o.column, o.falling);
  };
  EXPECT_EQ(read("a"), std::pair(std::string("a"), false));
  EXPECT_EQ(read("-a"), std::pair(std::string("a"), true));
  EXPECT_EQ(read("-b"), std::pair(std::string("-b"), false));  // the column's own name
  EXPECT_EQ(read("--b"), std::pair(std::string("-b"), true));
  auto fault = [&](const std::string& item) {
    try {
      OrderBy::parse(item, schema);
    } catch (const Error& e) {
      return e.message();
    }
    return std::string();
  };
  EXPECT_THAT(fault("-tags"), ::testing::HasSubstr("column 'tags' is list<string>; rows cannot be ordered by it"));
  EXPECT_THAT(fault("-c"), ::testing::HasSubstr("no column 'c'"));
}

}  // namespace
}  // namespace throng::data
