#include "operators/topics/topics.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "framework/base/files.h"
#include "framework/base/random.h"
#include "framework/data/vocabulary.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

constexpr int kFoldInRounds = 30;

// One partition's documents with their topic assignments: the unit that samples on its own during a sweep.
struct Documents {
  int64_t partition = 0;
  std::vector<uint64_t> ids;
  std::vector<size_t> starts{0};
  std::vector<int32_t> words;        // numbers within `distinct`
  std::vector<int32_t> assigned;     // topic of each word
  std::vector<int32_t> distinct;     // local word -> vocabulary word
  std::vector<int32_t> local_counts; // (distinct, K), while sampling
};

class TopicsOperator : public graph::CollectiveOperator {
 public:
  explicit TopicsOperator(Topics params) : params_(std::move(params)), k_(size_t(params_.k)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    if (inputs[0].at(params_.column).type != Type::kListString)
      throw job_error("column '{}' is {}; expected list<string>", params_.column, data::type_name(inputs[0].at(params_.column).type)).with_hint("make tokens with op tokenize first");
    return apply_schema(inputs[0]);
  }
  bool learns() const override { return true; }
  void recorded(const std::filesystem::path& folder) const override {
    remove_files(folder, [](const std::string& name) { return name.starts_with("checkpoint.h5") || name.starts_with("assigned-"); });
  }
  data::Schema apply_schema(const data::Schema& input) override {
    data::Schema schema = input;
    schema.set({"topic", Type::kInt32});
    schema.set({"topic_weight", Type::kFloat64});
    return schema;
  }
  std::map<std::string, data::Schema> side_outputs() const override {
    return {{"words", data::Schema{{"topic", Type::kInt32}, {"rank", Type::kInt32}, {"word", Type::kString}, {"probability", Type::kFloat64}}},
            {"summary", data::Schema{{"topic", Type::kInt32}, {"share", Type::kFloat64}, {"label", Type::kString}}}};
  }

  void run(graph::CollectiveContext& context) override {
    count_words(context);
    if (words_.size() < 2)
      throw data_error("only {} words occur {} times or more in the training rows and in at most {} of them", words_.size(), params_.min_count, params_.max_share)
          .with_hint("lower min_count or raise max_share");
    auto documents = load_documents(context);
    json curve = sample(context, documents);
    finish_probabilities();
    save(context, curve);
    write_rows(context);
  }

  void load(const std::filesystem::path& folder) override {
    auto store = data::ArrayStore::load(folder / "topics.h5");
    words_ = data::Vocabulary::load(store, "words");
    counts_.clear();
    for (int64_t c : store.integers("counts")) counts_.push_back(int32_t(c));
    if (counts_.size() != words_.size() * k_) throw data_error("{}: has another number of topics", (folder / "topics.h5").string());
    finish_probabilities();
  }

  data::Batch apply(const data::Batch& batch) const override { return assign(batch, nullptr); }

