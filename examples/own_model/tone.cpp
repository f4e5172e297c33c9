#include "tone.h"

#include "framework/base/hash.h"
#include "framework/graph/registry.h"
#include "framework/nn/layers.h"
#include "framework/nn/objective.h"
#include "framework/train/layered_model.h"

namespace mine {
namespace {

using throng::data::Batch;
using throng::data::Column;
using throng::data::Schema;
using throng::data::Type;
namespace nn = throng::nn;
namespace train = throng::train;

constexpr int kShards = 8;        // results depend on it, not on ranks
constexpr size_t kWords = 4096;   // words are told apart by their hash

struct Text {
  std::vector<int32_t> words;
  int32_t label = -1;
};

Text read_text(const Batch& batch, int64_t row, const Tone& params) {
  Text text;
  const auto& words = batch.column(params.text);
  std::string word;
  auto end_word = [&] {
    if (!word.empty()) text.words.push_back(int32_t(throng::hash64(word) % kWords));
    word.clear();
  };
  for (char c : words.string(row)) c == ' ' ? end_word() : word.push_back(c);
  end_word();
  if (text.words.empty()) text.words.push_back(0);
  const auto& label = batch.column(params.label);
  if (label.is_valid(row)) text.label = label.values<uint8_t>()[size_t(row)];
  return text;
}

// The model: layers, what they make of some texts, and the loss.
class ToneModel : public train::LayeredModel {
 public:
  ToneModel(const Tone& params, uint64_t seed)
      : LayeredModel(params.batch, kShards, seed),
        params_(params),
        embedding_(parameters_, "embedding", kWords, size_t(params.width)),
        conv_(parameters_, "conv", size_t(params.width), size_t(params.filters), {.kernel = 3, .padding = 1}),
        out_(parameters_, "out", size_t(params.filters), 2) {}

  nn::Var scores(nn::Tape<float>& t, std::span<const Text* const> texts) const {
    std::vector<int32_t> words;
    std::vector<size_t> lengths;
    for (const Text* text : texts) words.insert(words.end(), text->words.begin(), text->words.end()), lengths.push_back(text->words.size());
    nn::Segments segments = nn::Segments::of_lengths(lengths);
    const nn::Var answers = nn::activate(t, conv_(t, embedding_(t, words), segments), nn::Activation::kRelu);
    return out_(t, nn::dropout(t, nn::segment_pool(t, answers, segments, nn::Pooling::kMax), params_.dropout));
  }

  int64_t put_loss(nn::Tape<float>& t, int shard, std::span<const size_t> examples) const override {
    std::vector<const Text*> texts;
    std::vector<int32_t> labels;
    for (size_t i : examples) texts.push_back(&shards_[size_t(shard - first_shard())][i]), labels.push_back(texts.back()->label);
    return int64_t(nn::cross_entropy<float>(t, scores(t, texts), labels));
  }

  void take(throng::comm::Communicator& comm, std::vector<std::vector<Text>> shards) {
    shards_ = std::move(shards);
    std::vector<size_t> sizes;
    for (const auto& s : shards_) sizes.push_back(s.size());
    set_examples(comm, sizes);
  }

 private:
  Tone params_;
  nn::Embedding embedding_;
  nn::Conv1d conv_;
  nn::Linear out_;
  std::vector<std::vector<Text>> shards_;
};

class ToneOperator : public throng::graph::CollectiveOperator {
 public:
  explicit ToneOperator(Tone params) : params_(std::move(params)) {}

  Schema bind(const std::vector<Schema>& inputs) override {
    if (inputs[0].at(params_.text).type != Type::kString) throw throng::job_error("column '{}' is not text", params_.text);
    if (inputs[0].at(params_.label).type != Type::kBool) throw throng::job_error("column '{}' is not bool", params_.label);
    schema_ = Schema{inputs[0].at(params_.text), inputs[0].at(params_.label)};
    schema_.set({"probability", Type::kFloat64});
    return schema_;
  }
  throng::graph::Names needed_columns(size_t, const Schema&, const throng::graph::Names&) const override { return {params_.text, params_.label}; }

  void run(throng::graph::CollectiveContext& context) override {
    auto& comm = context.comm();
    ToneModel model(params_, seed);
    // A shard is a stretch of partitions, the same on any number of ranks.
    const int first = comm.first_shard(comm.rank(), kShards), end = comm.first_shard(comm.rank() + 1, kShards);
    const int64_t partitions = context.num_partitions(0);
    std::vector<std::vector<Text>> shards(static_cast<size_t>(end - first));
    for (int s = first; s < end; ++s)
      for (int64_t p = partitions * s / kShards; p < partitions * (s + 1) / kShards; ++p) {
        const Batch batch = context.read(0, p);
        for (int64_t r = 0; r < batch.num_rows(); ++r)
          if (Text text = read_text(batch, r, params_); text.label >= 0) shards[size_t(s - first)].push_back(std::move(text));
      }
    model.take(comm, std::move(shards));

    train::TrainerOptions options;
    options.epochs = params_.epochs, options.shards = kShards, options.seed = seed, options.folder = context.folder();
    options.optimizer.lr = params_.lr;
    options.progress = [&](double fraction, const std::string& text) { context.progress(fraction, text); };
    options.stop_agreed = [&] { return context.stop_agreed(); };
    const train::Weights weights = train::train(model, comm, context.pool(), options);

    auto& output = context.output("", schema_, partitions);
    throng::graph::map_partitions(context, 0, {}, output, [&](const Batch& batch) {
      Column probability(Type::kFloat64);
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        const Text text = read_text(batch, r, params_);
        const Text* const one[] = {&text};
        nn::Tape<float>& t = train::thread_tape();
        t.start(model.parameters(), weights, {});
        const float* scores = t.value(model.scores(t, one));
        probability.append(1 / (1 + std::exp(double(scores[0]) - double(scores[1]))));
      }
      return batch.with({"probability", Type::kFloat64}, std::move(probability));
    });
  }

 private:
  Tone params_;
  Schema schema_;
};

}  // namespace
}  // namespace mine

extern "C" void throng_register(throng::graph::Registry& registry) { registry.add<mine::Tone, mine::ToneOperator>(); }
