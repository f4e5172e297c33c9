// The trainer, on a model of its own: what it promises beside the bits, which the operators' tests compare on many numbers of ranks.
#include "framework/train/trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>

#include "framework/base/files.h"
#include "framework/base/random.h"
#include "framework/comm/threads_backend.h"
#include "framework/data/array_store.h"
#include "framework/data/hdf5_lock.h"
#include "framework/nn/layers.h"
#include "framework/nn/objective.h"
#include "framework/tensor/bfloat16.h"
#include "framework/train/checkpoint.h"
#include "framework/train/layered_model.h"
#include "tests/support/batches.h"
#include "tests/support/errors.h"

namespace throng::train {
namespace {

constexpr size_t kWords = 9, kWidth = 5, kLength = 6;
constexpr int32_t kApart = 211;  // rows of a table that words lie apart, so that several ranks own some

/// The next word of made-up sequences, by a recurrent layer and a batch norm.
class NextWord : public LayeredModel {
 public:
  NextWord(comm::Communicator& comm, int shards, size_t examples = 20, bool by_rows = false) : LayeredModel(16, shards, 3) {
    if (!by_rows) words_ = nn::Embedding(parameters_, "words", kWords, kWidth);
    norm_ = nn::BatchNorm(parameters_, "norm", kWidth);
    recurrent_ = nn::Recurrent(parameters_, "recurrent", kWidth, kWidth);
    out_ = nn::Linear(parameters_, "out", kWidth, kWords);
    if (by_rows) words_ = nn::Embedding(parameters_, "words", kWords * size_t(kApart), kWidth, nn::Initial::normal(1), true);
    set_examples(comm, std::vector<size_t>(size_t(comm.first_shard(comm.rank() + 1, shards) - comm.first_shard(comm.rank(), shards)), examples * 8 / size_t(shards)));
  }
  int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const override {
    const volatile float denormal = 1e-40f;  // a processor is many times as slow with these
    EXPECT_EQ(denormal * 2, 0.0f) << "a thread that computes gradients keeps them";
    if (fail_at >= 0 && shard == fail_at) throw data_error("shard {} is rotten", shard);
    std::vector<int32_t> words, next;
    put_words(shard, examples, words, next);
    if (parameters_.is_table(words_.table)) place(words);
    const auto segments = nn::Segments::of_lengths(std::vector<size_t>(examples.size(), kLength));
    return int64_t(nn::cross_entropy<float>(t, out_(t, recurrent_(t, norm_(t, words_(t, words)), segments)), next));
  }
  bool epoch_done(const EpochEnd& end) override {
    losses.push_back(end.training_loss);
    if (after_epoch) after_epoch(end);
    return true;
  }

  void want_rows_of(int shard, std::span<const size_t> examples, Random, nn::TableRows<float>& wanted) const override {
    std::vector<int32_t> words, next;
    put_words(shard, examples, words, next);
    place(words);
    for (int32_t word : words)
      if (word != forgotten) wanted.tables[0].want(word);
  }

  int fail_at = -1;
  int32_t forgotten = -1;
  std::vector<double> losses;
  std::function<void(const EpochEnd&)> after_epoch;

 private:
  static void place(std::vector<int32_t>& words) {
    for (auto& word : words) word = (word + 1) * kApart - 1;
  }
  static void put_words(int shard, std::span<const size_t> examples, std::vector<int32_t>& words, std::vector<int32_t>& next) {
    for (size_t i : examples) {
      Random random{uint64_t(shard), i};
      int32_t word = int32_t(random.below(kWords));
      for (size_t k = 0; k < kLength; ++k) words.push_back(word), word = (word * 2 + int32_t(random.below(2))) % int32_t(kWords), next.push_back(word);
    }
  }
  nn::Embedding words_;
  nn::BatchNorm norm_;
  nn::Recurrent recurrent_;
  nn::Linear out_;
};

struct Outcome {
  Weights weights;
  std::vector<double> losses;
  StepProfile profile;
};

Outcome trained(const std::filesystem::path& folder, int ranks, TrainerOptions options = {}, int threads = 1, bool by_rows = false, std::function<void(const EpochEnd&)> after_epoch = {}) {
  std::filesystem::create_directories(folder);
  Outcome outcome;
  std::mutex mutex;
  comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
    NextWord model(comm, options.shards, 20, by_rows);
    model.after_epoch = after_epoch;
    ThreadPool pool(threads);
    StepProfile profile;
    TrainerOptions mine = options;
    mine.folder = folder, mine.profile = &profile, mine.clip = 0.5;
    auto weights = train(model, comm, pool, mine);
    std::lock_guard lock(mutex);
    if (outcome.weights.empty()) outcome.weights = weights;
    EXPECT_EQ(outcome.weights, weights) << "rank " << comm.rank();
    if (comm.rank() == 0) outcome.losses = model.losses, outcome.profile = profile;
  });
  return outcome;
}

