#include "operators/next_item/next_item.h"

#include <nlohmann/json.hpp>

#include "framework/base/files.h"
#include "framework/graph/registry.h"
#include "framework/train/safetensors.h"
#include "operators/next_item/item_model.h"
#include "operators/next_item/ranking.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

/// What the operators have in common.
struct Settings {
  ItemColumns columns;
  int64_t min_count = 1, k = 10;
  bool filter_seen = true;
  // Of models:
  std::optional<ItemModelOptions> model;
  train::TrainerOptions trainer;
  int64_t batch = 128, patience = 0;
};

ItemModelOptions::Loss loss_of(const std::string& name) {
  using Loss = ItemModelOptions::Loss;
  return name == "full" ? Loss::kFull : name == "sampled" ? Loss::kSampled : name == "bce" ? Loss::kBce : name == "bpr" ? Loss::kBpr : Loss::kBprMax;
}

template <class P>
Settings common(const P& p) {
  Settings s;
  s.columns = {p.by, p.item, p.validation}, s.min_count = p.min_count, s.k = p.k, s.filter_seen = p.filter_seen;
  return s;
}
template <class P>
Settings trained(const P& p) {
  Settings s = common(p);
  if ((p.shards & (p.shards - 1)) != 0) throw job_error("'shards' is {}; expected a power of two", p.shards);
  if (p.batch < p.shards) throw job_error("'batch' is {}; expected at least 'shards', {}", p.batch, p.shards);
  if (p.patience > 0 && !p.validation) throw job_error("'patience' needs 'validation', which is off");
  s.batch = p.batch, s.patience = p.patience;
  s.model.emplace();
  s.model->loss = loss_of(p.loss), s.model->negatives = size_t(p.negatives), s.model->hidden = size_t(p.hidden), s.model->longest = size_t(p.max_length), s.model->dropout = p.dropout;
  auto& t = s.trainer;
  t.epochs = p.epochs, t.shards = p.shards, t.clip = p.clip, t.checkpoint_every = p.checkpoint_every;
  t.optimizer.kind = nn::OptimizerOptions::kind_of(p.optimizer), t.optimizer.lr = p.lr, t.optimizer.weight_decay = p.weight_decay;
  return s;
}

Settings settings_of(const Popular& p) { return common(p); }
Settings settings_of(const Gru4rec& p) {
  Settings s = trained(p);
  s.model->kind = ItemModelOptions::Kind::kGru, s.model->layers = size_t(p.layers);
  return s;
}
Settings settings_of(const Sasrec& p) {
  if (p.hidden % p.heads != 0) throw job_error("'hidden' is {}; expected a multiple of 'heads', {}", p.hidden, p.heads);
  Settings s = trained(p);
  s.model->layers = size_t(p.blocks), s.model->heads = size_t(p.heads), s.model->inner = size_t(p.inner ? p.inner : p.hidden);
  s.model->norm_first = p.norm == "first", s.model->activation = p.activation == "gelu" ? nn::Activation::kGelu : nn::Activation::kRelu;
  return s;
}

template <class P>
class NextItemOperator : public graph::CollectiveOperator {
 public:
  explicit NextItemOperator(P params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    settings_ = settings_of(params_);
    const data::Schema& input = inputs[0];
    const auto& item = input.at(params_.item);
    if (item.type != Type::kString && !is_integer(item.type)) throw job_error("column '{}' is {}; expected text or whole numbers", item.name, data::type_name(item.type));
    if (input.at("ts").type != Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(input.at("ts").type));
    schema_ = data::Schema{input.at(params_.by)};
    schema_.set({"actual", Type::kString}), schema_.set({"rank", Type::kInt64}), schema_.set({"recommended", Type::kListString});
    return schema_;
  }
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override { return {params_.by, "ts", params_.item, std::string(graph::kHoldoutColumn)}; }
  Contract contract(size_t) const override { return {{params_.by}, {"ts"}, {}, {}}; }

  void run(graph::CollectiveContext& context) override {
    load(context);
    if (settings_.model) train(context);
    judge(context);
  }

 private:
  struct Partition {
    int64_t number = 0;
    std::vector<ItemSequence> users;
  };

