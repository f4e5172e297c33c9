#include "operators/language_model/language_model.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "framework/base/hash.h"
#include "framework/base/random.h"
#include "framework/data/array_store.h"
#include "framework/data/resampling.h"
#include "framework/graph/registry.h"
#include "framework/train/epoch_curve.h"
#include "framework/train/safetensors.h"
#include "framework/train/word_vectors.h"
#include "operators/language_model/token_model.h"
#include "operators/language_model/token_text.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

/// Part `k` of `parts` of [begin, end).
std::pair<int64_t, int64_t> part_of(int64_t begin, int64_t end, int64_t k, int64_t parts) { return {begin + (end - begin) * k / parts, begin + (end - begin) * (k + 1) / parts}; }

/// Loss of a text and the tokens that were predicted.
struct Judged {
  double loss = 0, tokens = 0;
  std::vector<double> sampled_means;  // of bootstrap samples
  double mean() const { return tokens > 0 ? loss / tokens : std::numeric_limits<double>::quiet_NaN(); }
};

class LanguageModelOperator : public graph::CollectiveOperator {
 public:
  explicit LanguageModelOperator(LanguageModel params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const Type type = inputs[0].at(params_.column).type;
    if (type != Type::kListString && type != Type::kString)
      throw job_error("column '{}' is {}; expected list<string> or string", params_.column, data::type_name(type)).with_hint("make tokens with op tokenize first");
    if ((params_.shards & (params_.shards - 1)) != 0) throw job_error("'shards' is {}; expected a power of two", params_.shards);
    if (params_.batch < params_.shards) throw job_error("'batch' is {}; expected at least 'shards', {}", params_.batch, params_.shards);
    params_.check(base_folder);
    if (params_.sparse) params_.check_sparse();
    if (!params_.vectors.empty() && !std::filesystem::exists(base_folder / params_.vectors)) throw job_error("'vectors' is '{}': there is no such file", params_.vectors);
    if (params_.patience > 0 && params_.validation == 0) throw job_error("'patience' needs a 'validation' share, which is 0");
    if (params_.model == "transformer" && params_.hidden % params_.heads != 0) throw job_error("'hidden' is {}; expected a multiple of 'heads', {}", params_.hidden, params_.heads);
    if (params_.tied && params_.model != "transformer" && params_.embedding != params_.hidden)
      throw job_error("'tied' needs an 'embedding' of 'hidden', {}, not {}", params_.hidden, params_.embedding);
    return apply_schema(inputs[0]);
  }
  data::Schema apply_schema(const data::Schema& input) override {
    data::Schema schema = input;
    schema.set({"log_likelihood", Type::kFloat64}), schema.set({"predicted_tokens", Type::kInt64});
    return schema;
  }
  std::vector<std::filesystem::path> files() const override {
    auto all = params_.files(base_folder);
    if (!params_.vectors.empty()) all.push_back(base_folder / params_.vectors);
    return all;
  }
  void check_ranks(int num_ranks) const override { train::check_shards(params_.shards, params_.reproducible, num_ranks); }
  bool learns() const override { return true; }
  void recorded(const std::filesystem::path& folder) const override { train::EpochCurve::remove_files(folder); }