TEST(Trainer, BitsDoNotDependOnRanksThreadsOrOverlap) {
  testing::TemporaryFolder folder;
  for (auto kind : {nn::OptimizerOptions::Kind::kAdam, nn::OptimizerOptions::Kind::kRmsprop, nn::OptimizerOptions::Kind::kSgd}) {
    TrainerOptions options;
    options.epochs = 3, options.optimizer.kind = kind, options.optimizer.lr = 0.01, options.optimizer.momentum = 0.5;
    const std::string name = std::to_string(int(kind)) + " ";
    const Outcome one = trained(folder / (name + "one"), 1, options);
    EXPECT_LT(one.losses.back(), one.losses.front());
    EXPECT_EQ(one.profile.steps, 3 * 10);
    EXPECT_GT(one.profile.gradients, 0);
    for (int ranks : {2, 3, 5, 8})
      for (bool overlap : {true, false}) {
        options.overlap = overlap;
        EXPECT_EQ(trained(folder / fmt::format("{}{} {}", name, ranks, overlap), ranks, options, ranks == 2 ? 2 : 1).weights, one.weights) << ranks << " ranks";
      }
  }
}

TEST(Trainer, ClipsTheLengthOfTheWholeGradient) {
  testing::TemporaryFolder folder;
  for (bool by_rows : {false, true})
    for (int ranks : {1, 3}) {
      // How far the one step of plain descent goes with a rate of 1.
      const auto step = [&](double clip) {
        std::vector<double> moved;
        comm::run_on_threads(ranks, [&](comm::Communicator& comm) {
          NextWord model(comm, 8, 2, by_rows);
          std::vector<float> before(model.parameters().size());
          model.parameters().initialize<float>(before, 1);
          ThreadPool pool(1);
          TrainerOptions options;
          options.optimizer.kind = nn::OptimizerOptions::Kind::kSgd, options.optimizer.lr = 1, options.clip = clip;
          options.folder = folder / fmt::format("{} {} {}", by_rows, ranks, clip);
          if (comm.rank() == 0) std::filesystem::create_directories(options.folder);
          comm.barrier();
          const auto after = train(model, comm, pool, options);
          if (comm.rank() != 0) return;
          for (const auto& e : model.parameters().entries())
            for (size_t i = e.where.at; i < e.where.at + e.where.size() && !e.statistic; ++i) moved.push_back(double(after[i]) - double(before[i]));
        });
        return moved;
      };
      const auto length = [](const std::vector<double>& v) { return std::sqrt(std::inner_product(v.begin(), v.end(), v.begin(), 0.0)); };
      const auto whole = step(0), clipped = step(0.05), long_enough = step(100);
      ASSERT_GT(length(whole), 0.1);
      EXPECT_EQ(long_enough, whole);
      EXPECT_NEAR(length(clipped), 0.05, 1e-6);
      for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(clipped[i], whole[i] * 0.05 / length(whole), 1e-6) << i;
    }
}

