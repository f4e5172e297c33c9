#include "cluster/launch/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framework/base/clock.h"

namespace throng::launch {
namespace {

TEST(Command, KeepsWhatItWrote) {
  const auto result = run_command({"sh", "-c", "echo out; echo err >&2; exit 3"}, 20);
  EXPECT_EQ(result.output, "out\n");
  EXPECT_EQ(result.errors, "err\n");
  EXPECT_EQ(result.code, 3);
  EXPECT_FALSE(result.ok());
  EXPECT_EQ(result.trouble(), "err");
}

TEST(Command, WhatIsNotThereIs127) {
  const auto result = run_command({"no-such-program-at-all"}, 20);
  EXPECT_EQ(result.code, 127);
  EXPECT_THAT(result.trouble(), testing::HasSubstr("no-such-program-at-all"));
}

TEST(Command, ALimitEndsItAndItsChildren) {
  const Stopwatch watch;
  const auto result = run_command({"sh", "-c", "sleep 60 & echo begun; wait"}, 0.5);
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.output, "begun\n");
  EXPECT_LT(watch.seconds(), 30);
}

TEST(Command, AChildThatGoesOnDoesNotHoldItUp) {
  const Stopwatch watch;
  const auto result = run_command({"sh", "-c", "sleep 20 & echo done"}, 60);
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.output, "done\n");
  EXPECT_LT(watch.seconds(), 15);
}

TEST(Command, MuchOutputDoesNotBlockIt) {
  const auto result = run_command({"sh", "-c", "head -c 20000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 0"}, 60);
  EXPECT_TRUE(result.ok());
  EXPECT_GE(result.output.size(), size_t{4} << 20);
  EXPECT_LT(result.output.size(), size_t{5} << 20);
  EXPECT_EQ(result.errors.size(), 1000000u);
}

TEST(Command, ASignalIsInTheCode) { EXPECT_EQ(run_command({"sh", "-c", "kill -9 $$"}, 20).code, 137); }

}  // namespace
}  // namespace throng::launch