  void run(graph::CollectiveContext& context) override {
    auto& comm = context.comm();
    params_.shards = train::shards_of_run(params_.shards, params_.reproducible, comm, context.pool());
    TokenText text(context, params_.column, params_.max_words, params_.min_count);
    numbers_ = text.numbers();
    const int64_t all = text.size(TokenText::kTraining), validation = int64_t(double(all) * params_.validation), training = all - validation;
    if (params_.validation > 0 && validation < 2) throw data_error("'validation' is {}: of {} training tokens that are {}", params_.validation, all, validation).with_hint("raise 'validation', or set it to 0");
    const int64_t per_stream = training / params_.batch;
    if (per_stream < 2)
      throw data_error("the training rows have {} tokens; {} streams need at least {}", training, params_.batch, 2 * params_.batch).with_hint("lower 'batch'; are all rows held out?");
    model_ = std::make_unique<TokenModel>(params_, numbers_.size(), seed);
    take_streams(context, text, per_stream);
    const Pieces validation_text = pieces_of(comm, text, TokenText::kTraining, training, all), held_out_text = pieces_of(comm, text, TokenText::kHeldOut, 0, text.size(TokenText::kHeldOut));

    train::EpochCurve curve(comm, context.folder(), "validation_loss");
    model_->after_epoch = [&](const train::EpochEnd& end) {
      json point{{"epoch", end.epoch + 1}, {"loss", end.training_loss}};
      if (const double found = judge(context, end.weights(), held_out_text).mean(); std::isfinite(found)) point["holdout_loss"] = found;
      if (validation == 0) return curve.add(end.epoch, std::move(point)), true;
      point["validation_loss"] = judge(context, end.weights(), validation_text).mean();
      return curve.add_validated(end, std::move(point), params_.patience);
    };

    train::TrainerOptions options;
    train::StepProfile profile;
    params_.RunParams::apply(options);
    params_.OptimizerParams::apply(options, model_->steps_per_epoch(), model_->parameters(), base_folder);
    options.epochs = params_.epochs, options.seed = seed, options.profile = &profile, options.folder = context.folder();
    train::WordVectorStart vectors(base_folder / params_.vectors, [&](std::string_view word) {
      if (word == "</s>") return TokenNumbers::kEnd;
      const int32_t id = numbers_.find(word);
      return id == TokenNumbers::kUnknown ? -1 : id;
    }, model_->tokens());
    if (!params_.vectors.empty()) vectors.add_to(options);
    options.progress = [&](double fraction, const std::string& what) { context.progress(fraction, what); };
    options.stop_agreed = [&] { return context.stop_agreed(); };
    weights_ = train::train(*model_, comm, context.pool(), options);
    if (validation > 0) weights_ = curve.best_weights(model_->parameters().size());

    const Judged held_out = judge(context, weights_, held_out_text, params_.bootstrap), of_validation = judge(context, weights_, validation_text, params_.bootstrap);
    write_rows(context, text.size(TokenText::kHeldOut) > 0);
    if (comm.rank() == 0) {
      save(context.folder());
      json result{{"model", params_.model}, {"weights", model_->parameters().size()}, {"words", numbers_.words.size()}, {"training_tokens", training}, {"training_loss", curve.points().back()["loss"]},
                  {"unknown_training_tokens", text.unknown(TokenText::kTraining)}};
      auto add = [&](const std::string& name, const Judged& judged) {
        if (judged.tokens > 0) result[name] = {{"tokens", int64_t(judged.tokens)}, {"loss", judged.mean()}, {"perplexity", std::exp(judged.mean())}};
        if (judged.tokens == 0 || judged.sampled_means.empty()) return;
        const auto [low, high] = data::interval95(judged.sampled_means);
        result[name]["interval95"] = {{"loss", {low, high}}, {"perplexity", {std::exp(low), std::exp(high)}}};
      };
      if (!params_.vectors.empty()) result["vectors"] = vectors.result();
      add("holdout", held_out), add("validation", of_validation);
      if (result.contains("holdout")) result["holdout"]["unknown_tokens"] = text.unknown(TokenText::kHeldOut);
      std::string protocol = fmt::format("natural logarithms; rows in their order are one text with an end after each row, which is predicted, too; unknown tokens are one token; read in {} streams, {} tokens a piece{}", params_.shards,
                                         params_.length, params_.model == "transformer" ? ", each on its own" : ", states going on");
      if (held_out.tokens > 0) protocol += fmt::format("; held out: rows that are marked{}", text.holdout().when());
      if (validation > 0) protocol += fmt::format("; validation: the last {} of the {} tokens of the training rows, not trained on; the epoch that is best there is kept", validation, all);
      if (params_.bootstrap > 0) protocol += fmt::format("; intervals: percentiles of {} Poisson bootstrap samples of such pieces", params_.bootstrap);
      result["protocol"] = protocol;
      context.metric("result", result.dump()), context.metric("curve", curve.points().dump()), context.metric("profile", profile.to_json().dump());
    }
    comm.barrier();
  }

  void load(const std::filesystem::path& folder) override {
    numbers_.words = data::Vocabulary::load(data::ArrayStore::load(folder / "model.h5"), "words");
    model_ = std::make_unique<TokenModel>(params_, numbers_.size(), seed);
    weights_ = train::weights_from_safetensors(folder / "model.safetensors", model_->parameters());
  }