// Each rank has a part of the rows; steps bring those that they use together.
TEST(Trainer, TablesLieOverRanks) {
  testing::TemporaryFolder folder;
  for (auto kind : {nn::OptimizerOptions::Kind::kAdam, nn::OptimizerOptions::Kind::kAdagrad, nn::OptimizerOptions::Kind::kSgd}) {
    TrainerOptions options;
    options.epochs = 3, options.optimizer.kind = kind, options.optimizer.lr = 0.05, options.checkpoint_every = 7, options.accumulate = 2;
    const std::string name = std::to_string(int(kind)) + " ";
    const Outcome one = trained(folder / (name + "one"), 1, options, 1, true);
    EXPECT_LT(one.losses.back(), one.losses.front());
    EXPECT_GT(one.profile.rows, 0);
    for (int ranks : {2, 3, 5, 8}) EXPECT_EQ(trained(folder / fmt::format("{}{}", name, ranks), ranks, options, ranks == 2 ? 2 : 1, true).weights, one.weights) << ranks << " ranks";
    // Rows that no step used stay as they begin; others do not.
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      const NextWord model(comm, 8, 20, true);
      std::vector<float> begin(model.parameters().size());
      model.parameters().initialize<float>(begin, options.seed);
      const auto& table = model.parameters().find("words.weight").where;
      for (size_t row = 0; row < table.rows; ++row) {
        const size_t at = table.at + row * kWidth;
        EXPECT_EQ(std::equal(&begin[at], &begin[at + kWidth], one.weights.begin() + at), (row + 1) % size_t(kApart) != 0) << row;
      }
    });
  }
}

// With and without tables, what is handed out is rounded, and training goes on with what it was.
TEST(Trainer, WeightsAreRoundedWhereTheyAreHandedOut) {
  testing::TemporaryFolder folder;
  for (bool by_rows : {false, true}) {
    TrainerOptions options;
    options.epochs = 2, options.optimizer.lr = 0.05;
    const Outcome whole = trained(folder / fmt::format("whole {}", by_rows), 2, options, 1, by_rows);
    options.bfloat16_stored = true;
    const Outcome rounded = trained(folder / fmt::format("rounded {}", by_rows), 3, options, 1, by_rows);
    std::vector<float> expected(whole.weights.begin(), whole.weights.end());
    EXPECT_FALSE(rounded.weights == whole.weights);
    tensor::round_to_bfloat16(expected);
    EXPECT_EQ(rounded.weights, Weights(expected));
    EXPECT_EQ(rounded.losses, whole.losses);
  }
}

TEST(Trainer, TablesGoOnFromCheckpointsOfAnyRanks) {
  testing::TemporaryFolder folder;
  TrainerOptions options;
  options.epochs = 2, options.optimizer.lr = 0.05, options.checkpoint_every = 2;
  const Outcome whole = trained(folder / "whole", 1, options, 1, true);
  const auto tables = [&] {
    int64_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "cut")) n += entry.path().filename().string().starts_with("tables_");
    return n;
  };
  const auto stop = [&](int ranks) {
    options.stop_agreed = [] { return true; };
    EXPECT_THROW(trained(folder / "cut", ranks, options, 1, true), Error);
    options.stop_agreed = nullptr;
    EXPECT_EQ(tables(), ranks) << "one file a rank, of the newest checkpoint alone";
  };
  stop(3), stop(5);
  EXPECT_EQ(trained(folder / "cut", 2, options, 1, true).weights, whole.weights);
  EXPECT_EQ(tables(), 2);
  // Kept ones keep their rows.
  std::filesystem::remove_all(folder / "cut");
  options.keep_checkpoints = 2, options.checkpoint_beside = false;
  EXPECT_EQ(trained(folder / "cut", 3, options, 1, true).weights, whole.weights);
  EXPECT_EQ(tables(), 6);
  Checkpoints::remove_newest(folder / "cut");
  EXPECT_EQ(tables(), 6) << "the newest has a name of its own, too";
  std::filesystem::copy_file(folder / "cut" / "checkpoint_epoch000001_step000000010.h5", folder / "cut" / "checkpoint.h5");
  for (const auto& entry : std::filesystem::directory_iterator(folder / "cut"))
    if (entry.path().filename().string().ends_with("_epoch000001_step000000010_0340.h5")) std::filesystem::remove(entry.path());
  const Error error = testing::error_of([&] { trained(folder / "cut", 2, options, 1, true); });
  EXPECT_EQ(error.fault(), Fault::kData);
  EXPECT_NE(error.text().find("rows of tables are missing: blocks "), std::string::npos) << error.text();
}

