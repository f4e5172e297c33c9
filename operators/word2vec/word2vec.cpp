#include "operators/word2vec/word2vec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/data/vocabulary.h"
#include "framework/graph/registry.h"
#include "framework/tensor/vector_kernels.h"
#include "operators/word2vec/skip_gram.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

constexpr double kLeastLr = 0.0001;
constexpr size_t kLongestSentence = 10'000;

// A worker's part of the text. In exact mode there is one per logical shard.
struct Part {
  std::vector<std::vector<int32_t>> sentences;
  std::vector<uint64_t> ids;  // of the rows, for random numbers
  int64_t num_words = 0;
  size_t next = 0;            // sentence, in this epoch
  std::unique_ptr<SkipGram> worker;
  Changes changes;
};

class Word2vecOperator : public graph::CollectiveOperator {
 public:
  explicit Word2vecOperator(Word2vec params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (inputs[0].at(params_.column).type != Type::kListString)
      throw job_error("column '{}' is {}; expected list<string>", params_.column, data::type_name(inputs[0].at(params_.column).type)).with_hint("make tokens with op tokenize first");
    return words_schema();
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override { return {params_.column, std::string(graph::kHoldoutColumn)}; }

  void run(graph::CollectiveContext& context) override {
    count_words(context);
    if (words_.size() < 2) throw data_error("only {} words occur {} times or more in the training rows", words_.size(), params_.min_count).with_hint("lower min_count");
    dim_ = size_t(params_.dim);
    Matrices m{dim_, std::vector<float>(words_.size() * dim_), std::vector<float>(words_.size() * dim_, 0.0f)};
    for (size_t w = 0; w < words_.size(); ++w) {
      Random random(seed, hash64(words_.word(w)), 1);
      for (size_t d = 0; d < dim_; ++d) m.in[w * dim_ + d] = (random.uniform_float() - 0.5f) / float(dim_);
    }
    int64_t first_epoch = 0;
    json curve = json::array();
    resume(context, m, first_epoch, curve);
    train(context, m, first_epoch, curve);
    vectors_ = std::move(m.in);
    write(context, curve);
  }

  bool learns() const override { return true; }
  void recorded(const std::filesystem::path& folder) const override {
    remove_files(folder, [](const std::string& name) { return name.starts_with("checkpoint.h5"); });
  }
  data::Schema apply_schema(const data::Schema& input) override {
    data::Schema schema = input;
    schema.set({"vector", Type::kListFloat32});
    return schema;
  }
  void load(const std::filesystem::path& folder) override {
    auto store = data::ArrayStore::load(folder / "word2vec.h5");
    words_ = data::Vocabulary::load(store, "words");
    vectors_ = store.floats("vectors");
    dim_ = words_.size() ? vectors_.size() / words_.size() : 0;
  }
  data::Batch apply(const data::Batch& batch) const override {
    data::Column out(Type::kListFloat32);
    const auto& tokens = batch.column(params_.column);
    std::vector<float> mean(dim_);
    int64_t unseen = 0;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      std::fill(mean.begin(), mean.end(), 0.0f);
      int64_t known = 0;
      for (int64_t i = 0; i < tokens.list_size(r); ++i) {
        int32_t w = words_.find(tokens.list_string(r, i));
        if (w < 0) {
          ++unseen;
          continue;
        }
        tensor::axpy(1.0f, &vectors_[size_t(w) * dim_], mean.data(), dim_);
        ++known;
      }
      for (float& x : mean) x /= float(std::max<int64_t>(1, known));
      known ? out.append_list<float>(mean) : out.append_null();
    }
    counters().add("unseen_words", unseen);
    return batch.with({"vector", Type::kListFloat32}, std::move(out));
  }

 private:
  static data::Schema words_schema() { return {{"word", Type::kString}, {"count", Type::kInt64}, {"vector", Type::kListFloat32}}; }

