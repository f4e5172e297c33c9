// The curve of a training run: patience, the best epoch's weights, and epochs that are gone through again after a crash.
#include "framework/train/epoch_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "framework/comm/threads_backend.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng::train {
namespace {

using ::testing::HasSubstr;

nlohmann::json point(int64_t epoch, double score) { return {{"epoch", epoch + 1}, {"score", score}}; }
std::vector<float> weights(float number) { return {number, number}; }
/// What the trainer tells of an epoch whose checkpoint follows at once.
EpochEnd end_of(int64_t epoch, float number) {
  return {epoch, 0, [number] { return Weights(weights(number)); }, [](const std::function<void()>& write) { write(); }};
}

TEST(EpochCurve, PatienceGoesByTheBest) {
  for (bool higher : {false, true}) {
    testing::TemporaryFolder folder;
    comm::run_on_threads(2, [&](comm::Communicator& comm) {
      EpochCurve curve(comm, folder.path(), "score", higher);
      const double sign = higher ? -1 : 1;
      EXPECT_TRUE(curve.add_validated(end_of(0, 0), point(0, sign * 3), 2));
      EXPECT_TRUE(curve.add_validated(end_of(1, 1), point(1, sign * 2), 2));
      EXPECT_TRUE(curve.add_validated(end_of(2, 2), point(2, sign * 2), 2)) << "as good is not better";
      EXPECT_FALSE(curve.add_validated(end_of(3, 3), point(3, sign * 2.5), 2));
      EXPECT_EQ(curve.best_weights(2), Weights(weights(1)));
      EXPECT_EQ(curve.points().size(), 4u);
    });
  }
}

// Killed after the best epoch's weights were written, but before its checkpoint: it is gone through again, and is not the best any more.
TEST(EpochCurve, TheBestOfARunThatWentOnIsOneOfItsOwn) {
  testing::TemporaryFolder folder;
  const auto go_on = [&](double score, float number) {
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      EpochCurve curve(comm, folder.path(), "score");
      ASSERT_EQ(curve.points().size(), 2u);
      EXPECT_TRUE(curve.add_validated(end_of(1, number), point(1, score), 0));
      EXPECT_EQ(curve.best_weights(2), Weights(score < 2 ? weights(number) : weights(0)));
      EXPECT_THROW(curve.best_weights(3), Error);
    });
  };
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    EpochCurve curve(comm, folder.path(), "score");
    curve.add_validated(end_of(0, 0), point(0, 2), 0), curve.add_validated(end_of(1, 1), point(1, 1), 0);
  });
  folder.write("checkpoint.h5", "there is one");
  go_on(3, 7);
  go_on(1.5, 8);
  EpochCurve::remove_files(folder.path());
  for (const char* name : {"best.h5", "best_before.h5", "checkpoint.h5"}) EXPECT_FALSE(std::filesystem::exists(folder / name)) << name;
}

// An older checkpoint was put in the newest one's place, and better epochs took the place of its best weights since. With other shards they may not come again.
TEST(EpochCurve, AnEpochWhoseWeightsAreGoneIsNotTheBest) {
  testing::TemporaryFolder folder;
  comm::run_on_threads(2, [&](comm::Communicator& comm) {
    EpochCurve curve(comm, folder.path(), "score");
    for (int64_t epoch = 0; epoch < 4; ++epoch) curve.add_validated(end_of(epoch, float(epoch)), point(epoch, 5 - double(epoch)), 0);
  });
  folder.write("checkpoint.h5", "there is one");
  for (const bool better : {false, true}) {
    comm::run_on_threads(2, [&](comm::Communicator& comm) {
      EpochCurve curve(comm, folder.path(), "score");
      curve.add_validated(end_of(2, 12), point(2, 4.5), 0), curve.add_validated(end_of(3, 13), point(3, better ? 1 : 6), 0);
      EXPECT_EQ(curve.best_weights(2), Weights(weights(better ? 13 : 12)));
      EXPECT_EQ(curve.points().size(), 4u);
      EXPECT_EQ(curve.points()[1]["score"], 4);
    });
    // Stopped when all epochs were done: the best is the same.
    comm::run_on_threads(2, [&](comm::Communicator& comm) { EXPECT_EQ(EpochCurve(comm, folder.path(), "score").best_weights(2), Weights(weights(better ? 13 : 12))); });
  }
}

// What is not on disk when the next better epoch ends need not come there: the checkpoint that goes with it did not, either.
TEST(EpochCurve, WeightsComeToDiskWithTheCheckpoint) {
  testing::TemporaryFolder folder;
  comm::run_on_threads(2, [&](comm::Communicator& comm) {
    EpochCurve curve(comm, folder.path(), "score");
    std::vector<std::function<void()>> writes;
    const auto late = [&](int64_t epoch) {
      EpochEnd end = end_of(epoch, float(epoch));
      end.before_checkpoint = [&](std::function<void()> write) { writes.push_back(std::move(write)); };
      return end;
    };
    curve.add_validated(late(0), point(0, 3), 0), curve.add_validated(late(1), point(1, 4), 0), curve.add_validated(late(2), point(2, 2), 0);
    EXPECT_EQ(writes.size(), comm.rank() == 0 ? 2u : 0u) << "of the better epochs, on one rank";
    EXPECT_THROW(curve.best_weights(2), Error);
    comm.barrier();
    if (comm.rank() == 0) writes.back()();
    comm.barrier();
    EXPECT_EQ(curve.best_weights(2), Weights(weights(2)));
  });
}

TEST(EpochCurve, AScoreThatIsNoNumberIsAnError) {
  testing::TemporaryFolder folder;
  for (double score : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    const Error error = testing::error_of([&] {
      comm::run_on_threads(1, [&](comm::Communicator& comm) { EpochCurve(comm, folder.path(), "score").add_validated(end_of(0, 0), point(0, score), 0); });
    });
    EXPECT_EQ(error.fault(), Fault::kData);
    EXPECT_THAT(error.text(), HasSubstr("after epoch 1"));
  }
}

}  // namespace
}  // namespace throng::train
