#include "operators/train_sequence/train_sequence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "framework/base/hash.h"
#include "framework/base/suggest.h"
#include "framework/graph/registry.h"
#include "framework/tensor/vector_kernels.h"
#include "framework/train/epoch_curve.h"
#include "framework/train/layered_model.h"
#include "framework/train/safetensors.h"
#include "framework/train/word_vectors.h"
#include "operators/train_sequence/judge.h"
#include "operators/train_sequence/sequence_model.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

bool is_category(Type t) { return t == Type::kString || t == Type::kBool || is_integer(t); }

// One logical shard: its partitions, encoded, and its pieces.
struct Shard {
  std::vector<std::unique_ptr<EncodedRows>> partitions;
  std::vector<int64_t> numbers;  // of the partitions
  std::vector<Piece> pieces;     // with something to learn, in order
};

// The layers, and the shards of this rank.
class Network : public train::LayeredModel {
 public:
  Network(const ModelSizes& sizes, Task task, const TrainSequence& params, uint64_t seed) : LayeredModel(params.batch, params.shards, seed, params.batch_rows), layers(parameters_, sizes, task) {}

  /// Their rows lie in `arena`.
  void take(comm::Communicator& comm, std::vector<Shard> all, const SpillArena& arena) {
    shards = std::move(all), arena_ = &arena;
    std::vector<std::vector<uint32_t>> lengths(shards.size());
    for (size_t s = 0; s < shards.size(); ++s)
      for (const Piece& piece : shards[s].pieces) lengths[s].push_back(uint32_t(piece.length()));
    set_example_lengths(comm, std::move(lengths));
  }
  void drop_examples() { shards.clear(), arena_ = nullptr; }
  int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const override {
    return layers.put_loss(t, pieces_of(shard, examples), EncodedRows::kTrain);
  }
  train::SoftmaxClasses softmax() const override {
    const nn::Linear* output = layers.output_table();
    return output ? train::SoftmaxClasses{&output->weight, false, &*output->bias} : train::SoftmaxClasses{};
  }
  nn::Var put_states(nn::Tape<float>& t, int shard, std::span<const size_t> examples, std::vector<int32_t>& classes) const override { return layers.put_states(t, pieces_of(shard, examples), EncodedRows::kTrain, classes); }
  void want_rows_of(int shard, std::span<const size_t> examples, Random, nn::TableRows<float>& wanted) const override { layers.want_rows(pieces_of(shard, examples), wanted); }
  void prefetch_examples(int shard, std::span<const size_t> examples) const override {
    if (arena_->spilled_bytes() == 0) return;
    for (size_t i : examples) {
      const Piece& piece = shards[size_t(shard - first_shard())].pieces[i];
      piece.rows->for_each_array([&](auto values) {
        const size_t width = values.size() / piece.rows->num_rows();
        arena_->will_need(std::as_bytes(values.subspan(piece.begin * width, piece.length() * width)));
      });
    }
  }
  bool epoch_done(const train::EpochEnd& end) override { return after_epoch(end); }

  SequenceModel layers;
  std::vector<Shard> shards;
  std::function<bool(const train::EpochEnd&)> after_epoch;

 private:
  std::vector<Piece> pieces_of(int shard, std::span<const size_t> examples) const {
    std::vector<Piece> pieces;
    for (size_t i : examples) pieces.push_back(shards[size_t(shard - first_shard())].pieces[i]);
    return pieces;
  }
  const SpillArena* arena_ = nullptr;
};

