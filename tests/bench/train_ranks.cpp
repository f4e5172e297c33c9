// On the ranks that it is started with. usage: throng_train_ranks_bench CASE DATA STEPS SHARDS
//   lm-..: a language model's steps through the trainer. DATA: see train_data.h. Rank 0 prints {"losses", "seconds", "profile"}: the loss before each of the first
//     five steps, the time of each of the STEPS steps, and where the time went.
//   allreduce-MIB: one vector of each rank to its sum on all, in turn with MPI_Allreduce in place; DATA and SHARDS have no part. {"seconds", "mpi", "equal"}.
#include <mpi.h>

#include <iostream>

#include "framework/base/clock.h"
#include "framework/base/heap.h"
#include "framework/comm/mpi_backend.h"
#include "framework/nn/layers.h"
#include "framework/nn/objective.h"
#include "framework/train/gradient_sums.h"
#include "framework/train/trainer.h"
#include "tests/bench/train_data.h"

using namespace throng;  // NOLINT: a program of one file
using nlohmann::json;

namespace {

/// The batch's sequences, dealt to shards in order; each step is of the same batch.
class LanguageModel : public train::Model {
 public:
  LanguageModel(const TrainData& data, const std::string& cell, const std::vector<size_t>& shape, int shards, int first, int64_t steps)
      : time_(shape[1]), sequences_(shape[0] / size_t(shards)), shards_(shards), first_(first), steps_(steps), losses_(size_t(steps), std::vector<double>(size_t(shards))) {
    const size_t B = shape[0], V = shape[2], E = shape[3];
    hidden_ = shape[4], cell_ = cell == "lstm" ? nn::Cell::kLstm : cell == "gru" ? nn::Cell::kGru : nn::Cell::kRnn;
    embedding_ = nn::Embedding(parameters_, "e", V, E);
    weights_ = parameters_.add("r", 1, nn::RecurrentLayer<float>(cell_, E, hidden_).num_weights(), nn::Initial::constant(0));
    out_ = nn::Linear(parameters_, "o", hidden_, V);
    const auto x = data.ids("x"), y = data.ids("y");
    for (int s = 0; s < shards; ++s) {
      inputs_.emplace_back(), targets_.emplace_back();
      for (size_t t = 0; t < time_; ++t)
        for (size_t b = size_t(s) * sequences_; b < size_t(s + 1) * sequences_; ++b) inputs_.back().push_back(x[t * B + b]), targets_.back().push_back(y[t * B + b]);
    }
  }
  const nn::Parameters& parameters() const override { return parameters_; }
  int64_t steps_per_epoch() const override { return steps_; }
  train::ShardLoss gradient(std::span<const float> weights, int64_t, int64_t step, int shard, const train::ShardGradient& into) override {
    if (shard == first_) {
      if (step > 0) seconds.push_back(watch_.seconds());
      watch_ = Stopwatch();
    }
    thread_local nn::Tape<float> t;
    t.start(parameters_, weights, into.dense, 0, 0, &into.tables, &into.packed);
    const auto packing = nn::Packing::of(std::vector<size_t>(sequences_, time_));
    const nn::Var h = nn::recurrent(t, embedding_(t, inputs_[size_t(shard)]), packing, cell_, hidden_, weights_);
    nn::linear_cross_entropy<float>(t, h, out_.weight, out_.bias, targets_[size_t(shard)]);
    losses_[size_t(step)][size_t(shard)] = t.loss();
    t.backward(into.complete);
    return {t.loss(), int64_t(sequences_ * time_)};
  }
  bool epoch_done(const train::EpochEnd&) override { return true; }

  double loss(comm::Communicator& comm, size_t step) {
    std::vector<std::span<double>> mine;
    for (int s = comm.first_shard(comm.rank(), shards_); s < comm.first_shard(comm.rank() + 1, shards_); ++s) mine.emplace_back(&losses_[step][size_t(s)], 1);
    double sum = 0;
    comm.sum_shards(mine, shards_, std::span(&sum, 1));
    return sum / double(sequences_ * time_ * size_t(shards_));
  }

