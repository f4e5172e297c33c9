// Durations, sizes and counts as people write them.
#include "framework/base/units.h"

#include <gtest/gtest.h>

namespace throng {
namespace {

int64_t us(std::string_view text) { return parse_duration(text).value_or(Duration{-1}).microseconds; }
int64_t bytes(std::string_view text) {
  auto b = parse_bytes(text);
  return b ? int64_t(b->count) : -1;
}

TEST(Units, ReadsDurations) {
  EXPECT_EQ(us("500ms"), 500'000);
  EXPECT_EQ(us("30s"), 30'000'000);
  EXPECT_EQ(us("30m"), 1'800'000'000);
  EXPECT_EQ(us("1.5h"), 5'400'000'000);
  EXPECT_EQ(us("7d"), us("1w"));
  EXPECT_EQ(us("10 us"), 10);
  EXPECT_EQ(us("0s"), 0);
  for (const char* bad : {"", "h", "5", "5x", "-1h", "1h30m", "inf h", "nan s", "1e30w", "5H"}) EXPECT_EQ(us(bad), -1) << bad;
}

TEST(Units, WritesDurationsInTheShortestExactForm) {
  for (const char* text : {"1h", "90m", "2w", "36h", "500ms", "1us", "7s", "0s", "8d"})
    EXPECT_EQ(format_duration(Duration{us(text)}), text);
  EXPECT_EQ(format_duration(Duration{us("7d")}), "1w");
}

TEST(Units, ReadsSizes) {
  EXPECT_EQ(bytes("4096"), 4096);
  EXPECT_EQ(bytes("64KiB"), 65536);
  EXPECT_EQ(bytes("4GiB"), int64_t{4} << 30);
  EXPECT_EQ(bytes("10MB"), 10'000'000);
  EXPECT_EQ(bytes("1.5KiB"), 1536);
  EXPECT_EQ(bytes("0"), 0);
  for (const char* bad : {"", "GiB", "-1", "4gib", "4 G", "1e40"}) EXPECT_EQ(bytes(bad), -1) << bad;
}

TEST(Units, WritesForPeople) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(uint64_t(3.2 * 1024 * 1024)), "3.2 MiB");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_seconds(0.42), "0.42 s");
  EXPECT_EQ(format_seconds(192), "3 min 12 s");
  EXPECT_EQ(format_seconds(7200), "2 h 0 min");
}

}  // namespace
}  // namespace throng