// An epoch that begins anew with other shards comes to the same steps again: its rows are not taken for those of the run before.
TEST(Trainer, RowsOfARunBeforeAreNotMixedIn) {
  testing::TemporaryFolder folder;
  TrainerOptions options;
  options.epochs = 2, options.optimizer.lr = 0.05, options.checkpoint_every = 2;
  options.stop_agreed = [] { return true; };
  EXPECT_THROW(trained(folder / "cut", 2, options, 1, true), Error);
  options.stop_agreed = nullptr, options.shards = 4;
  std::filesystem::copy(folder / "cut", folder / "whole");
  const Outcome whole = trained(folder / "whole", 1, options, 1, true);
  options.progress = [&](double, const std::string& text) {
    if (text.find("2/2") != std::string::npos) throw data_error("the power went off");
  };
  for (int ranks : {1, 2}) {
    std::filesystem::remove_all(folder / "again");
    std::filesystem::copy(folder / "cut", folder / "again");
    EXPECT_THROW(trained(folder / "again", ranks, options, 1, true), Error);
    TrainerOptions on = options;
    on.progress = nullptr;
    EXPECT_EQ(trained(folder / "again", 3 - ranks, on, 1, true).weights, whole.weights) << ranks;
  }
}

TEST(Trainer, RowsThatWereNotAskedForAreABug) {
  testing::TemporaryFolder folder;
  const Error error = testing::error_of([&] {
    comm::run_on_threads(2, [&](comm::Communicator& comm) {
      NextWord model(comm, 8, 20, true);
      model.forgotten = 5 * kApart - 1;
      ThreadPool pool(1);
      TrainerOptions options;
      options.folder = folder.path();
      train(model, comm, pool, options);
    });
  });
  EXPECT_NE(error.text().find("row 1054 of 'words.weight' is not among those that the model said it uses"), std::string::npos) << error.text();
}

TEST(Trainer, CheckpointsComeBySteps) {
  testing::TemporaryFolder folder;
  TrainerOptions options;
  options.epochs = 2, options.optimizer.lr = 0.01, options.checkpoint_every = 0;
  const Outcome whole = trained(folder / "whole", 1, options);
  // Stopped at the first look, and gone on from on other ranks.
  options.keep_checkpoints = 3, options.checkpoint_every = 2, options.checkpoint_beside = false;
  options.stop_agreed = [] { return true; };
  EXPECT_THROW(trained(folder / "cut", 3, options), Error);
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "cut")) found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
  };
  EXPECT_EQ(names(), (std::vector<std::string>{"checkpoint.h5", "checkpoint_epoch000000_step000000004.h5", "checkpoint_epoch000000_step000000006.h5", "checkpoint_epoch000000_step000000008.h5"}));
  options.stop_agreed = nullptr;
  EXPECT_EQ(trained(folder / "cut", 2, options).weights, whole.weights);
  EXPECT_EQ(names().size(), 4u);
  // An older one, put in the newest one's place, is gone on from.
  std::filesystem::copy_file(folder / "cut" / names()[1], folder / "cut" / "checkpoint.h5", std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(trained(folder / "cut", 5, options).weights, whole.weights);
}

TEST(Trainer, CheckpointsComeByTime) {
  testing::TemporaryFolder folder;
  TrainerOptions options;
  options.epochs = 2, options.checkpoint_every = 0, options.keep_checkpoints = 100, options.checkpoint_beside = false;
  auto count = [&](const std::string& name) { return std::distance(std::filesystem::directory_iterator(folder / name), std::filesystem::directory_iterator{}); };
  trained(folder / "epochs", 2, options);
  EXPECT_EQ(count("epochs"), 1 + 2);
  options.checkpoint_seconds = 1e-9;  // whenever the clock is looked at: once in an epoch of ten steps
  trained(folder / "timed", 2, options);
  EXPECT_EQ(count("timed"), 1 + 2 + 2);
  options.checkpoint_seconds = 1e9;
  trained(folder / "seldom", 2, options);
  EXPECT_EQ(count("seldom"), 1 + 2);
}