  /// Each row is a text of its own, which begins as one that follows another row.
  data::Batch apply(const data::Batch& batch) const override {
    data::Column log_likelihood(Type::kFloat64), predicted(Type::kInt64);
    std::vector<int32_t> tokens;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      tokens.assign(1, TokenNumbers::kEnd);
      append_row(numbers_, batch.column(params_.column), r, tokens);
      if (tokens.size() == 1) {
        log_likelihood.append_null(), predicted.append(int64_t{0});
        continue;
      }
      log_likelihood.append(model_->log_likelihood(weights_, tokens)), predicted.append(int64_t(tokens.size()) - 1);
    }
    return batch.with({"log_likelihood", Type::kFloat64}, std::move(log_likelihood)).with({"predicted_tokens", Type::kInt64}, std::move(predicted));
  }

 private:
  /// Stream b is tokens [b * per_stream, (b + 1) * per_stream); a shard has a stretch of them.
  void take_streams(graph::CollectiveContext& context, TokenText& text, int64_t per_stream) {
    auto& comm = context.comm();
    const int first = comm.first_shard(comm.rank(), params_.shards), end = comm.first_shard(comm.rank() + 1, params_.shards);
    auto stream = [&](int shard) { return params_.batch * shard / params_.shards; };
    const int64_t from = stream(first) * per_stream;
    const auto tokens = text.read(TokenText::kTraining, from, stream(end) * per_stream);
    std::vector<TokenModel::Streams> shards(size_t(end - first));
    for (int s = first; s < end; ++s)
      for (int64_t b = stream(s); b < stream(s + 1); ++b) shards[size_t(s - first)].push_back(tokens.subspan(size_t(b * per_stream - from), size_t(per_stream)));
    model_->take(first, std::move(shards), (per_stream - 1 + params_.length - 1) / params_.length, context.arena());
  }

  using Pieces = std::vector<std::span<const int32_t>>;
  /// As many pieces as shards, each with the token behind it, which it predicts last.
  Pieces pieces_of(comm::Communicator& comm, TokenText& text, TokenText::Part part, int64_t begin, int64_t end) const {
    Pieces pieces;
    for (int s = comm.first_shard(comm.rank(), params_.shards); s < comm.first_shard(comm.rank() + 1, params_.shards); ++s) {
      const auto [from, to] = part_of(begin, end, s, params_.shards);
      pieces.push_back(text.read(part, from, std::min(end, to + 1)));
    }
    return pieces;
  }

  /// Collective.
  Judged judge(graph::CollectiveContext& context, std::span<const float> weights, const Pieces& pieces, int64_t samples = 0) {
    const size_t width = 2 + 2 * size_t(samples);
    const int first = context.comm().first_shard(context.comm().rank(), params_.shards);
    std::vector<std::vector<double>> parts(pieces.size(), std::vector<double>(width));
    context.pool().parallel_for(pieces.size(), [&](size_t i) {
      uint64_t number = 0;
      const auto see = [&](double log_likelihood, size_t tokens) {
        data::add_to_samples(std::array{-log_likelihood, double(tokens)}, Random(seed, mix64(uint64_t(first) + i), number++), std::span(parts[i]).subspan(2));
      };
      if (pieces[i].size() < 2) return;
      parts[i][0] = -(samples > 0 ? model_->log_likelihood(weights, pieces[i], see) : model_->log_likelihood(weights, pieces[i])), parts[i][1] = double(pieces[i].size() - 1);
    });
    std::vector<std::span<double>> spans(parts.begin(), parts.end());
    std::vector<double> sum(width);
    context.comm().sum_shards(spans, params_.shards, sum);
    Judged judged{sum[0], sum[1], {}};
    for (size_t at = 2; at < width; at += 2)
      if (sum[at + 1] > 0) judged.sampled_means.push_back(sum[at] / sum[at + 1]);
    return judged;
  }

  void write_rows(graph::CollectiveContext& context, bool held_out_only) {
    auto& output = context.output("", apply_schema(context.input_schema(0)), context.num_partitions(0));
    graph::map_partitions(context, 0, {}, output, [&](const data::Batch& batch) {
      if (!held_out_only) return apply(batch);
      const auto train = graph::training_rows(batch);
      std::vector<int64_t> chosen;
      for (int64_t r = 0; r < batch.num_rows(); ++r)
        if (!train[size_t(r)]) chosen.push_back(r);
      return apply(batch.take(chosen));
    });
  }

  void save(const std::filesystem::path& folder) const {
    data::ArrayStore store;
    numbers_.words.save(store, "words");
    store.save(folder / "model.h5");
    params_.save(folder, model_->parameters(), weights_);
  }

  LanguageModel params_;
  TokenNumbers numbers_;
  std::unique_ptr<TokenModel> model_;
  train::Weights weights_;
};

}  // namespace
}  // namespace throng::op

void register_language_model(throng::graph::Registry& registry) { registry.add<throng::op::LanguageModel, throng::op::LanguageModelOperator>(); }