class TrainSequenceOperator : public graph::CollectiveOperator {
 public:
  explicit TrainSequenceOperator(TrainSequence params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const data::Schema& input = inputs[0];
    if ((params_.shards & (params_.shards - 1)) != 0) throw job_error("'shards' is {}; expected a power of two", params_.shards);
    if (params_.hidden % params_.heads != 0) throw job_error("'hidden' is {}; expected a multiple of 'heads', {}", params_.hidden, params_.heads);
    params_.check(base_folder);
    if (params_.sparse) params_.check_sparse();
    if (params_.patience > 0 && params_.validation == 0) throw job_error("'patience' needs a 'validation' share, which is 0");
    if (params_.attention && params_.model == "transformer") throw job_error("'attention' is of rnn, lstm and gru; a transformer is made of it");
    if (params_.attended > 0 && !params_.attention && params_.model != "transformer") throw job_error("'attended' needs a model that looks back, and 'attention' is false").with_hint("set attention: true, or model: transformer");
    train::check_batch(params_.batch, params_.batch_rows, params_.shards);
    if (input.at("ts").type != Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(input.at("ts").type));
    by_field_ = input.at(params_.by);
    const auto& target = input.at(params_.target);
    auto& e = encoding_;
    e = SequenceEncoding();
    e.validation = params_.validation;
    e.by = params_.by, e.target = params_.target, e.event = params_.event, e.within_us = params_.within.microseconds, e.gaps = params_.gaps;
    std::string task = params_.task;
    if (task == "auto") task = !params_.event.empty() ? "event" : is_float(target.type) ? "number" : "category";
    e.task = task == "event" ? Task::kEvent : task == "number" ? Task::kNumber : Task::kCategory;
    if (e.task == Task::kNumber ? !is_number(target.type) : !is_category(target.type))
      throw job_error("column '{}' is {}; it cannot be the target of task {}", target.name, data::type_name(target.type), task);
    if (e.task == Task::kEvent && params_.event.empty()) throw job_error("task event needs the parameter 'event': a value of '{}'", target.name);
    if (e.task == Task::kEvent && e.within_us <= 0) throw job_error("'within' is 0; expected a duration such as 7d");

    e.recent = e.task == Task::kCategory ? size_t(params_.recent) : 0;

    graph::Names names = params_.inputs;
    if (names.empty()) {
      names.push_back(target.name);
      for (const char* more : {"action", "item", "value"})
        if (input.has(more) && more != target.name) names.push_back(more);
    }
    for (const auto& name : names) {
      Type type = input.at(name).type;
      if (is_category(type)) e.categories.push_back(name);
      else if (is_float(type)) e.numbers.push_back(name);
      else throw job_error("column '{}' is {}; inputs are categories and numbers", name, data::type_name(type));
    }
    for (const auto& [column, file] : params_.vectors) {
      if (std::find(e.categories.begin(), e.categories.end(), column) == e.categories.end()) throw job_error("'vectors' names '{}', which is no category that the model sees", column).with_hint(suggest(column, e.categories));
      if (!std::filesystem::exists(base_folder / file)) throw job_error("'vectors' of '{}' is '{}': there is no such file", column, file);
    }
    prediction_schema_ = data::Schema{by_field_, input.at("ts")};
    if (e.task == Task::kCategory) {
      for (const char* name : {"actual", "predicted", "last"}) prediction_schema_.set({name, Type::kString});
      for (const char* name : {"probability", "likelihood"}) prediction_schema_.set({name, Type::kFloat64});
    } else {
      for (const char* name : {"actual", "predicted", "last"}) prediction_schema_.set({name, Type::kFloat64});
    }
    if (params_.attended > 0) Attended::add_fields(prediction_schema_);
    return prediction_schema_;
  }

  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names& wanted) const override {
    graph::Names names{encoding_.by, "ts", encoding_.target, "sequence", std::string(graph::kHoldoutColumn)};
    for (const auto* more : {&encoding_.categories, &encoding_.numbers, &wanted}) names.insert(names.end(), more->begin(), more->end());
    return names;
  }
  std::vector<std::filesystem::path> files() const override {
    auto all = params_.files(base_folder);
    for (const auto& [column, file] : params_.vectors) all.push_back(base_folder / file);
    return all;
  }
  Contract contract(size_t) const override { return {{encoding_.by}, {"ts"}, {}, {}}; }

  // -------------------------------------------------------------------------------------------- training

  void check_ranks(int num_ranks) const override { train::check_shards(params_.shards, params_.reproducible, num_ranks); }
  void run(graph::CollectiveContext& context) override {
    context_ = &context;
    params_.shards = train::shards_of_run(params_.shards, params_.reproducible, context.comm(), context.pool());
    learn_encoding(context);
    if (encoding_.task == Task::kCategory && encoding_.classes.size() < 2)
      throw data_error("column '{}' has {} values in the training rows; a category to predict needs at least 2", encoding_.target, encoding_.classes.size())
          .with_hint("is 'target' the right column? are all rows held out?");
    network_ = std::make_unique<Network>(model_sizes(), encoding_.task, params_, seed);
    network_->after_epoch = [&](const train::EpochEnd& end) { return epoch_done(end); };
    params_.set_groups_of(network_->change_parameters());
    load_shards(context);
    curve_.emplace(context.comm(), context.folder(), "validation_loss");

    train::TrainerOptions options;
    params_.RunParams::apply(options);
    params_.OptimizerParams::apply(options, network_->steps_per_epoch(), network_->parameters(), base_folder);
    options.epochs = params_.epochs, options.profile = &profile_, options.seed = seed;
    for (const auto& [column, file] : params_.vectors) {
      const size_t k = size_t(std::find(encoding_.categories.begin(), encoding_.categories.end(), column) - encoding_.categories.begin());
      vectors_.try_emplace(column, base_folder / file, [this, k](std::string_view value) {
        const int32_t id = encoding_.vocabularies[k].find(value);
        return id < 0 ? -1 : id + 1;
      }, network_->layers.embedding(k)).first->second.add_to(options);
    }
    options.folder = context.folder();
    options.progress = [&](double fraction, const std::string& text) { context.progress(fraction, text); };
    options.stop_agreed = [&] { return context.stop_agreed(); };
    weights_ = train::train(*network_, context.comm(), context.pool(), options);
    if (params_.validation > 0) weights_ = curve_->best_weights(network_->parameters().size());
    judge(context);
    save(context);
  }

  bool epoch_done(const train::EpochEnd& end) {
    const train::Weights weights = end.weights();
    const auto holdout = mean_loss(weights, EncodedRows::kHoldout);
    json point{{"epoch", end.epoch + 1}, {"loss", end.training_loss}};
    point["holdout_loss"] = holdout && std::isfinite(*holdout) ? json(*holdout) : json(nullptr);
    if (params_.validation == 0) return curve_->add(end.epoch, std::move(point)), true;
    const auto validation = mean_loss(weights, EncodedRows::kValidation);
    if (!validation) throw data_error("no rows to validate on: the share of users is {}", params_.validation).with_hint("raise 'validation', or set it to 0");
    point["validation_loss"] = *validation;
    return curve_->add_validated(end, std::move(point), params_.patience);
  }

  // ------------------------------------------------------------------------------------------ replaying

  bool learns() const override { return true; }
  void recorded(const std::filesystem::path& folder) const override { train::EpochCurve::remove_files(folder); }
  data::Schema apply_schema(const data::Schema& input) override {
    data::Schema schema = input;
    schema.set({"predicted", encoding_.task == Task::kCategory ? Type::kString : Type::kFloat64});
    if (encoding_.task == Task::kCategory) schema.set({"probability", Type::kFloat64});
    if (params_.attended > 0) Attended::add_fields(schema);
    return schema;
  }
  void load(const std::filesystem::path& folder) override {
    auto store = data::ArrayStore::load(folder / "model.h5");
    auto& e = encoding_;
    e.vocabularies.clear();
    for (size_t k = 0; k < e.categories.size(); ++k) e.vocabularies.push_back(data::Vocabulary::load(store, "input_" + std::to_string(k)));
    if (e.task == Task::kCategory) e.classes = data::Vocabulary::load(store, "classes");
    const auto& numbers = store.doubles("numbers");
    e.means.clear(), e.deviations.clear();
    for (size_t k = 0; k < e.num_floats(); ++k) e.means.push_back(numbers.at(2 * k)), e.deviations.push_back(numbers.at(2 * k + 1));
    e.target_mean = numbers.at(2 * e.num_floats()), e.target_deviation = numbers.at(2 * e.num_floats() + 1);
    network_ = std::make_unique<Network>(model_sizes(), e.task, params_, seed);
    weights_ = train::weights_from_safetensors(folder / "model.safetensors", network_->parameters());
  }
  data::Batch apply(const data::Batch& batch) const override {
    std::map<std::string, int64_t> unseen;
    MemoryBudget budget(UINT64_MAX);
    SpillQuota quota;
    SpillArena arena(budget, quota);
    const EncodedRows rows = encode_rows(encoding_, batch, seed, arena, &unseen);
    for (const auto& [name, count] : unseen) counters().add(name, count);
    const size_t n = rows.num_rows();
    std::vector<int32_t> best(n, 0);
    std::vector<double> value(n, 0);
    auto attended = attended_of(n);
    network_->layers.predict(network_->parameters(), weights_, whole_sequences(rows), [&](const Piece&, size_t row, std::span<const float> out) {
      if (encoding_.task == Task::kCategory) {
        best[row] = int32_t(std::max_element(out.begin(), out.end()) - out.begin());
        value[row] = Judge::probability(out, size_t(best[row]));
      } else {
        value[row] = output_value(out[0]);
      }
    }, attended.get());
    data::Column predicted(encoding_.task == Task::kCategory ? Type::kString : Type::kFloat64), probability(Type::kFloat64);
    for (size_t r = 0; r < n; ++r) {
      if (encoding_.task == Task::kCategory) predicted.append_string(encoding_.classes.word(size_t(best[r]))), probability.append(value[r]);
      else predicted.append(value[r]);
    }
    data::Batch out = batch.with({"predicted", predicted.type()}, std::move(predicted));
    if (encoding_.task == Task::kCategory) out = out.with({"probability", Type::kFloat64}, std::move(probability));
    if (!attended) return out;
    std::vector<int64_t> all(n);
    std::iota(all.begin(), all.end(), 0);
    return attended->with_columns(out, all);
  }

 private:
  // Null where it is not wanted.
  std::unique_ptr<Attended> attended_of(size_t rows) const { return params_.attended > 0 ? std::make_unique<Attended>(rows, size_t(params_.attended)) : nullptr; }
  std::vector<Piece> whole_sequences(const EncodedRows& rows) const {
    std::vector<Piece> pieces;
    for (size_t s = 0; s < rows.num_sequences(); ++s) network_->layers.cut(rows, rows.starts[s], rows.starts[s + 1], pieces);
    return pieces;
  }
  double output_value(float out) const {
    if (encoding_.task == Task::kEvent) return 1.0 / (1.0 + std::exp(-double(out)));
    return double(out) * encoding_.target_deviation + encoding_.target_mean;
  }
  ModelSizes model_sizes() const {
    ModelSizes s;
    s.kind = params_.model == "transformer" ? ModelSizes::Kind::kTransformer : ModelSizes::Kind::kRecurrent;
    s.attention = params_.attention, s.heads = size_t(params_.heads), s.dropout = params_.dropout, s.recompute = params_.recompute, s.longest = size_t(params_.max_length);
    s.cell = params_.model == "rnn" ? nn::Cell::kRnn : params_.model == "lstm" ? nn::Cell::kLstm : nn::Cell::kGru;
    for (const auto& v : encoding_.vocabularies) s.category_sizes.push_back(v.size() + 1);
    s.embedding = size_t(params_.embedding), s.hidden = size_t(params_.hidden), s.layers = size_t(params_.layers);
    s.num_floats = encoding_.num_floats();
    s.recent = encoding_.recent;
    s.sparse = params_.sparse;
    s.outputs = encoding_.task == Task::kCategory ? encoding_.classes.size() : 1;
    return s;
  }

  // Vocabularies and scales, from training rows only.
  void learn_encoding(graph::CollectiveContext& context) {
    auto& e = encoding_;
    auto& comm = context.comm();
    const int64_t first = context.first_owned(0);
    const size_t numbers = e.numbers.size(), width = 2 * (numbers + 2) + numbers + 2;
    std::vector<data::TextMap<data::ValueCount>> counts(e.categories.size() + 1);
    std::vector<std::vector<double>> sums(size_t(context.end_owned(0) - first), std::vector<double>(width));
    int64_t last = INT64_MIN;
    e.holdout = {};
    e.marked = context.input_schema(0).has(graph::kHoldoutColumn);
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      auto train = training_mask(e, batch, seed);
      auto ts = batch.column("ts").values<int64_t>();
      auto& sum = sums[size_t(batch.origin.partition - first)];
      auto see = [&](size_t at, double v) { sum[3 * at] += 1, sum[3 * at + 1] += v, sum[3 * at + 2] += v * v; };
      std::vector<data::TextMap<data::ValueCount>> local(counts.size());
      int64_t newest = INT64_MIN;
      graph::HoldoutSeen seen;
      const auto& by = batch.column(e.by);
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        newest = std::max(newest, ts[size_t(r)]);
        seen.see(train[size_t(r)] != 0, batch.column("ts").is_valid(r) ? std::optional(ts[size_t(r)]) : std::nullopt);
        if (!train[size_t(r)]) continue;
        for (size_t k = 0; k < numbers; ++k)
          if (batch.column(e.numbers[k]).is_valid(r)) see(k, batch.column(e.numbers[k]).as_double(r));
        if (r > 0 && data::Column::compare(by, r - 1, by, r) == 0) see(numbers, std::log1p(std::max(0.0, double(ts[size_t(r)] - ts[size_t(r - 1)]) / 1e6)));
        if (e.task == Task::kNumber && batch.column(e.target).is_valid(r)) see(numbers + 1, batch.column(e.target).as_double(r));
        for (size_t k = 0; k <= e.categories.size(); ++k) {
          if (k == e.categories.size() && e.task != Task::kCategory) continue;
          const auto& column = batch.column(k < e.categories.size() ? e.categories[k] : e.target);
          if (column.is_valid(r)) ++local[k][category_text(column, r)].count;
        }
      }
      std::lock_guard lock(mutex);
      last = std::max(last, newest), e.holdout.add(seen);
      for (size_t k = 0; k < local.size(); ++k)
        for (const auto& [value, c] : local[k]) counts[k][value].count += c.count;
    });
    e.holdout.add_ranks(comm);
    e.last_training_us = e.holdout.newest_training_us;
    e.last_us = comm.allreduce(last, comm::Op::kMax);
    auto total = data::sum_over_partitions(comm, sums, width);
    auto scale = [&](size_t at) {
      double n = total[3 * at], mean = n > 0 ? total[3 * at + 1] / n : 0;
      double variance = n > 0 ? total[3 * at + 2] / n - mean * mean : 0;
      return std::pair(mean, variance > 1e-12 * (1 + mean * mean) ? std::sqrt(variance) : 1.0);
    };
    e.means.clear(), e.deviations.clear();
    for (size_t k = 0; k < e.num_floats(); ++k) {
      auto [mean, deviation] = scale(k);
      e.means.push_back(mean), e.deviations.push_back(deviation);
    }
    std::tie(e.target_mean, e.target_deviation) = scale(numbers + 1);
    e.vocabularies.clear();
    for (size_t k = 0; k < e.categories.size(); ++k) e.vocabularies.push_back(data::Vocabulary::build(comm, counts[k], params_.min_count, params_.max_classes));
    if (e.task == Task::kCategory) e.classes = data::Vocabulary::build(comm, counts.back(), params_.min_count, params_.max_classes);
  }

  void load_shards(graph::CollectiveContext& context) {
    auto& comm = context.comm();
    const int first = comm.first_shard(comm.rank(), params_.shards);
    const int end = comm.first_shard(comm.rank() + 1, params_.shards);
    const int64_t partitions = context.num_partitions(0);
    std::vector<Shard> shards(size_t(end - first));
    context.pool().parallel_for(shards.size(), [&](size_t s) {
      Shard& shard = shards[s];
      int64_t from = partitions * (first + int(s)) / params_.shards, to = partitions * (first + int(s) + 1) / params_.shards;
      for (int64_t p = from; p < to; ++p) {
        shard.numbers.push_back(p);
        shard.partitions.push_back(std::make_unique<EncodedRows>(encode_rows(encoding_, context.read(0, p, {}), seed, context.arena(), nullptr)));
        const EncodedRows& rows = *shard.partitions.back();
        for (size_t q = 0; q < rows.num_sequences(); ++q)
          for (size_t begin = rows.starts[q]; begin < rows.starts[q + 1]; begin += size_t(params_.max_length)) {
            size_t stop = std::min(rows.starts[q + 1], begin + size_t(params_.max_length));
            if (std::any_of(rows.use.begin() + ptrdiff_t(begin), rows.use.begin() + ptrdiff_t(stop), [](uint8_t u) { return u == EncodedRows::kTrain; }))
              shard.pieces.push_back({&rows, begin, stop, begin});
          }
      }
    });
    network_->take(comm, std::move(shards), context.arena());
    const bool nothing = network_->steps_per_epoch() == 0;
    if (nothing && encoding_.task == Task::kEvent)
      throw data_error("no training examples: no row is followed by {} of training rows", format_duration(params_.within)).with_hint("shorten 'within', or hold out less");
    if (nothing) throw data_error("no training examples: no user has two events before the held-out rows").with_hint("are all rows held out?");
  }

  // Partitions this rank holds, in order.
  std::vector<std::pair<int64_t, const EncodedRows*>> held_partitions() const {
    std::vector<std::pair<int64_t, const EncodedRows*>> all;
    for (const auto& s : network_->shards)
      for (size_t i = 0; i < s.partitions.size(); ++i) all.emplace_back(s.numbers[i], s.partitions[i].get());
    return all;
  }
  std::vector<Piece> sequences_with(EncodedRows::Use use, const EncodedRows& rows) const {
    std::vector<Piece> pieces;
    for (const auto& p : whole_sequences(rows))
      if (std::any_of(rows.use.begin() + ptrdiff_t(p.from), rows.use.begin() + ptrdiff_t(p.end), [&](uint8_t u) { return u == use; })) pieces.push_back(p);
    return pieces;
  }

  // Collective. Nothing where no row is of this use.
  std::optional<double> mean_loss(std::span<const float> weights, EncodedRows::Use use) {
    auto held = held_partitions();
    std::vector<std::vector<double>> sums(held.size(), std::vector<double>(2));
    context_->pool().parallel_for(held.size(), [&](size_t i) {
      auto pieces = sequences_with(use, *held[i].second);
      for (size_t at = 0; at < pieces.size(); at += 32) {
        int64_t targets = 0;
        std::vector<Piece> group(pieces.begin() + ptrdiff_t(at), pieces.begin() + ptrdiff_t(std::min(pieces.size(), at + 32)));
        sums[i][0] += network_->loss_of(weights, [&](nn::Tape<float>& t) { targets = network_->layers.put_loss(t, group, use); });
        sums[i][1] += double(targets);
      }
    });
    auto total = data::sum_over_partitions(context_->comm(), sums, 2);
    if (total[1] == 0) return {};
    return total[0] / total[1];
  }

  // Scores model and baselines on the held-out rows, and writes the predictions.
  void judge(graph::CollectiveContext& context) {
    Judge judge(encoding_, context.comm(), params_.bootstrap, seed);
    auto held = held_partitions();
    for (const auto& [number, rows] : held) judge.see_training(*rows);
    judge.learn_baselines();
    auto& output = context.output("", prediction_schema_, context.num_partitions(0));
    // Of each shard its partitions' in order: all partitions' would be too many.
    std::vector<size_t> shard_of;
    for (size_t s = 0; s < network_->shards.size(); ++s) shard_of.resize(shard_of.size() + network_->shards[s].partitions.size(), s);
    std::vector<std::vector<double>> sums(network_->shards.size(), std::vector<double>(judge.num_sums()));
    std::mutex mutex;
    const size_t group = size_t(context.pool().num_threads());
    for (size_t first = 0; first < held.size(); first += group) {
      std::vector<data::Batch> results(std::min(group, held.size() - first));
      std::vector<std::vector<double>> of_group(results.size());
      context.pool().parallel_for(results.size(), [&](size_t i) {
        const auto& [number, rows] = held[first + i];
        data::Batch batch = context.read(0, number, {encoding_.by, "ts"});
        Judge::Partition part(judge, *rows);
        auto attended = attended_of(rows->num_rows());
        network_->layers.predict(network_->parameters(), weights_, sequences_with(EncodedRows::kHoldout, *rows), [&, r = rows](const Piece&, size_t row, std::span<const float> out) {
          if (r->use[row] == EncodedRows::kHoldout) part.see(row, out, encoding_.task == Task::kCategory ? 0 : output_value(out[0]));
        }, attended.get());
        results[i] = part.predictions(batch, prediction_schema_, attended.get());
        of_group[i] = part.sums(number);
        std::lock_guard lock(mutex);
        judge.add(part);
      });
      for (size_t i = 0; i < results.size(); ++i) {
        output.write(held[first + i].first, results[i]);
        tensor::add(of_group[i].data(), sums[shard_of[first + i]].data(), judge.num_sums());
      }
    }
    std::vector<double> total(judge.num_sums());
    context.comm().sum_shards(std::vector<std::span<double>>(sums.begin(), sums.end()), params_.shards, total);
    json result = judge.result(total);
    int64_t training = 0, validation = 0, pieces = 0;
    for (const auto& s : network_->shards) {
      pieces += int64_t(s.pieces.size());
      for (const auto& rows : s.partitions) {
        training += std::count(rows->use.begin(), rows->use.end(), uint8_t(EncodedRows::kTrain));
        validation += std::count(rows->use.begin(), rows->use.end(), uint8_t(EncodedRows::kValidation));
      }
    }
    training = context.comm().allreduce(training);
    validation = context.comm().allreduce(validation);
    pieces = context.comm().allreduce(pieces);
    if (context.comm().rank() != 0) return;
    result["training_examples"] = training, result["training_pieces"] = pieces, result["weights"] = network_->parameters().size();
    if (params_.validation > 0) result["validation_examples"] = validation;
    for (auto& [column, vectors] : vectors_) result["vectors"][column] = vectors.result();
    result["model"] = params_.model, result["target"] = params_.target;
    result["classes"] = encoding_.task == Task::kCategory ? encoding_.classes.size() : 1;
    context.metric("result", result.dump());
    context.metric("curve", curve_->points().dump());
    context.metric("profile", profile_.to_json().dump());
  }

  void save(graph::CollectiveContext& context) {
    if (context.comm().rank() == 0) {
      data::ArrayStore store;
      const auto& e = encoding_;
      for (size_t k = 0; k < e.vocabularies.size(); ++k) e.vocabularies[k].save(store, "input_" + std::to_string(k));
      if (e.task == Task::kCategory) e.classes.save(store, "classes");
      std::vector<double> numbers;
      for (size_t k = 0; k < e.num_floats(); ++k) numbers.push_back(e.means[k]), numbers.push_back(e.deviations[k]);
      numbers.push_back(e.target_mean), numbers.push_back(e.target_deviation);
      store.put("numbers", numbers);
      store.save(context.folder() / "model.h5");
      params_.save(context.folder(), network_->parameters(), weights_);
    }
    network_->drop_examples();
    context.comm().barrier();
  }

  TrainSequence params_;
  data::Field by_field_;
  data::Schema prediction_schema_;
  SequenceEncoding encoding_;
  std::unique_ptr<Network> network_;
  train::Weights weights_;
  graph::CollectiveContext* context_ = nullptr;
  std::optional<train::EpochCurve> curve_;
  train::StepProfile profile_;
  std::map<std::string, train::WordVectorStart> vectors_;
};

}  // namespace
}  // namespace throng::op

void register_train_sequence(throng::graph::Registry& registry) { registry.add<throng::op::TrainSequence, throng::op::TrainSequenceOperator>(); }
