#include "framework/base/board.h"

#include <gtest/gtest.h>

#include <thread>

namespace throng {
namespace {

TEST(Board, ALineSaysWhatItsThreadIsAt) {
  Board board;
  auto line = board.add();
  EXPECT_TRUE(board.snapshot().empty()) << "it is on no step";
  line->set_step("parts", "split");
  line->set_progress("shuffling", 0.25, 70);
  {
    Activity writing(*line, Doing::kWriting, "its dataset");
    {
      Activity wait(*line);
      EXPECT_EQ(board.snapshot()[0].doing, Doing::kWriting) << "not begun";
      wait.begin(Doing::kExchange, "", 3, 4);
      const auto s = board.snapshot().at(0);
      EXPECT_EQ(s.step, "parts");
      EXPECT_EQ(s.op, "split");
      EXPECT_EQ(s.text, "shuffling");
      EXPECT_EQ(s.fraction, 0.25);
      EXPECT_EQ(s.rows, 70);
      EXPECT_EQ(s.doing, Doing::kExchange);
      EXPECT_EQ(s.peer, 3);
      EXPECT_EQ(s.exchange, 4);
      wait.set_peer(2);
      EXPECT_EQ(board.snapshot()[0].peer, 2);
    }
    const auto s = board.snapshot().at(0);
    EXPECT_EQ(s.doing, Doing::kWriting);
    EXPECT_EQ(s.what, "its dataset");
    EXPECT_EQ(s.peer, -1);
    EXPECT_EQ(s.exchange, -1);
  }
  EXPECT_EQ(board.snapshot().at(0).doing, Doing::kComputing);
  line->set_step("", "");
  EXPECT_TRUE(board.snapshot().empty());
}

TEST(Board, TimeIsCountedOnceForTheOutermost) {
  Board board;
  auto line = board.add();
  for (int k = 0; k < 3; ++k) {
    Activity writing(*line, Doing::kWriting, "a checkpoint");
    Activity wait(*line, Doing::kCollective, "a barrier");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_GE(board.totals().writing_us, 6000);
  EXPECT_EQ(board.totals().collective_wait_us, 0);
  EXPECT_EQ(board.totals().exchange_wait_us, 0);
  { Activity wait(*line, Doing::kCollective, "a barrier"), inner(*line); std::this_thread::sleep_for(std::chrono::milliseconds(2)); }
  EXPECT_GE(board.totals().collective_wait_us, 2000);
}

TEST(Board, TheOutermostCollectiveHasTheName) {
  Board board;
  auto line = board.add();
  EXPECT_STREQ(Collective::name_on(*line), "a message");
  {
    Collective outer(*line, "a sum over shards");
    { Collective inner(*line, "a broadcast"); EXPECT_STREQ(Collective::name_on(*line), "a sum over shards"); }
    EXPECT_STREQ(Collective::name_on(*line), "a sum over shards");
  }
  EXPECT_STREQ(Collective::name_on(*line), "a message");
}

TEST(Board, LinesGoWithTheirHolders) {
  Board board;
  auto one = board.add();
  one->set_step("a", "filter");
  {
    auto two = board.add();
    two->set_step("b", "map");
    EXPECT_EQ(board.snapshot().size(), 2);
  }
  ASSERT_EQ(board.snapshot().size(), 1);
  EXPECT_EQ(board.snapshot()[0].step, "a");
}

TEST(Board, IsReadWhileItIsWritten) {
  Board board;
  std::atomic<bool> over = false;
  std::thread writer([&] {
    auto line = board.add();
    for (int k = 0; !over; ++k) {
      line->set_step("step" + std::to_string(k % 7), "op");
      line->set_progress("text" + std::to_string(k % 5), 0.5, k);
      Activity wait(*line, Doing::kExchange, "x");
      wait.set_peer(k % 3);
      line->set_queues(1, 2, 3);
    }
  });
  for (int k = 0; k < 2000; ++k)
    for (const auto& s : board.snapshot()) {
      EXPECT_TRUE(s.step.starts_with("step"));
      EXPECT_GE(s.seconds, 0);
    }
  over = true;
  writer.join();
}

}  // namespace
}  // namespace throng