 private:
  void count_words(graph::CollectiveContext& context) {
    data::TextMap<data::ValueCount> local;
    int64_t rows = 0;
    std::mutex mutex;
    graph::for_each_partition(context, 0, {params_.column, std::string(graph::kHoldoutColumn)}, [&](const data::Batch& batch) {
      data::TextMap<data::ValueCount> counts;
      auto learn = graph::training_rows(batch);
      const auto& tokens = batch.column(params_.column);
      std::set<std::string_view> seen;
      int64_t with_words = 0;
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        if (!learn[size_t(r)] || tokens.list_size(r) == 0) continue;
        ++with_words;
        seen.clear();
        for (int64_t i = 0; i < tokens.list_size(r); ++i) {
          auto word = tokens.list_string(r, i);
          auto it = counts.find(word);
          if (it == counts.end()) it = counts.emplace(std::string(word), data::ValueCount{}).first;
          ++it->second.count;
          if (seen.insert(word).second) ++it->second.rows;
        }
      }
      std::lock_guard lock(mutex);
      rows += with_words;
      for (auto& [word, c] : counts) local[word].count += c.count, local[word].rows += c.rows;
    });
    rows = context.comm().allreduce(rows);
    // Words in too many rows say nothing about topics. Their rows are known only after the merge, so they are cut there.
    auto all = data::Vocabulary::build(context.comm(), local, params_.min_count, 0);
    data::TextMap<data::ValueCount> kept;
    if (context.comm().rank() == 0)
      for (size_t w = 0; w < all.size(); ++w)
        if (double(all.rows(w)) <= params_.max_share * double(rows)) kept[all.word(w)] = {all.count(w), all.rows(w)};
    words_ = data::Vocabulary::build(context.comm(), kept, 1, params_.max_size);
  }

  std::vector<Documents> load_documents(graph::CollectiveContext& context) {
    const int64_t first = context.first_owned(0);
    std::vector<Documents> documents(size_t(context.end_owned(0) - first));
    counts_.assign(words_.size() * k_, 0);
    graph::for_each_partition(context, 0, {params_.column, std::string(graph::kHoldoutColumn)}, [&](const data::Batch& batch) {
      Documents& d = documents[size_t(batch.origin.partition - first)];
      d.partition = batch.origin.partition;
      auto learn = graph::training_rows(batch);
      const auto& tokens = batch.column(params_.column);
      std::map<int32_t, int32_t> local;
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        if (!learn[size_t(r)]) continue;
        size_t before = d.words.size();
        Random random(seed, uint64_t(d.partition) << 40 | uint64_t(r), 0);
        for (int64_t i = 0; i < tokens.list_size(r); ++i) {
          int32_t w = words_.find(tokens.list_string(r, i));
          if (w < 0) continue;
          auto [it, fresh] = local.try_emplace(w, int32_t(d.distinct.size()));
          if (fresh) d.distinct.push_back(w);
          d.words.push_back(it->second);
          d.assigned.push_back(int32_t(random.below(uint32_t(k_))));
        }
        if (d.words.size() == before) continue;
        d.ids.push_back(uint64_t(d.partition) << 40 | uint64_t(r));
        d.starts.push_back(d.words.size());
      }
    });
    return documents;
  }

  json sample(graph::CollectiveContext& context, std::vector<Documents>& documents) {
    auto& comm = context.comm();
    std::vector<int64_t> totals(words_.size() * k_, 0);
    for (const auto& d : documents)
      for (size_t i = 0; i < d.words.size(); ++i) ++totals[size_t(d.distinct[size_t(d.words[i])]) * k_ + size_t(d.assigned[i])];
    comm.allreduce(std::span(totals));
    json curve = json::array();
    int64_t first_sweep = resume(context, documents, totals, curve);
    std::vector<int64_t> topic_totals(k_);
    std::mutex mutex;
    std::vector<std::vector<double>> likelihood(documents.size(), std::vector<double>(2));
    for (int64_t sweep = first_sweep; sweep < params_.iterations; ++sweep) {
      std::fill(topic_totals.begin(), topic_totals.end(), 0);
      for (size_t i = 0; i < totals.size(); ++i) topic_totals[i % k_] += totals[i];
      const bool measured = (sweep + 1) % 10 == 0 || sweep + 1 == params_.iterations;
      std::vector<int64_t> change(totals.size(), 0);
      context.pool().parallel_for(documents.size(), [&](size_t i) {
        Documents& d = documents[i];
        std::vector<int64_t> own(topic_totals);
        d.local_counts.resize(d.distinct.size() * k_);
        for (size_t w = 0; w < d.distinct.size(); ++w)
          for (size_t t = 0; t < k_; ++t) d.local_counts[w * k_ + t] = int32_t(totals[size_t(d.distinct[w]) * k_ + t]);
        likelihood[i] = sweep_partition(d, own, sweep, measured);
        std::lock_guard lock(mutex);
        for (size_t w = 0; w < d.distinct.size(); ++w)
          for (size_t t = 0; t < k_; ++t) change[size_t(d.distinct[w]) * k_ + t] += d.local_counts[w * k_ + t] - totals[size_t(d.distinct[w]) * k_ + t];
        d.local_counts = {};
      });
      comm.allreduce(std::span(change));
      for (size_t i = 0; i < totals.size(); ++i) totals[i] += change[i];
      if (measured) {
        auto sum = data::sum_over_partitions(comm, likelihood, 2);
        curve.push_back({{"iteration", sweep + 1}, {"log_likelihood_per_word", sum[1] > 0 ? sum[0] / sum[1] : 0}});
      }
      context.progress(double(sweep + 1) / double(params_.iterations), fmt::format("sweep {}/{}", sweep + 1, params_.iterations));
      const bool stop = (sweep + 1) % 10 == 0 && context.stop_agreed();
      if (stop || ((sweep + 1) % 50 == 0 && sweep + 1 < params_.iterations)) checkpoint(context, documents, sweep + 1, curve);
      if (stop) throw graph::stopped();
    }
    counts_.assign(totals.begin(), totals.end());
    return curve;
  }

  // One Gibbs sweep over a partition against its private counts. Returns the log-likelihood of its words, and their number.
  std::vector<double> sweep_partition(Documents& d, std::vector<int64_t>& topic_totals, int64_t sweep, bool measured) const {
    std::vector<int32_t> in_document(k_);
    std::vector<double> cumulative(k_);
    const double alpha = params_.alpha, beta = params_.beta, beta_sum = beta * double(words_.size());
    std::vector<double> inverse(k_);
    for (size_t t = 0; t < k_; ++t) inverse[t] = 1.0 / (double(topic_totals[t]) + beta_sum);
    double likelihood = 0;
    for (size_t doc = 0; doc + 1 < d.starts.size(); ++doc) {
      std::fill(in_document.begin(), in_document.end(), 0);
      for (size_t i = d.starts[doc]; i < d.starts[doc + 1]; ++i) ++in_document[size_t(d.assigned[i])];
      Random random(seed, d.ids[doc], uint64_t(sweep) + 1);
      const double length = double(d.starts[doc + 1] - d.starts[doc]);
      for (size_t i = d.starts[doc]; i < d.starts[doc + 1]; ++i) {
        int32_t* of_word = &d.local_counts[size_t(d.words[i]) * k_];
        size_t old = size_t(d.assigned[i]);
        --in_document[old], --of_word[old], --topic_totals[old];
        inverse[old] = 1.0 / (double(topic_totals[old]) + beta_sum);
        double sum = 0;
        for (size_t t = 0; t < k_; ++t) cumulative[t] = sum += (double(in_document[t]) + alpha) * (double(of_word[t]) + beta) * inverse[t];
        if (measured) likelihood += std::log(sum / (length - 1 + alpha * double(k_)));
        double u = random.uniform() * sum;
        size_t fresh = size_t(std::upper_bound(cumulative.begin(), cumulative.end(), u) - cumulative.begin());
        if (fresh >= k_) fresh = k_ - 1;
        ++in_document[fresh], ++of_word[fresh], ++topic_totals[fresh];
        inverse[fresh] = 1.0 / (double(topic_totals[fresh]) + beta_sum);
        d.assigned[i] = int32_t(fresh);
      }
    }
    return {likelihood, double(d.words.size())};
  }

  // Checkpoints hold assignments by partition: each rank writes its own, rank 0 the sweep, last.
  void checkpoint(graph::CollectiveContext& context, const std::vector<Documents>& documents, int64_t sweep, const json& curve) {
    for (const auto& d : documents) {
      data::ArrayStore store;
      store.put("assigned", std::vector<int64_t>(d.assigned.begin(), d.assigned.end()));
      store.save(context.folder() / fmt::format("assigned-{:05}-{}.h5", d.partition, sweep));
    }
    context.comm().barrier();
    if (context.comm().rank() == 0) {
      data::ArrayStore store;
      store.put("sweep", std::vector<int64_t>{sweep});
      store.texts["curve"] = curve.dump();
      store.save(context.folder() / "checkpoint.h5");
      for (const auto& entry : std::filesystem::directory_iterator(context.folder())) {
        std::string name = entry.path().filename().string();
        if (name.starts_with("assigned-") && !name.ends_with(fmt::format("-{}.h5", sweep))) std::filesystem::remove(entry.path());
      }
    }
    context.comm().barrier();
  }
  int64_t resume(graph::CollectiveContext& context, std::vector<Documents>& documents, std::vector<int64_t>& totals, json& curve) {
    auto path = context.folder() / "checkpoint.h5";
    if (!context.comm().allreduce(context.comm().rank() == 0 && std::filesystem::exists(path))) return 0;
    auto store = data::ArrayStore::load(path);
    const int64_t sweep = store.integers("sweep").at(0);
    curve = json::parse(store.texts.at("curve"));
    std::fill(totals.begin(), totals.end(), 0);
    for (auto& d : documents) {
      auto saved = data::ArrayStore::load(context.folder() / fmt::format("assigned-{:05}-{}.h5", d.partition, sweep));
      const auto& assigned = saved.integers("assigned");
      if (assigned.size() != d.assigned.size()) throw data_error("{}: belongs to other rows", path.string());
      std::copy(assigned.begin(), assigned.end(), d.assigned.begin());
      for (size_t i = 0; i < d.words.size(); ++i) ++totals[size_t(d.distinct[size_t(d.words[i])]) * k_ + size_t(d.assigned[i])];
    }
    context.comm().allreduce(std::span(totals));
    return sweep;
  }

  void finish_probabilities() {
    std::vector<double> totals(k_, 0.0);
    for (size_t i = 0; i < counts_.size(); ++i) totals[i % k_] += counts_[i];
    probabilities_.resize(counts_.size());
    for (size_t i = 0; i < counts_.size(); ++i)
      probabilities_[i] = (double(counts_[i]) + params_.beta) / (totals[i % k_] + params_.beta * double(words_.size()));
  }

  // Topic weights of one row by expectation-maximisation against the fixed word probabilities.
  bool fold_in(const std::vector<int32_t>& words, std::vector<double>& weights) const {
    weights.assign(k_, 1.0 / double(k_));
    if (words.empty()) return false;
    std::vector<double> next(k_), share(k_);
    for (int round = 0; round < kFoldInRounds; ++round) {
      std::fill(next.begin(), next.end(), params_.alpha);
      for (int32_t w : words) {
        double sum = 0;
        for (size_t t = 0; t < k_; ++t) sum += share[t] = weights[t] * probabilities_[size_t(w) * k_ + t];
        for (size_t t = 0; t < k_; ++t) next[t] += share[t] / sum;
      }
      const double total = double(words.size()) + params_.alpha * double(k_);
      for (size_t t = 0; t < k_; ++t) weights[t] = next[t] / total;
    }
    return true;
  }

  data::Batch assign(const data::Batch& batch, std::vector<double>* shares) const {
    const auto& tokens = batch.column(params_.column);
    data::Column topic(Type::kInt32), weight(Type::kFloat64);
    std::vector<int32_t> words;
    std::vector<double> weights;
    int64_t unseen = 0;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      words.clear();
      for (int64_t i = 0; i < tokens.list_size(r); ++i) {
        int32_t w = words_.find(tokens.list_string(r, i));
        w >= 0 ? words.push_back(w) : void(++unseen);
      }
      if (!fold_in(words, weights)) {
        topic.append_null(), weight.append_null();
        continue;
      }
      size_t best = size_t(std::max_element(weights.begin(), weights.end()) - weights.begin());
      topic.append(int32_t(best));
      weight.append(weights[best]);
      if (shares)
        for (size_t t = 0; t < k_; ++t) (*shares)[t] += weights[t];
    }
    counters().add("unknown_words", unseen);
    return batch.with({"topic", Type::kInt32}, std::move(topic)).with({"topic_weight", Type::kFloat64}, std::move(weight));
  }

  void write_rows(graph::CollectiveContext& context) {
    const int64_t first = context.first_owned(0);
    std::vector<std::vector<double>> shares(size_t(context.end_owned(0) - first), std::vector<double>(k_, 0.0));
    auto& output = context.output("", apply_schema(context.input_schema(0)), context.num_partitions(0));
    graph::map_partitions(context, 0, {}, output, [&](const data::Batch& batch) { return assign(batch, &shares[size_t(batch.origin.partition - first)]); });
    auto total = data::sum_over_partitions(context.comm(), shares, k_);
    double sum = 0;
    for (double t : total) sum += t;

    auto& table = context.output("words", side_outputs().at("words"), 1);
    auto& summary = context.output("summary", side_outputs().at("summary"), 1);
    if (context.comm().rank() != 0) return;
    data::Column topic(Type::kInt32), rank(Type::kInt32), word(Type::kString), probability(Type::kFloat64);
    data::Column topic_number(Type::kInt32), share(Type::kFloat64), label(Type::kString);
    for (size_t t = 0; t < k_; ++t) {
      std::vector<int32_t> order(words_.size());
      for (size_t w = 0; w < order.size(); ++w) order[w] = int32_t(w);
      const size_t top = std::min(order.size(), size_t(params_.top_words));
      std::partial_sort(order.begin(), order.begin() + ptrdiff_t(top), order.end(), [&](int32_t a, int32_t b) {
        double x = probabilities_[size_t(a) * k_ + t], y = probabilities_[size_t(b) * k_ + t];
        return x != y ? x > y : a < b;
      });
      std::string name;
      for (size_t i = 0; i < top; ++i) {
        topic.append(int32_t(t)), rank.append(int32_t(i + 1));
        word.append_string(words_.word(size_t(order[i])));
        probability.append(probabilities_[size_t(order[i]) * k_ + t]);
        if (i < 3) name += (i ? " " : "") + words_.word(size_t(order[i]));
      }
      topic_number.append(int32_t(t));
      share.append(sum > 0 ? total[t] / sum : 0.0);
      label.append_string(name);
    }
    auto write_table = [](data::DatasetWriter& writer, const data::Schema& schema, std::vector<data::Column*> columns) {
      std::vector<data::Column> moved;
      for (auto* c : columns) moved.push_back(std::move(*c));
      writer.write(0, data::Batch(schema, std::move(moved)));
    };
    write_table(table, side_outputs().at("words"), {&topic, &rank, &word, &probability});
    write_table(summary, side_outputs().at("summary"), {&topic_number, &share, &label});
  }

  void save(graph::CollectiveContext& context, const json& curve) {
    if (context.comm().rank() == 0) {
      data::ArrayStore store;
      words_.save(store, "words");
      store.put("counts", std::vector<int64_t>(counts_.begin(), counts_.end()), {words_.size(), k_});
      store.save(context.folder() / "topics.h5");
      context.metric("curve", curve.dump());
      context.metric("words", std::to_string(words_.size()));
    }
    context.comm().barrier();
  }

  Topics params_;
  size_t k_;
  data::Vocabulary words_;
  std::vector<int32_t> counts_;        // (words, K)
  std::vector<double> probabilities_;  // of a word in a topic, (words, K)
};

}  // namespace
}  // namespace throng::op

void register_topics(throng::graph::Registry& registry) { registry.add<throng::op::Topics, throng::op::TopicsOperator>(); }
