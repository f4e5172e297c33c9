#include "cluster/launch/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>

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

TEST(Command, ALimitEndsIt) {
  const auto result = run_command({"sh", "-c", "echo begun; sleep 1000 & wait"}, 0.5);
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.code, 137);
  EXPECT_EQ(result.output, "begun\n");
  EXPECT_EQ(result.trouble(), "no answer in time");
}

TEST(Command, AChildThatGoesOnDoesNotHoldItUp) {
  const auto result = run_command({"sh", "-c", "sleep 1000 & echo $!"}, 60);
  EXPECT_TRUE(result.ok());
  ::kill(pid_t(std::stoi(result.output)), SIGKILL);
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
