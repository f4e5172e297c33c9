// Times as people write them, and windows where clocks change.
#include "framework/data/time.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"

namespace throng::data {
namespace {

constexpr int64_t kSecond = 1'000'000, kHour = 3600 * kSecond, kDay = 24 * kHour;

int64_t utc(const char* text) { return parse_time(text, TimeZone()).value_or(-1); }

TEST(Time, ReadsTheFormsPeopleWrite) {
  const int64_t t = 1714566615 * kSecond;  // 2024-05-01T12:30:15Z
  for (const char* text : {"2024-05-01T12:30:15Z", "2024-05-01 12:30:15", "2024-05-01t12:30:15z", "2024-05-01T20:30:15+08:00", "2024-05-01T20:30:15+0800",
                           "2024-05-01 20:30:15 +08", "2024-05-01T08:30:15-04:00", "2024/5/1 12:30:15", " 2024-05-01T12:30:15.000Z ", "1714566615", "1714566615000",
                           "1714566615000000", "1714566615.0"})
    EXPECT_EQ(utc(text), t) << text;
  EXPECT_EQ(utc("2024-05-01"), 1714521600 * kSecond);
  EXPECT_EQ(utc("2024/5/1"), 1714521600 * kSecond);
  EXPECT_EQ(utc("2024-05-01 12:30"), t - 15 * kSecond);
  EXPECT_EQ(utc("2024-05-01T12:30:15.123456789Z"), t + 123456);
  EXPECT_EQ(utc("2024-05-01T12:30:15,5"), t + 500'000);
  EXPECT_EQ(utc("1714566615.25"), t + 250'000);
  EXPECT_EQ(utc("1714566615123"), t + 123'000);
  EXPECT_EQ(utc("0"), 0);
  EXPECT_EQ(utc("-86400"), -kDay);
  EXPECT_EQ(utc("1969-12-31T23:59:59Z"), -kSecond);
  EXPECT_EQ(utc("2024-05-01T24:00:00Z"), 1714521600 * kSecond + kDay);
  EXPECT_EQ(parse_time("2024-05-01 12:30:15", TimeZone("Asia/Shanghai")), t - 8 * kHour);
  EXPECT_EQ(parse_time("2024-05-01 12:30:15Z", TimeZone("Asia/Shanghai")), t);
}

TEST(Time, RefusesWhatIsNone) {
  for (const char* text : {"", " ", "yesterday", "2024-13-01", "2024-02-30", "2023-02-29", "2024-05-00", "2024-05", "2024-05-01T", "2024-05-01T25:00", "2024-05-01T12:60",
                           "2024-05-01T12:30:61", "2024-05-01T12", "2024-05-01T12:30:15.Z", "2024-05-01T12:30:15X", "2024-05-01T12:30+8", "2024-05-01x12:30", "2024-05/01",
                           "1e9", "nan", "inf", "12:30", "20240501T123015Z", "-9223372036854775808", "2024-05-01T24:30:00Z", "2024-05-01T12:30:00+99:99"})
    EXPECT_FALSE(parse_time(text, TimeZone())) << text;
  EXPECT_FALSE(epoch_time(INT64_MIN));
  EXPECT_FALSE(epoch_time(1e300));
}

TEST(Time, FormatsInTheZone) {
  EXPECT_EQ(TimeZone().format(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(TimeZone().format(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(TimeZone("Asia/Shanghai").format(0), "1970-01-01T08:00:00+08:00");
  for (int64_t us : {int64_t{0}, int64_t{-1}, int64_t{1714566615123456}})
    for (const char* zone : {"UTC", "Asia/Kathmandu", "America/New_York"}) EXPECT_EQ(parse_time(TimeZone(zone).format(us), TimeZone()), us);
  EXPECT_THROW(TimeZone("Mars/Olympus"), Error);
  EXPECT_EQ(TimeZone("Europe/Berlin").parse_as("01/May/2024:12:30:15", "%d/%b/%Y:%H:%M:%S"), utc("2024-05-01T10:30:15Z"));
  EXPECT_FALSE(TimeZone().parse_as("x", "%Y"));
}

TEST(Time, WindowsOfDaysBeginAtLocalMidnight) {
  TimeZone berlin("Europe/Berlin");
  // The clocks go forward on 2024-03-31 and back on 2024-10-27.
  EXPECT_EQ(berlin.window_start(utc("2024-03-31T12:00:00Z"), kDay), utc("2024-03-30T23:00:00Z"));
  EXPECT_EQ(berlin.window_start(utc("2024-03-31T22:30:00Z"), kDay), utc("2024-03-31T22:00:00Z"));
  EXPECT_EQ(berlin.window_start(utc("2024-10-27T22:59:59Z"), kDay), utc("2024-10-26T22:00:00Z"));
  EXPECT_EQ(berlin.window_start(utc("2024-10-27T23:00:00Z"), kDay), utc("2024-10-27T23:00:00Z"));
  EXPECT_EQ(berlin.window_start(utc("2024-11-01T00:00:00Z"), 7 * kDay), utc("2024-10-27T23:00:00Z"));  // a Monday
  EXPECT_EQ(TimeZone().window_start(utc("2024-11-03T23:59:59Z"), 7 * kDay), utc("2024-10-28"));
  EXPECT_EQ(TimeZone().window_start(-1, kDay), -kDay);
}

TEST(Time, WindowsAreTheSameInUtcAndInAZoneLikeIt) {
  TimeZone utc_zone, reykjavik("Atlantic/Reykjavik");  // UTC all year, but not by name
  for (int64_t width : {kSecond, 15 * 60 * kSecond, kHour, 5 * kHour, 7 * kHour, 12 * kHour, kDay, 36 * kHour, 2 * kDay, 3 * kDay, 7 * kDay, 14 * kDay, 30 * kDay})
    for (const char* text : {"2024-05-01T12:30:15Z", "2024-01-01", "1999-12-31T23:59:59Z", "2024-02-29T07:00:00Z"})
      EXPECT_EQ(utc_zone.window_start(utc(text), width), reykjavik.window_start(utc(text), width)) << text << " in windows of " << width / kSecond << " s";
}

TEST(Time, WindowsCutAllTime) {
  // Every instant lies in its window, and a window's start is the start of its own window.
  for (const char* name : {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"}) {
    TimeZone zone(name);
    for (int64_t width : {15 * 60 * kSecond, kHour, 6 * kHour, kDay, 7 * kDay})
      for (int64_t at = utc("2024-10-25T00:07:00Z"); at < utc("2024-11-06"); at += 13 * 60 * kSecond) {
        int64_t start = zone.window_start(at, width);
        ASSERT_LE(start, at);
        ASSERT_LT(at - start, width + kHour + 1);
        ASSERT_EQ(zone.window_start(start, width), start) << name << " " << zone.format(at) << " width " << width;
      }
  }
}

}  // namespace
}  // namespace throng::data