  std::vector<double> seconds;

 private:
  size_t time_, sequences_, hidden_ = 0;
  int shards_, first_;
  int64_t steps_;
  nn::Cell cell_{};
  nn::Parameters parameters_;
  nn::Embedding embedding_;
  nn::Parameter weights_;
  nn::Linear out_;
  std::vector<std::vector<int32_t>> inputs_, targets_;
  std::vector<std::vector<double>> losses_;
  Stopwatch watch_;
};

json allreduce(comm::Communicator& comm, size_t mebibytes, int64_t steps) {
  nn::Parameters p;
  p.add("vector", mebibytes << 8, 1024, nn::Initial::constant(0));
  train::GradientSums sums(comm, p, comm.size(), {.background = false, .host_memory = std::getenv("THRONG_BENCH_NO_HOST_MEMORY") == nullptr});
  std::vector<float> values(p.size());
  json ours = json::array(), theirs = json::array();
  bool equal = true;
  ThreadPool pool(1);
  for (int64_t step = 0; step < steps; ++step) {
    const auto fill = [&](std::span<float> v) {
      for (size_t i = 0; i < v.size(); ++i) v[i] = float(i % 1000) + float(comm.rank() + step);
    };
    sums.begin();
    sums.start();
    fill(sums.of(0)), fill(values);
    comm.barrier();
    Stopwatch watch;
    sums.complete(0);
    sums.finish(pool);
    sums.share(sums.sum());
    comm.barrier();
    ours.push_back(watch.seconds());
    watch = Stopwatch();
    MPI_Allreduce(MPI_IN_PLACE, values.data(), int(values.size()), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    theirs.push_back(watch.seconds());
    equal = equal && std::equal(values.begin(), values.end(), sums.sum().begin());
  }
  return {{"seconds", ours}, {"mpi", theirs}, {"equal", equal}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::cerr << "usage: throng_train_ranks_bench CASE DATA STEPS SHARDS" << std::endl, 2;
  keep_freed_memory();  // as the program does
  const std::string name = argv[1];
  const bool vector = name.starts_with("allreduce-");
  const std::string cell = vector ? "" : name.substr(3, name.find('-', 3) - 3), shape = name.substr(name.rfind('-') + 1);
  const int64_t steps = std::stoll(argv[3]) + 6;
  const int shards = std::stoi(argv[4]);
  return comm::run_on_mpi(
      [&](comm::Communicator& comm) {
        if (vector) {
          const json result = allreduce(comm, std::stoul(name.substr(10)), steps);
          if (comm.rank() == 0) std::cout << result.dump() << std::endl;
          return 0;
        }
        const TrainData data(argv[2]);
        LanguageModel model(data, cell, shape_of(shape), shards, comm.first_shard(comm.rank(), shards), steps);
        ThreadPool pool(1);
        train::TrainerOptions options;
        options.shards = shards, options.clip = 0, options.checkpoint_every = 0, options.folder = std::filesystem::path(argv[2]).parent_path() / "ranks";
        std::filesystem::create_directories(options.folder);
        train::StepProfile profile;
        options.profile = &profile;
        options.overlap = std::getenv("THRONG_BENCH_NO_OVERLAP") == nullptr, options.host_memory = std::getenv("THRONG_BENCH_NO_HOST_MEMORY") == nullptr;
        options.begin = [&](std::span<float> weights) { data.copy_weights(model.parameters(), weights); };
        train::train(model, comm, pool, options);
        json losses = json::array();
        for (size_t step = 0; step < 5; ++step) losses.push_back(model.loss(comm, step));
        if (comm.rank() == 0) {
          std::filesystem::remove_all(options.folder);
          std::cout << json{{"losses", losses}, {"seconds", std::vector<double>(model.seconds.begin() + 5, model.seconds.end())}, {"profile", profile.to_json()}}.dump() << std::endl;
        }
        comm.barrier();
        return 0;
      },
      [](const Error& error) { std::cerr << "throng_train_ranks_bench: " << error.message() << std::endl; });
}
