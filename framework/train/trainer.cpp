#include "framework/train/trainer.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "framework/base/clock.h"
#include "framework/nn/normalization.h"
#include "framework/tensor/bfloat16.h"
#include "framework/train/checkpoint.h"
#include "framework/train/gradient_sums.h"
#include "framework/train/sampled_softmax.h"
#include "framework/train/table_shards.h"
#include "framework/train/table_softmax.h"

namespace throng::train {
namespace {

constexpr int64_t kStepsBetweenLooks = 8;  // at the wish to stop, and at the clock

/// Collective. The length of the gradient of which each rank has its slices: blocks are added up in their order, whoever has them.
double norm_of(comm::Communicator& comm, ThreadPool& pool, const GradientSums& sums, std::span<const float> gradient, const TableShards& tables) {
  auto for_blocks = [&](int rank, const auto& visit) {
    for (const nn::Slice& slice : sums.slices(rank))
      for (size_t at = slice.begin; at < slice.end; at += nn::kNormBlock) visit(at, std::min(nn::kNormBlock, slice.end - at));
  };
  std::vector<std::span<const float>> own;
  for_blocks(comm.rank(), [&](size_t at, size_t n) { own.push_back(gradient.subspan(at, n)); });
  std::vector<double> parts(own.size());
  constexpr size_t kAtOnce = 16;
  pool.parallel_for((own.size() + kAtOnce - 1) / kAtOnce, [&](size_t i) {
    for (size_t k = i * kAtOnce; k < std::min(own.size(), (i + 1) * kAtOnce); ++k) parts[k] = nn::squares_of(own[k]);
  });
  const std::string mine(reinterpret_cast<const char*>(parts.data()), parts.size() * sizeof(double));
  std::vector<double> blocks((gradient.size() + nn::kNormBlock - 1) / nn::kNormBlock);
  const auto all = comm.allgather(mine);
  for (int r = 0; r < comm.size(); ++r) {
    size_t read = 0;
    for_blocks(r, [&](size_t at, size_t) { std::memcpy(&blocks[at / nn::kNormBlock], all[size_t(r)].data() + read, sizeof(double)), read += sizeof(double); });
  }
  double squares = 0;
  for (double b : blocks) squares += b;
  return std::sqrt(squares + (tables.none() ? 0 : tables.squares()));
}

/// Collective. Rank 0 writes what all have, and all read it as memory. Nobody reads that of an earlier epoch any more.
Weights through_file(comm::Communicator& comm, const TrainerOptions& options, const nn::Parameters& parameters, std::span<const float> dense, const TableShards& tables, int64_t epochs) {
  const auto path = Checkpoints::weights_file(options.folder, epochs);
  std::optional<WeightsFile> file;
  if (comm.rank() == 0) file.emplace(path, parameters.size()), file->put(0, dense);
  tables.gather([&](size_t at, std::span<float> rows) {
    if (options.bfloat16_stored) tensor::round_to_bfloat16(rows);
    file->put(at, rows);
  });
  if (file) file->finish(epochs), Checkpoints::remove_weights_files(options.folder, epochs);
  comm.barrier();
  if (WeightsFile::epoch_of(path) != epochs) throw system_error("{}: this host still sees an older file", path.string()).with_hint("does the file system show all hosts the same?");
  return Weights::of(path, parameters.size());
}

bool has_statistics(const nn::Parameters& parameters) {
  for (const auto& e : parameters.entries())
    if (e.statistic) return true;
  return false;
}

}  // namespace

SoftmaxStates Model::forward(std::span<const float>, int64_t, int64_t, int, const ShardGradient&) { THRONG_CHECK(false, "a model with a softmax over ranks goes forward and back"); }
size_t Model::go_back(int, std::span<const float>, const std::function<void(size_t)>&) { THRONG_CHECK(false, "a model with a softmax over ranks goes forward and back"); }

nlohmann::json StepProfile::to_json() const {
  return {{"steps", steps}, {"rows", rows}, {"gradients", gradients}, {"sums", sums}, {"update", update}, {"share", share}, {"checkpoint", checkpoint}, {"tape_bytes", tape_bytes}};
}

int shards_of_run(int wanted, bool reproducible, const comm::Communicator& comm, const ThreadPool& pool) {
  return reproducible ? wanted : int(std::bit_ceil(unsigned(comm.size()) * unsigned(pool.num_threads())));
}

void check_shards(int shards, bool reproducible, int num_ranks) {
  if (reproducible && shards < num_ranks)
    throw job_error("'shards' is {}, fewer than the {} ranks: some would do nothing", shards, num_ranks)
        .with_hint(fmt::format("set shards to {}, which changes the result, or start fewer ranks", std::bit_ceil(unsigned(num_ranks))));
}

void check_batch(int64_t batch, int64_t rows, int shards) {
  if (rows > 0 && rows < shards) throw job_error("'batch_rows' is {}; expected at least 'shards', {}", rows, shards);
  if (rows == 0 && batch < shards) throw job_error("'batch' is {}; expected at least 'shards', {}", batch, shards);
}

Weights train(Model& model, comm::Communicator& comm, ThreadPool& pool, const TrainerOptions& options) {
  const int first = comm.first_shard(comm.rank(), options.shards), owned = comm.first_shard(comm.rank() + 1, options.shards) - first;
  const nn::Parameters& parameters = model.parameters();
  GradientSums sums(comm, parameters, options.shards, {.background = options.overlap, .wire = options.bfloat16_wire ? GradientSums::Wire::kBfloat16 : GradientSums::Wire::kFloat32, .host_memory = options.host_memory});
  nn::Optimizer<float> optimizer(options.optimizer, parameters, sums.slices(), false);
  TableShards tables(comm, parameters, options.optimizer);
  const SoftmaxClasses classes = model.softmax();
  std::optional<TableSoftmax> whole_softmax;
  std::optional<SampledSoftmax> sampled_softmax;
  if (classes.table) {
    THRONG_CHECK(!has_statistics(parameters), "a softmax over ranks goes without statistics of batches, which the way forward adds to the gradient");
    if (classes.sampled) sampled_softmax.emplace(comm, *classes.table, options.shards, classes.log_q);
    else whole_softmax.emplace(comm, tables, parameters, *classes.table, classes.bias);
  }
  nn::Schedule schedule = options.schedule;
  const int64_t batches = model.steps_per_epoch(), steps = (batches + options.accumulate - 1) / options.accumulate;
  if (schedule.steps == 0) schedule.steps = options.epochs * steps;
  const bool statistics = has_statistics(parameters);
  Checkpoints checkpoints(options.folder, options.keep_checkpoints);
  std::vector<float> weights(parameters.dense_size());
  Cursor cursor;
  if (checkpoints.load(comm, cursor, weights, optimizer, sums, tables)) {
    // Steps of other shards are other steps: the epoch begins anew.
    if (cursor.shards != options.shards) cursor.step = 0, cursor.epoch_loss = 0, cursor.epoch_targets = 0;
  } else {
    parameters.initialize<float>(weights, options.seed);
    tables.initialize(options.seed);
    if (options.begin && tables.none()) {
      options.begin(weights);
    } else if (options.begin) {
      Weights all = Weights::scratch(parameters.size());
      parameters.initialize<float>(all.change(), options.seed);
      options.begin(all.change());
      std::copy_n(all.begin(), weights.size(), weights.begin());
      tables.take(all);
    }
  }
  std::optional<Weights> all;  // after this epoch
  const auto all_weights = [&]() -> const Weights& {
    if (all) return *all;
    std::vector<float> dense = weights;
    if (options.bfloat16_stored) tensor::round_to_bfloat16(dense);
    return all.emplace(tables.none() ? Weights(std::move(dense)) : through_file(comm, options, parameters, dense, tables, std::min(cursor.epoch + 1, options.epochs)));
  };
  if (cursor.step > 0)
    for (int s = 0; s < owned && size_t(first + s) < cursor.shard_states.size(); ++s) model.restore_shard(first + s, cursor.shard_states[size_t(first + s)]);
  cursor.shard_states.clear();
  cursor.shards = options.shards;
  StepProfile unwanted;
  StepProfile& profile = options.profile ? *options.profile : unwanted;
  Stopwatch lap;
  auto spent = [&](double& on) { on += lap.seconds(), lap = Stopwatch(); };
  auto stop = [&](const std::string& where) {
    checkpoints.finish(comm);
    throw Error(Fault::kStopped, fmt::format("stopped at a checkpoint as asked ({})", where)).with_hint("go on with --resume");
  };

  std::vector<nn::TableRows<float>> row_gradients(static_cast<size_t>(owned), nn::TableRows<float>(parameters));
  nn::TableRows<float> rows(parameters);
  tensor::PackedCache<float> packed;
  std::vector<ShardLoss> losses(static_cast<size_t>(owned));
  std::vector<double> loss_parts(static_cast<size_t>(owned) * 2), loss_sum(2);
  Stopwatch since_checkpoint;
  bool due = false;  // a checkpoint
  // Steps do not wait for the disk: what comes due while the one before is still being written is put off.
  const auto may_save = [&] { return !options.checkpoint_beside || checkpoints.written(comm); };
  std::function<void()> write_before;  // EpochEnd
  const auto save = [&](const Cursor& next) {
    lap = Stopwatch();
    checkpoints.save(comm, next, weights, optimizer, sums, tables, std::exchange(write_before, nullptr));
    if (!options.checkpoint_beside) checkpoints.finish(comm);
    since_checkpoint = Stopwatch(), due = false;
    spent(profile.checkpoint);
  };
  for (; cursor.epoch < options.epochs; ++cursor.epoch, cursor.step = 0, cursor.epoch_loss = 0, cursor.epoch_targets = 0) {
    for (; cursor.step < steps; ++cursor.step) {
      lap = Stopwatch();
      packed.clear();
      const int64_t begin = cursor.step * options.accumulate, end = std::min(batches, begin + options.accumulate);
      std::vector<SampledRows> samples;  // by minibatch
      for (int64_t batch = begin; batch < end && sampled_softmax; ++batch) samples.emplace_back(model.sample(cursor.epoch, batch));
      if (!tables.none()) {
        rows.clear();
        // What is sampled comes first, so that a shard's lie one after another.
        if (auto* of_classes = sampled_softmax ? rows.find(classes.table->at) : nullptr)
          for (const auto& sample : samples)
            for (int s = 0; s < owned; ++s)
              for (int32_t row : sampled_softmax->stretch(sample, first + s)) of_classes->want(row);
        for (int s = 0; s < owned; ++s)
          for (int64_t batch = begin; batch < end; ++batch) model.want_rows(cursor.epoch, batch, first + s, rows);
        tables.fetch(rows);
        spent(profile.rows);
      }
      const auto into = [&](size_t s, const std::function<void(size_t)>& complete) { return ShardGradient{sums.of(s), row_gradients[s], packed, tables.none() ? nullptr : &rows, complete}; };
      const auto add_loss = [&](size_t s, const ShardLoss& more) { losses[s].loss += more.loss, losses[s].targets += more.targets, losses[s].bytes = std::max(losses[s].bytes, more.bytes); };
      const auto clear = [&](size_t s) {
        const auto gradient = sums.of(s);
        std::fill(gradient.begin(), gradient.end(), 0.0f);
        row_gradients[s].clear();
        losses[s] = {};
      };
      const auto prefetch_after = [&](size_t s, int64_t batch) {
        if (batch + 1 < batches) model.prefetch(cursor.epoch, batch + 1, first + int(s));
      };
      sums.begin();
      try {
        // What is complete in the last minibatch is sent at once.
        const auto through = [&](size_t s, int64_t batch, const auto& work) {
          const std::function<void(size_t)> tell = [&](size_t entry) { sums.complete(s, entry); }, none;
          add_loss(s, work(batch + 1 == end ? tell : none));
          if (batch + 1 == end) sums.complete(s);
        };
        if (!classes.table) {
          sums.start();
          pool.parallel_for(losses.size(), [&](size_t s) {
            clear(s);
            for (int64_t batch = begin; batch < end; ++batch) {
              prefetch_after(s, batch);
              through(s, batch, [&](const auto& complete) { return model.gradient(weights, cursor.epoch, batch, first + int(s), into(s, complete)); });
            }
          });
        }
        for (int64_t batch = begin; batch < end && classes.table; ++batch) {
          std::vector<SoftmaxStates> states(losses.size());
          pool.parallel_for(states.size(), [&](size_t s) {
            if (batch == begin) clear(s);
            prefetch_after(s, batch);
            states[s] = model.forward(weights, cursor.epoch, batch, first + int(s), into(s, {}));
          });
          const auto start = [&](size_t s, nn::Tape<float>& tape) { tape.start(parameters, weights, sums.of(s), 0, 0, &row_gradients[s], &packed, tables.none() ? nullptr : &rows); };
          const auto outcomes = sampled_softmax ? sampled_softmax->run(pool, states, samples[size_t(batch - begin)], start) : whole_softmax->run(pool, states);
          if (batch + 1 == end) sums.start();
          pool.parallel_for(states.size(), [&](size_t s) {
            through(s, batch, [&](const auto& complete) { return ShardLoss{outcomes[s].loss, int64_t(states[s].count), model.go_back(first + int(s), outcomes[s].gradient, complete)}; });
          });
        }
      } catch (...) {
        sums.abandon();
        throw;
      }
      spent(profile.gradients);
      sums.finish(pool);
      std::vector<std::span<double>> loss_spans;
      for (size_t s = 0; s < losses.size(); ++s) {
        loss_parts[2 * s] = losses[s].loss, loss_parts[2 * s + 1] = double(losses[s].targets);
        loss_spans.emplace_back(&loss_parts[2 * s], 2);
      }
      comm.sum_shards(loss_spans, options.shards, loss_sum);
      if (!tables.none()) tables.sum(row_gradients, rows);
      if (whole_softmax) whole_softmax->add_gradient();
      if (!std::isfinite(loss_sum[0]))
        throw data_error("loss became {} at epoch {}, step {} with lr {}", loss_sum[0], cursor.epoch + 1, cursor.step + 1, options.optimizer.lr)
            .with_hint("lower lr, or set clip to 1");
      const std::span<float> gradient = sums.sum();
      if (statistics) {
        sums.share(gradient);
        nn::update_statistics<float>(parameters, weights, gradient);
      }
      double factor = loss_sum[1] > 0 ? 1 / loss_sum[1] : 0;
      if (factor > 0 && options.clip > 0) {
        const double norm = norm_of(comm, pool, sums, gradient, tables) * factor;
        if (norm > options.clip) factor *= options.clip / norm;
      }
      spent(profile.sums);
      if (factor > 0) {
        const double lr_factor = schedule.at(optimizer.steps());
        optimizer.update(weights, gradient, lr_factor, nullptr, factor);
        if (!tables.none()) tables.update(factor, lr_factor);
        spent(profile.update);
        sums.share(weights);
        spent(profile.share);
      }
      ++profile.steps;
      for (const auto& shard : losses) profile.tape_bytes = std::max(profile.tape_bytes, shard.bytes);
      cursor.epoch_loss += loss_sum[0];
      cursor.epoch_targets += int64_t(loss_sum[1]);

      if (options.progress && cursor.step % 10 == 0) {
        double done = (double(cursor.epoch) + double(cursor.step + 1) / double(std::max<int64_t>(1, steps))) / double(options.epochs);
        options.progress(done, fmt::format("epoch {}/{} loss {:.4f}", cursor.epoch + 1, options.epochs, cursor.epoch_loss / double(std::max<int64_t>(1, cursor.epoch_targets))));
      }
      const bool look = (cursor.step + 1) % kStepsBetweenLooks == 0;
      if (look) checkpoints.look(comm);
      const bool wanted = look && options.stop_agreed && options.stop_agreed();
      // Rank 0's clock decides: it writes.
      const bool in_time = look && options.checkpoint_seconds > 0 && comm.allreduce(int64_t{comm.rank() == 0 && since_checkpoint.seconds() >= options.checkpoint_seconds}) > 0;
      due = due || in_time || (options.checkpoint_every > 0 && (cursor.step + 1) % options.checkpoint_every == 0);
      if (wanted || (due && may_save())) {
        Cursor next = cursor;
        ++next.step;
        for (int s = 0; s < owned; ++s) next.shard_states.push_back(model.shard_state(first + s));
        save(next);
      }
      if (wanted) stop(fmt::format("epoch {}, step {}", cursor.epoch + 1, cursor.step + 1));
    }
    const bool more = model.epoch_done({cursor.epoch, cursor.epoch_loss / double(std::max<int64_t>(1, cursor.epoch_targets)), [&] { return all_weights(); }, [&](std::function<void()> write) { write_before = std::move(write); }});
    Cursor next;
    next.epoch = more ? cursor.epoch + 1 : options.epochs, next.shards = cursor.shards;
    const bool last = !more || cursor.epoch + 1 == options.epochs;
    // Epochs may be shorter than the steps between two looks at the wish to stop.
    const bool wanted = !last && options.stop_agreed && options.stop_agreed();
    due = true;
    if (last || wanted || may_save()) save(next);
    if (!more) break;
    if (!last) all.reset();
    if (wanted) stop(fmt::format("after epoch {}", cursor.epoch + 1));
  }
  checkpoints.finish(comm);
  model.trained();
  return all_weights();
}

}  // namespace throng::train
