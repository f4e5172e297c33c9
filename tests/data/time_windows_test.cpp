// Windows of times against division a time.
#include "framework/data/time_windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "framework/base/random.h"

namespace throng::data {
namespace {

constexpr int64_t kDay = 86'400'000'000, kMonday = 4 * kDay;

int64_t plain(const TimeWindows& w, int64_t time) {
  const int64_t since = time - w.from, rest = since % w.width;
  return time - rest - (rest < 0 ? w.width : 0);
}

const std::vector<TimeWindows> kWindows{{0, 1}, {0, 2}, {0, 3}, {0, 1'000'000}, {0, 60'000'000}, {0, 3'600'000'000}, {0, kDay}, {kMonday, 7 * kDay}, {5, 1 << 20}, {-7, 997}, {0, 1000 * kDay}};

void same_as_plain(const TimeWindows& w, const std::vector<int64_t>& times) {
  std::vector<int64_t> starts(times.size());
  w.starts_of(times, starts);
  const auto codes = w.codes_of(times, {}, 1 << 20);
  for (size_t r = 0; r < times.size(); ++r) {
    ASSERT_EQ(starts[r], plain(w, times[r])) << times[r] << " in windows of " << w.width;
    ASSERT_EQ(w.start_of(times[r]), starts[r]);
    if (!codes) continue;
    ASSERT_EQ(codes->starts.at(codes->of_time[r]), starts[r]) << times[r] << " in windows of " << w.width;
  }
  std::vector<int64_t> in_place = times;
  w.starts_of(in_place, in_place);
  EXPECT_EQ(in_place, starts);
}

TEST(TimeWindows, AreAsByDivision) {
  for (const auto& w : kWindows) {
    same_as_plain(w, {});
    for (int64_t around : {int64_t{0}, int64_t{1'704'067'200'000'000}, int64_t{-62'135'596'800'000'000}, -kDay}) {
      for (int64_t spread : {int64_t{1}, int64_t{1000}, 40 * kDay, 400'000 * kDay}) {
        Random random(uint64_t(spread), uint64_t(w.width), 0);
        std::vector<int64_t> times;
        for (int r = 0; r < 5000; ++r) times.push_back(around + int64_t(random.below(uint64_t(spread))) - spread / 2);
        for (int64_t k : {-2, -1, 0, 1, 2})
          for (int64_t d : {-1, 0, 1}) times.push_back(w.from + k * w.width + d);
        same_as_plain(w, times);
        std::sort(times.begin(), times.end());  // blocks of one window
        same_as_plain(w, times);
      }
    }
    // Further apart than the multiplication reaches; kept away from where a window's start does not fit.
    const int64_t far = std::numeric_limits<int64_t>::max() / 2 - 2000 * kDay;
    same_as_plain(w, {0, far, -far, far - 1, 17});
    same_as_plain(w, {far});
  }
}

TEST(TimeWindows, CodesAreFewAndLeaveInvalidTimesOut) {
  const TimeWindows days{0, kDay};
  const std::vector<int64_t> times{0, 100 * kDay + 5, 101 * kDay, 0, 103 * kDay - 1};
  const std::vector<uint8_t> valid{0, 1, 1, 0, 1};
  EXPECT_FALSE(days.codes_of(times, {}, 102));
  EXPECT_TRUE(days.codes_of(times, {}, 103));
  const auto codes = days.codes_of(times, valid, 3);
  ASSERT_TRUE(codes);
  EXPECT_EQ(std::vector<int64_t>(codes->starts.begin(), codes->starts.end()), (std::vector<int64_t>{100 * kDay, 101 * kDay, 102 * kDay}));
  for (size_t r : {1, 2, 4}) EXPECT_EQ(codes->of_time[r], r == 4 ? 2u : uint32_t(r - 1));
  EXPECT_FALSE(days.codes_of(times, valid, 2));
  EXPECT_FALSE(days.codes_of(times, std::vector<uint8_t>(5), 100));
  EXPECT_FALSE(days.codes_of({}, {}, 100));
}

}  // namespace
}  // namespace throng::data