  // The catalogue, and the users of this rank's shards; without a model, of its partitions.
  void load(graph::CollectiveContext& context) {
    auto& comm = context.comm();
    data::TextMap<data::ValueCount> counts;
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      data::TextMap<data::ValueCount> local;
      count_items(settings_.columns, batch, local);
      std::lock_guard lock(mutex);
      for (const auto& [item, c] : local) counts[item].count += c.count;
    });
    catalogue_ = data::Vocabulary::build(comm, counts, settings_.min_count, 0);
    if (catalogue_.size() < 2)
      throw data_error("column '{}' has {} values in the training rows that occur {} times or more; a catalogue needs at least 2", params_.item, catalogue_.size(), settings_.min_count)
          .with_hint("are all rows held out? is 'item' the right column?");
    // A shard is a stretch of partitions, the same on any number of ranks.
    const int shards = settings_.trainer.shards;
    const int first = comm.first_shard(comm.rank(), shards), end = comm.first_shard(comm.rank() + 1, shards);
    const int64_t partitions = context.num_partitions(0);
    shard_ends_.clear(), held_.clear();
    for (int s = first; s < end; ++s) {
      for (int64_t p = partitions * s / shards; p < partitions * (s + 1) / shards; ++p) held_.push_back({p, {}});
      shard_ends_.push_back(held_.size());
    }
    context.pool().parallel_for(held_.size(), [&](size_t i) { held_[i].users = read_sequences(settings_.columns, context.read(0, held_[i].number, {}), catalogue_); });
  }

  void train(graph::CollectiveContext& context) {
    auto& comm = context.comm();
    ItemModelOptions options = *settings_.model;
    options.items = catalogue_.size();
    model_ = std::make_unique<ItemModel>(options, settings_.batch, settings_.trainer.shards, seed);
    std::vector<std::vector<const ItemSequence*>> shards(shard_ends_.size());
    for (size_t s = 0, i = 0; s < shards.size(); ++s)
      for (; i < shard_ends_[s]; ++i)
        for (const auto& user : held_[i].users)
          if (user.items.size() >= 2) shards[s].push_back(&user);
    model_->take(comm, std::move(shards));
    if (model_->steps_per_epoch() == 0) throw data_error("no user has two training items of the catalogue").with_hint("are all rows held out? lower 'min_count', or switch 'validation' off");

    // The best epoch so far is kept beside the checkpoint, so that a run that goes on knows it.
    const auto best_path = context.folder() / "best.h5", curve_path = context.folder() / "curve.json";
    json curve = json::array();
    std::string old;
    if (comm.rank() == 0 && std::filesystem::exists(curve_path) && std::filesystem::exists(context.folder() / "checkpoint.h5")) old = read_file(curve_path);
    comm.broadcast(old);
    if (!old.empty()) curve = json::parse(old);
    model_->after_epoch = [&](int64_t epoch, double loss, const std::vector<float>& weights) {
      while (int64_t(curve.size()) > epoch) curve.erase(curve.size() - 1);
      json point{{"epoch", epoch + 1}, {"loss", loss}};
      bool more = true;
      if (settings_.columns.validation) {
        const double score = RankSums::ndcg10(validate(context, weights));
        double best = -1;
        int64_t best_epoch = 0;
        for (const auto& p : curve)
          if (p["validation_ndcg10"].get<double>() > best) best = p["validation_ndcg10"], best_epoch = p["epoch"].get<int64_t>() - 1;
        point["validation_ndcg10"] = score;
        if (score > best) {
          best_epoch = epoch;
          if (comm.rank() == 0) {
            data::ArrayStore store;
            store.put("weights", weights);
            store.save(best_path);
          }
        }
        more = settings_.patience == 0 || epoch - best_epoch < settings_.patience;
      }
      curve.push_back(point);
      if (comm.rank() == 0) write_file_atomically(curve_path, curve.dump());
      comm.barrier();
      return more;
    };
    train::TrainerOptions trainer = settings_.trainer;
    trainer.seed = seed, trainer.folder = context.folder();
    trainer.progress = [&](double fraction, const std::string& text) { context.progress(fraction, text); };
    trainer.stop_agreed = [&] { return context.stop_agreed(); };
    weights_ = train::train(*model_, comm, context.pool(), trainer);
    if (settings_.columns.validation) weights_ = data::ArrayStore::load(best_path).floats("weights");
    if (comm.rank() == 0) {
      train::save_safetensors(context.folder() / "model.safetensors", model_->parameters(), weights_);
      data::ArrayStore store;
      catalogue_.save(store, "items");
      store.save(context.folder() / "catalogue.h5");
      context.metric("curve", curve.dump());
    }
    comm.barrier();
    std::error_code ignored;
    if (comm.rank() == 0)
      for (const auto& path : {best_path, context.folder() / "checkpoint.h5"}) std::filesystem::remove(path, ignored);
  }

  // Calls visit(partition, user, history, scores) for the users of this rank that `wanted` names a history of, partitions on all workers.
  template <class Wanted, class Visit>
  void score(graph::CollectiveContext& context, const std::vector<float>& weights, const Wanted& wanted, const Visit& visit) {
    constexpr size_t kGroup = 64;
    std::optional<ItemModel::Scorer> scorer;
    if (model_) scorer.emplace(*model_, weights);
    std::vector<float> popularity(catalogue_.size());
    for (size_t i = 0; i < popularity.size(); ++i) popularity[i] = float(catalogue_.count(i));
    context.pool().parallel_for(held_.size(), [&](size_t i) {
      const auto& users = held_[i].users;
      std::vector<size_t> chosen;
      std::vector<std::vector<int32_t>> histories;
      std::vector<float> scores;
      auto flush = [&] {
        if (scorer && !chosen.empty()) scorer->scores(histories, scores);
        for (size_t j = 0; j < chosen.size(); ++j)
          visit(i, chosen[j], histories[j], scorer ? std::span<const float>(scores).subspan(j * catalogue_.size(), catalogue_.size()) : std::span<const float>(popularity));
        chosen.clear(), histories.clear();
      };
      for (size_t u = 0; u < users.size(); ++u) {
        if (auto history = wanted(users[u])) chosen.push_back(u), histories.push_back(std::move(*history));
        if (chosen.size() == kGroup) flush();
      }
      flush();
    });
  }
  std::span<const int32_t> filtered(const std::vector<int32_t>& history) const { return settings_.filter_seen ? std::span(history) : std::span<const int32_t>(); }

  // By partition, in order: sums do not depend on ranks.
  std::vector<double> total(graph::CollectiveContext& context, const std::vector<RankSums>& ranks) {
    std::vector<std::vector<double>> sums;
    for (const auto& r : ranks) sums.push_back(r.sums());
    return data::sum_over_partitions(context.comm(), sums, RankSums::kSize);
  }
  std::vector<double> validate(graph::CollectiveContext& context, const std::vector<float>& weights) {
    std::vector<RankSums> ranks(held_.size());
    score(context, weights, [](const ItemSequence& s) { return s.validation >= 0 ? std::optional(s.items) : std::nullopt; },
          [&](size_t i, size_t u, const std::vector<int32_t>& history, std::span<const float> scores) { ranks[i].add(rank_of(scores, held_[i].users[u].validation, filtered(history))); });
    return total(context, ranks);
  }

  void judge(graph::CollectiveContext& context) {
    std::vector<RankSums> ranks(held_.size());
    struct Row {
      int64_t rank;
      std::vector<int32_t> best;
    };
    std::vector<std::vector<Row>> rows(held_.size());
    for (size_t i = 0; i < held_.size(); ++i) rows[i].resize(held_[i].users.size());
    score(context, weights_, [](const ItemSequence& s) { return std::optional(s.history()); },
          [&](size_t i, size_t u, const std::vector<int32_t>& history, std::span<const float> scores) {
            const auto& user = held_[i].users[u];
            const int64_t rank = rank_of(scores, user.target, filtered(history));
            if (user.held_out) ranks[i].add(rank);
            rows[i][u] = {user.held_out ? rank : -1, best_items(scores, size_t(settings_.k), filtered(history))};
          });
    auto& output = context.output("", schema_, context.num_partitions(0));
    for (size_t i = 0; i < held_.size(); ++i) {
      const data::Batch batch = context.read(0, held_[i].number, {params_.by, params_.item});
      std::vector<int64_t> first;
      data::Column actual(Type::kString), rank(Type::kInt64), recommended(Type::kListString);
      for (size_t u = 0; u < rows[i].size(); ++u) {
        const auto& user = held_[i].users[u];
        first.push_back(user.first_row);
        if (user.held_out) actual.append_string(item_text(batch.column(params_.item), user.target_row));
        else actual.append_null();
        if (rows[i][u].rank > 0) rank.append(rows[i][u].rank);
        else rank.append_null();
        for (int32_t item : rows[i][u].best) recommended.add_list_string(catalogue_.word(size_t(item)));
        recommended.end_list();
      }
      std::vector<data::Column> columns;
      columns.push_back(batch.column(params_.by).take(first)), columns.push_back(std::move(actual)), columns.push_back(std::move(rank)), columns.push_back(std::move(recommended));
      output.write(held_[i].number, data::Batch(schema_, std::move(columns), batch.origin));
    }
    json result = RankSums::result(total(context, ranks));
    if (context.comm().rank() != 0) return;
    result["protocol"] = fmt::format("each user's first held-out item, ranked against the whole catalogue of training rows; equal scores and items not in the catalogue count as misses; {}; {}",
                                     settings_.filter_seen ? "items taken before are left out" : "items taken before are ranked, too",
                                     settings_.columns.validation ? "the last training item of users with three or more is not learned from" : "all training items are learned from");
    result["items"] = catalogue_.size(), result["model"] = P::kOp;
    if (model_) result["weights"] = model_->parameters().size();
    context.metric("result", result.dump());
  }

  P params_;
  Settings settings_;
  data::Schema schema_;
  data::Vocabulary catalogue_;
  std::vector<Partition> held_;
  std::vector<size_t> shard_ends_;  // in held_
  std::unique_ptr<ItemModel> model_;
  std::vector<float> weights_;
};

}  // namespace
}  // namespace throng::op

void register_next_item(throng::graph::Registry& registry) {
  using namespace throng::op;
  registry.add<Sasrec, NextItemOperator<Sasrec>>();
  registry.add<Gru4rec, NextItemOperator<Gru4rec>>();
  registry.add<Popular, NextItemOperator<Popular>>();
}