// The disk is held up from the first step of the first epoch to the second epoch: were a step to wait for it, it would wait for ever.
TEST(Trainer, StepsDoNotWaitForTheDisk) {
  for (const bool by_rows : {false, true})
    for (const int64_t keep : {1, 2}) {
      testing::TemporaryFolder folder;
      TrainerOptions options;
      options.epochs = 3, options.checkpoint_every = 0;
      const Outcome whole = trained(folder / "whole", 1, options, 1, by_rows);
      options.checkpoint_every = 1, options.keep_checkpoints = keep;
      std::unique_lock disk(data::lock_of_hdf5(), std::defer_lock);
      int64_t seen = 0;
      options.progress = [&](double, const std::string& text) {  // on the thread of rank 0, in the first step of each epoch
        if (text.find("1/3") != std::string::npos) disk.lock();
        if (text.find("2/3") != std::string::npos) seen = std::filesystem::exists(folder / "slow" / "checkpoint.h5"), disk.unlock();
      };
      std::vector<int64_t> told, written;
      const auto slow = trained(folder / "slow", 1, options, 1, by_rows, [&](const EpochEnd& end) {
        told.push_back(end.epoch);
        end.before_checkpoint([&written, &folder, epoch = end.epoch] {
          written.push_back(epoch);
          if (epoch == 0) return;
          EXPECT_LE(data::ArrayStore::load(folder / "slow" / "checkpoint.h5").integers("cursor").at(0), epoch) << "called after its checkpoint was put in its place";
        });
      });
      EXPECT_EQ(slow.weights, whole.weights);
      EXPECT_EQ(seen, 0) << "the disk was not held up";
      EXPECT_EQ(data::ArrayStore::load(folder / "slow" / "checkpoint.h5").integers("cursor").at(0), 3) << "the last one is there";
      EXPECT_EQ(told, (std::vector<int64_t>{0, 1, 2}));
      EXPECT_EQ(written.back(), 2);
      EXPECT_TRUE(std::is_sorted(written.begin(), written.end()));
    }
}

TEST(Trainer, OtherShardsBeginTheEpochAnew) {
  testing::TemporaryFolder folder;
  TrainerOptions options;
  options.epochs = 2, options.checkpoint_every = 4, options.checkpoint_beside = false;
  options.progress = [&](double, const std::string& text) {
    if (text.find("2/2") != std::string::npos) throw data_error("the power went off");
  };
  EXPECT_THROW(trained(folder / "cut", 1, options), Error);
  auto store = data::ArrayStore::load(folder / "cut" / "checkpoint.h5");
  EXPECT_EQ(store.integers("cursor").at(4), 8);
  options.progress = nullptr, options.shards = 4;
  const Outcome other = trained(folder / "cut", 1, options);
  EXPECT_EQ(other.losses.size(), 1u) << "one epoch was left";
}

TEST(Trainer, AnErrorInOneShardEndsAllRanks) {
  testing::TemporaryFolder folder;
  for (int failing : {0, 7}) {
    try {
      comm::run_on_threads(3, [&](comm::Communicator& comm) {
        NextWord model(comm, 8);
        model.fail_at = failing;
        ThreadPool pool(1);
        TrainerOptions options;
        options.folder = folder.path();
        train(model, comm, pool, options);
      });
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.message(), fmt::format("shard {} is rotten", failing));
    }
  }
}

/// Counts how often each example is used, and the rows of each minibatch.
class Counting : public LayeredModel {
 public:
  Counting(comm::Communicator& comm, int shards, int64_t batch, int64_t batch_rows, const std::vector<std::vector<uint32_t>>& all) : LayeredModel(batch, shards, 3, batch_rows), lengths(all) {
    weight_ = parameters_.add("w", 1, 1, nn::Initial::constant(1));
    const int first = comm.first_shard(comm.rank(), shards), end = comm.first_shard(comm.rank() + 1, shards);
    set_example_lengths(comm, {all.begin() + first, all.begin() + end});
    for (const auto& shard : all) used.emplace_back(shard.size(), 0);
    rows.resize(all.size());
  }
  int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const override {
    int64_t n = 0;
    for (size_t i : examples) ++used[size_t(shard)][i], n += lengths[size_t(shard)][i];
    rows[size_t(shard)].push_back(n);
    const float one = 1;
    nn::weighted_sum(t, t.weights(weight_), &one);
    return n;
  }
  const std::vector<std::vector<uint32_t>>& lengths;
  mutable std::vector<std::vector<int>> used;
  mutable std::vector<std::vector<int64_t>> rows;
  nn::Parameter weight_;
};