  void count_words(graph::CollectiveContext& context) {
    data::TextMap<data::ValueCount> local;
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      data::TextMap<data::ValueCount> counts;
      auto learn = graph::training_rows(batch);
      const auto& tokens = batch.column(params_.column);
      for (int64_t r = 0; r < batch.num_rows(); ++r)
        for (int64_t i = 0; learn[size_t(r)] && i < tokens.list_size(r); ++i) {
          auto word = tokens.list_string(r, i);
          auto it = counts.find(word);
          if (it == counts.end()) it = counts.emplace(std::string(word), data::ValueCount{}).first;
          ++it->second.count;
        }
      std::lock_guard lock(mutex);
      for (auto& [word, c] : counts) local[word].count += c.count;
    });
    words_ = data::Vocabulary::build(context.comm(), local, params_.min_count, params_.max_size);
  }

  // The parts this rank works on: its logical shards, or in fast mode one per worker thread.
  std::vector<Part> load_parts(graph::CollectiveContext& context, int& num_parts, int& first_part) {
    auto& comm = context.comm();
    const bool fast = params_.mode == "fast";
    num_parts = fast ? comm.size() * context.pool().num_threads() : params_.shards;
    first_part = comm.first_shard(comm.rank(), num_parts);
    std::vector<Part> parts(size_t(comm.first_shard(comm.rank() + 1, num_parts) - first_part));
    const int64_t partitions = context.num_partitions(0);
    context.pool().parallel_for(parts.size(), [&](size_t i) {
      Part& part = parts[i];
      int64_t number = first_part + int64_t(i);
      for (int64_t p = partitions * number / num_parts; p < partitions * (number + 1) / num_parts; ++p) {
        data::Batch batch = context.read(0, p, {});
        auto learn = graph::training_rows(batch);
        const auto& tokens = batch.column(params_.column);
        std::vector<int32_t> ids;
        for (int64_t r = 0; r < batch.num_rows(); ++r) {
          if (!learn[size_t(r)]) continue;
          ids.clear();
          for (int64_t k = 0; k < tokens.list_size(r) && ids.size() < kLongestSentence; ++k)
            if (int32_t w = words_.find(tokens.list_string(r, k)); w >= 0) ids.push_back(w);
          if (ids.size() < 2) continue;
          part.num_words += int64_t(ids.size());
          part.sentences.push_back(ids);
          part.ids.push_back(uint64_t(p) << 40 | uint64_t(r));
        }
      }
      part.worker = std::make_unique<SkipGram>(words_.size(), dim_, SkipGramOptions{params_.window, params_.negative});
    });
    return parts;
  }

  void train(graph::CollectiveContext& context, Matrices& m, int64_t first_epoch, json& curve) {
    auto& comm = context.comm();
    int num_parts = 0, first_part = 0;
    auto parts = load_parts(context, num_parts, first_part);
    int64_t most = 0, total = 0;
    for (const auto& p : parts) most = std::max(most, p.num_words), total += p.num_words;
    most = comm.allreduce(most, comm::Op::kMax);
    total = comm.allreduce(total);
    // Short blocks keep shards from working on old values; long ones merge less often.
    const bool fast = params_.mode == "fast";
    int64_t block = params_.block;
    if (block == 0) block = fast ? 100'000 : std::clamp<int64_t>(total / (int64_t{200} * num_parts), 100, 1000);

    std::vector<double> weights;
    int64_t all = 0;
    for (size_t w = 0; w < words_.size(); ++w) weights.push_back(std::pow(double(words_.count(w)), 0.75)), all += words_.count(w);
    AliasTable negatives(weights);
    std::vector<float> keep(words_.size(), 1.0f);
    if (params_.sample > 0)
      for (size_t w = 0; w < words_.size(); ++w) {
        double share = double(words_.count(w)) / double(all) / params_.sample;
        keep[w] = float(std::min(1.0, (std::sqrt(share) + 1) / share));
      }

    const int64_t steps = std::max<int64_t>(1, (most + block - 1) / block);
    // In fast mode the ranks' replicas meet after each block: what a rank changed is told by comparing with the values at the last meeting.
    Matrices met;
    if (fast && comm.size() > 1) met = m;
    for (int64_t epoch = first_epoch; epoch < params_.epochs; ++epoch) {
      for (auto& p : parts) p.next = 0;
      double loss = 0;
      int64_t pairs = 0;
      std::vector<std::vector<double>> losses(parts.size(), std::vector<double>(2));
      for (int64_t step = 0; step < steps; ++step) {
        const double done = (double(epoch) + double(step) / double(steps)) / double(params_.epochs);
        const float lr = float(std::max(kLeastLr, params_.lr * (1 - done)));
        context.pool().parallel_for(parts.size(), [&](size_t i) {
          Part& part = parts[i];
          if (fast) part.worker->begin_shared(m);
          else part.worker->begin(m);
          std::vector<int32_t> thinned;
          // The block ends where this step's share of the part's words is used up, so that all parts end the epoch together.
          int64_t words = 0, share = (part.num_words * (step + 1)) / steps - (part.num_words * step) / steps;
          const bool last = step + 1 == steps;
          while (part.next < part.sentences.size() && (words < share || last)) {
            const auto& sentence = part.sentences[part.next];
            Random random(seed, part.ids[part.next], uint64_t(epoch));
            thinned.clear();
            for (int32_t w : sentence)
              if (keep[size_t(w)] >= 1 || random.uniform_float() < keep[size_t(w)]) thinned.push_back(w);
            if (fast) {
              // One long block: the rate falls within it.
              double here = (double(epoch) + (double(step) + double(words) / double(std::max<int64_t>(1, share))) / double(steps)) / double(params_.epochs);
              sentence_without_locks(*part.worker, thinned, float(std::max(kLeastLr, params_.lr * (1 - here))), random, negatives);
            } else {
              part.worker->sentence(thinned, lr, random, negatives);
            }
            words += int64_t(sentence.size());
            ++part.next;
          }
          if (!fast) part.changes = part.worker->end();
          losses[i][0] += part.worker->loss(), losses[i][1] += double(part.worker->pairs());
        });
        if (!fast) merge(comm, parts, m);
        else if (comm.size() > 1) average(comm, met, m);
        if (step % 8 == 0) {
          context.progress(done, fmt::format("epoch {}/{}", epoch + 1, params_.epochs));
        }
      }
      auto sums = data::sum_over_partitions(comm, losses, 2);
      loss = sums[0], pairs = int64_t(sums[1]);
      curve.push_back({{"epoch", epoch + 1}, {"loss", pairs ? loss / double(pairs) : 0}});
      checkpoint(context, m, epoch + 1, curve);
      if (epoch + 1 < params_.epochs && context.stop_agreed()) throw graph::stopped();
    }
    if (comm.rank() == 0) context.metric("training_words", std::to_string(total));
  }

  // Hogwild: named apart, so that the data races it means to have can be told from others.
  [[gnu::noinline]] static void sentence_without_locks(SkipGram& worker, std::span<const int32_t> words, float lr, Random& random, const AliasTable& negatives) {
    worker.sentence(words, lr, random, negatives);
  }

  float* row(Matrices& m, size_t number) const { return number < words_.size() ? &m.in[number * dim_] : &m.out[(number - words_.size()) * dim_]; }

  static void pack(std::string& packed, const Changes& changes) {
    uint64_t n = changes.rows.size();
    packed.append(reinterpret_cast<const char*>(&n), 8);
    packed.append(reinterpret_cast<const char*>(changes.rows.data()), n * 4);
    packed.append(reinterpret_cast<const char*>(changes.deltas.data()), changes.deltas.size() * 4);
  }
  static std::vector<std::string> gather(comm::Communicator& comm, std::string packed) {
    return comm.size() > 1 ? comm.allgather(packed) : std::vector<std::string>{std::move(packed)};
  }
  // Calls visit(row number, delta) for each packed change, in order.
  template <class Visit>
  void for_each_change(const std::string& text, const Visit& visit) const {
    std::vector<float> delta(dim_);
    for (size_t at = 0; at < text.size();) {
      uint64_t n = 0;
      std::memcpy(&n, text.data() + at, 8);
      const char* rows = text.data() + at + 8;
      const char* deltas = rows + n * 4;
      for (uint64_t i = 0; i < n; ++i) {
        int32_t number = 0;
        std::memcpy(&number, rows + i * 4, 4);
        std::memcpy(delta.data(), deltas + i * dim_ * 4, dim_ * 4);
        visit(size_t(number), delta);
      }
      at += 8 + n * 4 + n * dim_ * 4;
    }
  }

  // Exact mode: adds every part's changes, in part order, on every rank.
  void merge(comm::Communicator& comm, std::vector<Part>& parts, Matrices& m) {
    std::string packed;
    for (const auto& p : parts) pack(packed, p.changes);
    for (const auto& text : gather(comm, std::move(packed)))
      for_each_change(text, [&](size_t number, const std::vector<float>& delta) { tensor::axpy(1.0f, delta.data(), row(m, number), dim_); });
  }

  // Fast mode: the replicas meet; a row moves by the mean over the ranks that changed it.
  void average(comm::Communicator& comm, Matrices& met, Matrices& m) {
    Changes mine;
    for (size_t number = 0; number < 2 * words_.size(); ++number) {
      const float *now = row(m, number), *then = row(met, number);
      if (std::equal(now, now + dim_, then)) continue;
      mine.rows.push_back(int32_t(number));
      for (size_t d = 0; d < dim_; ++d) mine.deltas.push_back(now[d] - then[d]);
    }
    std::string packed;
    pack(packed, mine);
    auto all = gather(comm, std::move(packed));
    std::vector<float> touching(2 * words_.size(), 0);
    for (const auto& text : all) for_each_change(text, [&](size_t number, const std::vector<float>&) { ++touching[number]; });
    for (const auto& text : all)
      for_each_change(text, [&](size_t number, const std::vector<float>& delta) { tensor::axpy(1.0f / touching[number], delta.data(), row(met, number), dim_); });
    m = met;
  }

  void checkpoint(graph::CollectiveContext& context, const Matrices& m, int64_t epoch, const json& curve) {
    if (context.comm().rank() == 0 && epoch < params_.epochs) {
      data::ArrayStore store;
      store.put("in", m.in), store.put("out", m.out);
      store.put("epoch", std::vector<int64_t>{epoch});
      store.texts["curve"] = curve.dump();
      store.save(context.folder() / "checkpoint.h5");
    }
    context.comm().barrier();
  }
  void resume(graph::CollectiveContext& context, Matrices& m, int64_t& epoch, json& curve) {
    auto path = context.folder() / "checkpoint.h5";
    if (!context.comm().allreduce(context.comm().rank() == 0 && std::filesystem::exists(path))) return;
    auto store = data::ArrayStore::load(path);
    m.in = store.floats("in"), m.out = store.floats("out");
    epoch = store.integers("epoch").at(0);
    curve = json::parse(store.texts.at("curve"));
  }

  void write(graph::CollectiveContext& context, const json& curve) {
    auto& output = context.output("", words_schema(), 1);
    if (context.comm().rank() != 0) return;
    data::ArrayStore store;
    words_.save(store, "words");
    store.put("vectors", vectors_, {words_.size(), dim_});
    store.save(context.folder() / "word2vec.h5");
    data::Column word(Type::kString), count(Type::kInt64), vector(Type::kListFloat32);
    for (size_t w = 0; w < words_.size(); ++w) {
      word.append_string(words_.word(w));
      count.append(words_.count(w));
      vector.append_list<float>(std::span<const float>(&vectors_[w * dim_], dim_));
    }
    std::vector<data::Column> columns;
    columns.push_back(std::move(word)), columns.push_back(std::move(count)), columns.push_back(std::move(vector));
    output.write(0, data::Batch(words_schema(), std::move(columns)));
    context.metric("curve", curve.dump());
    context.metric("words", std::to_string(words_.size()));
  }

  Word2vec params_;
  size_t dim_ = 0;
  data::Vocabulary words_;
  std::vector<float> vectors_;
};

}  // namespace
}  // namespace throng::op

void register_word2vec(throng::graph::Registry& registry) { registry.add<throng::op::Word2vec, throng::op::Word2vecOperator>(); }
