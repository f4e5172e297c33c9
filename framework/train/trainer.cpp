#include "framework/train/trainer.h"

#include <cmath>

#include "framework/base/clock.h"
#include "framework/data/array_store.h"
#include "framework/nn/normalization.h"
#include "framework/train/table_sums.h"

namespace throng::train {
namespace {

struct State {
  std::vector<float> weights;
  nn::Optimizer<float> optimizer;
  int64_t epoch = 0, step = 0;  // the next step to do
  double epoch_loss = 0;
  int64_t epoch_targets = 0;

  void save(const std::filesystem::path& path) const {
    data::ArrayStore store;
    store.put("weights", weights);
    for (size_t i = 0; i < optimizer.state().size(); ++i) store.put("optimizer_" + std::to_string(i), optimizer.state()[i]);
    store.put("cursor", std::vector<int64_t>{epoch, step, optimizer.steps(), epoch_targets});
    store.put("epoch_loss", std::vector<double>{epoch_loss});
    store.save(path);
  }
  void load(const std::filesystem::path& path) {
    auto store = data::ArrayStore::load(path);
    weights = store.floats("weights");
    for (size_t i = 0; i < optimizer.state().size(); ++i) optimizer.state()[i] = store.floats("optimizer_" + std::to_string(i));
    const auto& cursor = store.integers("cursor");
    epoch = cursor.at(0), step = cursor.at(1), epoch_targets = cursor.at(3);
    optimizer.set_steps(cursor.at(2));
    epoch_loss = store.doubles("epoch_loss").at(0);
  }
};

}  // namespace

std::vector<float> train(Model& model, comm::Communicator& comm, ThreadPool& pool, const TrainerOptions& options) {
  const std::filesystem::path checkpoint = options.folder / "checkpoint.h5";
  const int first = comm.first_shard(comm.rank(), options.shards), owned = comm.first_shard(comm.rank() + 1, options.shards) - first;
  const nn::Parameters& parameters = model.parameters();
  State state{{}, nn::Optimizer<float>(options.optimizer, parameters)};
  nn::Schedule schedule = options.schedule;
  const int64_t batches = model.steps_per_epoch(), steps = (batches + options.accumulate - 1) / options.accumulate;
  if (schedule.steps == 0) schedule.steps = options.epochs * steps;
  int64_t there = comm.rank() == 0 && std::filesystem::exists(checkpoint);
  if (comm.allreduce(there)) {
    state.load(checkpoint);
    if (state.weights.size() != parameters.size()) throw data_error("{}: belongs to another model", checkpoint.string());
  } else {
    state.weights.resize(parameters.size());
    parameters.initialize<float>(state.weights, options.seed);
    if (options.begin) options.begin(state.weights);
  }
  auto write_checkpoint = [&] {
    if (comm.rank() == 0) state.save(checkpoint);
    comm.barrier();
  };

  std::vector<std::vector<float>> gradients(static_cast<size_t>(owned), std::vector<float>(parameters.dense_size()));
  std::vector<nn::TableGradients<float>> tables(static_cast<size_t>(owned), nn::TableGradients<float>(parameters));
  nn::TableGradients<float> table_sums(parameters);
  std::vector<ShardLoss> losses(static_cast<size_t>(owned));
  std::vector<float> gradient(parameters.dense_size());
  std::vector<double> loss_parts(static_cast<size_t>(owned) * 2), loss_sum(2);
  Stopwatch since_stop_check;
  for (; state.epoch < options.epochs; ++state.epoch, state.step = 0, state.epoch_loss = 0, state.epoch_targets = 0) {
    for (; state.step < steps; ++state.step) {
      pool.parallel_for(static_cast<size_t>(owned), [&](size_t s) {
        std::fill(gradients[s].begin(), gradients[s].end(), 0.0f);
        tables[s].clear();
        losses[s] = {};
        for (int64_t batch = state.step * options.accumulate; batch < std::min(batches, (state.step + 1) * options.accumulate); ++batch) {
          const ShardLoss more = model.gradient(state.weights, state.epoch, batch, first + int(s), gradients[s], tables[s]);
          losses[s].loss += more.loss, losses[s].targets += more.targets;
        }
      });
      std::vector<std::span<float>> spans(gradients.begin(), gradients.end());
      std::vector<std::span<double>> loss_spans;
      for (size_t s = 0; s < losses.size(); ++s) {
        loss_parts[2 * s] = losses[s].loss, loss_parts[2 * s + 1] = double(losses[s].targets);
        loss_spans.emplace_back(&loss_parts[2 * s], 2);
      }
      comm.sum_shards(spans, options.shards, gradient);
      comm.sum_shards(loss_spans, options.shards, loss_sum);
      table_sums.clear();
      sum_tables(comm, tables, table_sums);
      if (!std::isfinite(loss_sum[0]))
        throw data_error("loss became {} at epoch {}, step {} with lr {}", loss_sum[0], state.epoch + 1, state.step + 1, options.optimizer.lr)
            .with_hint("lower lr, or set clip to 1");
      nn::update_statistics<float>(parameters, state.weights, gradient);
      if (loss_sum[1] > 0) {
        const float scale = 1.0f / float(loss_sum[1]);
        for (float& g : gradient) g *= scale;
        for (auto& table : table_sums.tables) table.scale(scale);
        if (options.clip > 0) nn::clip_norm(gradient, options.clip, &table_sums);
        state.optimizer.update(state.weights, gradient, schedule.at(state.optimizer.steps()), &table_sums);
      }
      state.epoch_loss += loss_sum[0];
      state.epoch_targets += int64_t(loss_sum[1]);

      if (options.progress && state.step % 10 == 0) {
        double done = (double(state.epoch) + double(state.step + 1) / double(std::max<int64_t>(1, steps))) / double(options.epochs);
        options.progress(done, fmt::format("epoch {}/{} loss {:.4f}", state.epoch + 1, options.epochs, state.epoch_loss / double(std::max<int64_t>(1, state.epoch_targets))));
      }
      const bool at_checkpoint = options.checkpoint_every > 0 && (state.step + 1) % options.checkpoint_every == 0;
      const bool stop = (state.step + 1) % 8 == 0 && options.stop_agreed && options.stop_agreed();
      if (at_checkpoint || stop) {
        ++state.step;
        write_checkpoint();
        --state.step;
      }
      if (stop) throw Error(Fault::kStopped, fmt::format("stopped at a checkpoint as asked (epoch {}, step {})", state.epoch + 1, state.step + 1)).with_hint("go on with --resume");
    }
    const bool more = model.epoch_done(state.epoch, state.epoch_loss / double(std::max<int64_t>(1, state.epoch_targets)), state.weights);
    if (comm.rank() == 0) {
      State next = state;
      next.epoch = more ? state.epoch + 1 : options.epochs, next.step = 0, next.epoch_loss = 0, next.epoch_targets = 0;
      next.save(checkpoint);
    }
    comm.barrier();
    if (!more) break;
    // Epochs may be shorter than the steps between two looks at the wish to stop.
    if (state.epoch + 1 < options.epochs && options.stop_agreed && options.stop_agreed())
      throw Error(Fault::kStopped, fmt::format("stopped at a checkpoint as asked (after epoch {})", state.epoch + 1)).with_hint("go on with --resume");
  }
  return state.weights;
}

}  // namespace throng::train