TEST(LayeredModel, MinibatchesByRowsTakeEachExampleOnce) {
  testing::TemporaryFolder folder;
  // Short and long ones, one longer than a minibatch, a shard with few and one with none.
  std::vector<std::vector<uint32_t>> lengths(4);
  Random random(1, 2);
  for (int i = 0; i < 300; ++i) lengths[0].push_back(1 + random.below(30)), lengths[2].push_back(1 + random.below(3));
  lengths[0][17] = 400, lengths[3] = {5, 1};
  comm::run_on_threads(1, [&](comm::Communicator& comm) {
    Counting model(comm, 4, 8, 400, lengths);
    const int64_t total = std::accumulate(lengths[0].begin(), lengths[0].end(), int64_t{0});
    EXPECT_EQ(model.steps_per_epoch(), (total + 99) / 100);
    ThreadPool pool(1);
    TrainerOptions options;
    options.shards = 4, options.epochs = 3, options.folder = folder.path();
    train(model, comm, pool, options);
    for (const auto& shard : model.used)
      for (int times : shard) EXPECT_EQ(times, 3);
    for (size_t s : {0, 2}) {
      const double even = double(std::accumulate(lengths[s].begin(), lengths[s].end(), int64_t{0})) / double(model.steps_per_epoch());
      size_t large = 0;
      for (int64_t n : model.rows[s]) large += double(n) > even + 30;
      EXPECT_LE(large, s == 0 ? 3u : 0u) << "only with the longest, once an epoch";
    }
  });
}

/// Notes what is asked for ahead, and what is then used.
class Prefetched : public Counting {
 public:
  using Counting::Counting;
  int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const override {
    used_then[size_t(shard)].emplace_back(examples.begin(), examples.end());
    return Counting::put_loss(t, shard, examples);
  }
  void prefetch_examples(int shard, std::span<const size_t> examples) const override {
    auto& asked = asked_for[size_t(shard)];
    EXPECT_EQ(used_then[size_t(shard)].size() % steps_of_epoch + 1, asked.size() % (steps_of_epoch - 1) + 1) << "before the minibatch before it";
    asked.emplace_back(examples.begin(), examples.end());
  }
  using Examples = std::vector<std::vector<size_t>>;
  size_t steps_of_epoch = 0;
  mutable std::vector<Examples> asked_for, used_then;
};

TEST(LayeredModel, TheNextMinibatchIsAskedForAhead) {
  testing::TemporaryFolder folder;
  const std::vector<std::vector<uint32_t>> lengths(4, std::vector<uint32_t>(21, 1));
  for (int64_t accumulate : {1, 3})
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      Prefetched model(comm, 4, 20, 0, lengths);
      ASSERT_EQ(model.steps_per_epoch(), 5);
      model.steps_of_epoch = 5, model.asked_for.resize(4), model.used_then.resize(4);
      ThreadPool pool(2);
      TrainerOptions options;
      options.shards = 4, options.epochs = 2, options.accumulate = accumulate, options.folder = folder / std::to_string(accumulate);
      std::filesystem::create_directories(options.folder);
      train(model, comm, pool, options);
      for (size_t s = 0; s < 4; ++s) {
        ASSERT_EQ(model.used_then[s].size(), 10u);
        Prefetched::Examples all_but_first;
        for (size_t i = 0; i < 10; ++i)
          if (i % 5 != 0) all_but_first.push_back(model.used_then[s][i]);
        EXPECT_EQ(model.asked_for[s], all_but_first) << "shard " << s;
      }
    });
}

TEST(Trainer, ShardsOfARun) {
  comm::run_on_threads(3, [&](comm::Communicator& comm) {
    ThreadPool one(1), two(2);
    EXPECT_EQ(shards_of_run(8, true, comm, two), 8);
    EXPECT_EQ(shards_of_run(8, false, comm, one), 4);
    EXPECT_EQ(shards_of_run(2, false, comm, two), 8);
    EXPECT_THROW(check_shards(2, true, comm.size()), Error);
    check_shards(2, false, comm.size()), check_shards(4, true, comm.size());
  });
}

}  // namespace
}  // namespace throng::train
