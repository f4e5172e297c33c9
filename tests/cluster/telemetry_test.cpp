#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cluster/telemetry/explain.h"
#include "cluster/telemetry/metrics.h"
#include "cluster/telemetry/ranks_text.h"
#include "cluster/telemetry/recorder.h"
#include "framework/base/clock.h"
#include "framework/base/files.h"

namespace throng::telemetry {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

BoardLine::Snapshot lane(const std::string& step, Doing doing, double seconds, int peer = -1, const std::string& what = "", int64_t exchange = -1) {
  BoardLine::Snapshot s;
  s.step = step, s.op = "op", s.doing = doing, s.seconds = seconds, s.peer = peer, s.what = what, s.exchange = exchange;
  return s;
}
RankReport rank(int number, std::vector<BoardLine::Snapshot> lanes, double age = 0) {
  RankReport r;
  r.rank = number, r.host = "n" + std::to_string(number / 2), r.lanes = std::move(lanes), r.age_seconds = age;
  return r;
}

TEST(Telemetry, RanksInFewWords) {
  EXPECT_EQ(ranks_text({3}), "rank 3");
  EXPECT_EQ(ranks_text({0, 1, 2, 3, 7}), "ranks 0-3, 7");
  EXPECT_EQ(ranks_text({0, 2}), "ranks 0, 2");
}

TEST(Telemetry, WaitsAreFollowedToTheirEnd) {
  const std::vector<RankReport> reports = {rank(2, {lane("s", Doing::kExchange, 38, 0, "", 4)}), rank(0, {lane("s", Doing::kExchange, 39, 3, "", 4)}), rank(1, {lane("s", Doing::kWriting, 40, -1, "its dataset")}),
                                           rank(3, {lane("s", Doing::kExchange, 12, 1, "", 4)})};
  EXPECT_THAT(explain(reports), ElementsAre("rank 1 writes its dataset for 40.00 s in step 's'", "ranks 0, 2-3 wait for 39.00 s in exchange 4 of step 's', for rank 1"));
}

TEST(Telemetry, WhoWaitsForAnyoneNamesNobody) {
  const auto lines = explain({rank(0, {lane("s", Doing::kCollective, 5, -1, "an all-to-all")}), rank(1, {lane("s", Doing::kComputing, 5)})});
  EXPECT_THAT(lines, ElementsAre("rank 1 works on step 's' for 5.00 s", "rank 0 waits for 5.00 s in an all-to-all of step 's'"));
}

TEST(Telemetry, ShortWaitsAreWork) {
  auto reports = std::vector{rank(0, {lane("s", Doing::kCollective, 0.2, 1, "a barrier")}), rank(1, {lane("s", Doing::kComputing, 9)})};
  reports[0].lanes[0].text = "epoch 3/10";
  EXPECT_THAT(explain(reports), ElementsAre("ranks 0-1 work on step 's': epoch 3/10"));
}

TEST(Telemetry, WhoIsSilentOrGoesOnEndsAChain) {
  const auto wait = [](double seconds, int peer) { return std::vector{lane("s", Doing::kCollective, seconds, peer, "a barrier")}; };
  EXPECT_THAT(explain({rank(0, wait(40, 1)), rank(1, wait(0.1, 0))}), Contains("rank 0 waits for 40.00 s in a barrier of step 's', for rank 1")) << "its own wait has just begun";
  EXPECT_THAT(explain({rank(0, wait(40, 1)), rank(1, wait(3, 0), 30)}), Contains("rank 0 waits for 40.00 s in a barrier of step 's', for rank 1")) << "what it said long ago";
}

TEST(Telemetry, ACircleIsToldAsOne) {
  const auto lines = explain({rank(0, {lane("s", Doing::kCollective, 5, 1, "a barrier")}), rank(1, {lane("s", Doing::kCollective, 6, 0, "a barrier")})});
  EXPECT_THAT(lines, ElementsAre("ranks 0-1 wait for 6.00 s in a barrier of step 's', in a circle: each for another"));
}

TEST(Telemetry, BranchesWaitEachForTheirOwn) {
  const auto lines = explain({rank(0, {lane("a", Doing::kCollective, 5, 1, "a barrier"), lane("b", Doing::kComputing, 2)}), rank(1, {lane("a", Doing::kComputing, 7), lane("b", Doing::kExchange, 3, 0, "", 1)})});
  EXPECT_THAT(lines, ElementsAre("rank 1 works on step 'a' for 7.00 s", "rank 0 works on step 'b' for 2.00 s", "rank 0 waits for 5.00 s in a barrier of step 'a', for rank 1", "rank 1 waits for 3.00 s in exchange 1 of step 'b', for rank 0"));
}

TEST(Telemetry, WhoIsSilentComesFirst) {
  const auto lines = explain({rank(0, {}), rank(1, {lane("s", Doing::kWriting, 4, -1, "its dataset")}, 12)});
  EXPECT_THAT(lines, ElementsAre("rank 1 on n0: not heard of for 12.00 s; before that:", "rank 0 is between steps", "rank 1 writes its dataset for 4.00 s in step 's'"));
}

RankReport whole() {
  RankReport r = rank(5, {lane("s", Doing::kExchange, 2.5, 1, "", 4), lane("t", Doing::kCollective, 1, -1, "a barrier")}, 0.25);
  r.pid = 77, r.resident_bytes = 1000, r.peak_bytes = 2000, r.sent_bytes = 30, r.received_bytes = 40, r.collective_wait_seconds = 0.5, r.exchange_wait_seconds = 1.5, r.writing_seconds = 2;
  auto& l = r.lanes[0];
  l.text = "shuffling", l.fraction = 0.5, l.rows = 123, l.queued = 7, l.unconfirmed = 8, l.held = 9;
  return r;
}

TEST(Telemetry, AReportIsTheSameAfterTheWay) {
  const auto text = whole().to_json().dump();
  const RankReport back = RankReport::from_json(nlohmann::json::parse(text));
  EXPECT_EQ(back.to_json().dump(), text);
  EXPECT_EQ(back.lanes[0].held, 9);
  EXPECT_EQ(back.lanes[0].peer, 1);
  EXPECT_EQ(back.lanes[1].what, "a barrier");
  EXPECT_EQ(back.lanes[1].peer, -1);
  EXPECT_EQ(text.find('\n'), text.npos);
}

TEST(Telemetry, AReportOfThisProcess) {
  Board board;
  auto line = board.add();
  line->set_step("s", "map");
  line->totals().sent_bytes = 12;
  const auto r = RankReport::of(3, board);
  EXPECT_EQ(r.rank, 3);
  EXPECT_EQ(r.pid, int(::getpid()));
  EXPECT_EQ(r.sent_bytes, 12);
  EXPECT_GT(r.resident_bytes, 1 << 20);
  EXPECT_GE(r.peak_bytes, r.resident_bytes / 2);
  ASSERT_EQ(r.lanes.size(), 1);
}

TEST(Telemetry, MetricsInPrometheusForm) {
  const std::string text = prometheus_text({{"a \"run\"\\\n", {whole()}}});
  EXPECT_THAT(text, HasSubstr("# TYPE throng_rank_sent_bytes_total counter\nthrong_rank_sent_bytes_total{run=\"a \\\"run\\\"\\\\\\n\",rank=\"5\",host=\"n2\"} 30\n"));
  EXPECT_THAT(text, HasSubstr("throng_rank_exchange_wait_seconds_total{run=\"a \\\"run\\\"\\\\\\n\",rank=\"5\",host=\"n2\"} 1.5\n"));
  EXPECT_THAT(text, HasSubstr("throng_step_rows{run=\"a \\\"run\\\"\\\\\\n\",rank=\"5\",step=\"s\"} 123\n"));
  EXPECT_THAT(text, HasSubstr("throng_step_waiting{run=\"a \\\"run\\\"\\\\\\n\",rank=\"5\",step=\"t\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("throng_exchange_held_bytes{run=\"a \\\"run\\\"\\\\\\n\",rank=\"5\",step=\"s\"} 9\n"));
  EXPECT_EQ(text.back(), '\n');
}

class Recorded : public testing::Test {
 protected:
  Recorded() : run_(fs::temp_directory_path() / fmt::format("throng-recorded-{}", ::getpid())) { fs::create_directories(run_); }
  ~Recorded() override { fs::remove_all(run_); }
  fs::path run_;
};

TEST_F(Recorded, RanksOfThisProcessAndOthers) {
  auto board = std::make_shared<Board>();
  auto line = board->add();
  line->set_step("s", "map");
  {
    Recorder recorder(3, [this] { return run_; });
    recorder.watch(0, board);
    RankReport other = whole();
    other.rank = 2;
    recorder.take(2, other.to_json().dump());
    recorder.take(1, "{ half a rep");
    recorder.take(1, whole().to_json().dump());  // says it is another
    write_file_atomically(run_ / "state.json", "{}");
  }
  const RanksFile file = read_ranks(run_);
  EXPECT_EQ(file.num_ranks, 3);
  ASSERT_EQ(file.ranks.size(), 2);
  EXPECT_EQ(file.ranks[0].lanes.at(0).step, "s");
  EXPECT_EQ(file.ranks[1].rank, 2);
  EXPECT_GE(file.ranks[1].age_seconds, 0);
  EXPECT_GE(file.age_seconds, 0);
  EXPECT_THAT(read_file(run_ / "metrics.prom"), HasSubstr("run=\"" + run_.filename().string() + "\",rank=\"2\""));
  EXPECT_EQ(std::distance(fs::directory_iterator(run_), fs::directory_iterator()), 3) << "no temporary files stay";
}

TEST_F(Recorded, NothingIsWrittenBeforeTheRunHasItsFolder) {
  { Recorder recorder(1, [] { return fs::path(); }); }
  { Recorder recorder(1, [this] { return run_; }); }
  EXPECT_TRUE(fs::is_empty(run_));
  { Recorder recorder(1, [this] { return run_ / "missing"; }); }
  EXPECT_FALSE(fs::exists(run_ / "missing"));
}

TEST_F(Recorded, ADamagedFileIsNone) {
  EXPECT_TRUE(read_ranks(run_).ranks.empty());
  for (const char* text : {"", "{", "[]", R"({"updated": 3})", R"({"updated": "", "num_ranks": 1, "ranks": [{"rank": 0}]})"}) {
    std::ofstream(run_ / "ranks.json") << text;
    EXPECT_EQ(read_ranks(run_).ranks.size() + size_t(read_ranks(run_).num_ranks), 0) << text;
  }
}

}  // namespace
}  // namespace throng::telemetry
