#include "framework/recommend/recommender.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "framework/tensor/vector_kernels.h"

namespace throng::recommend {

using data::Type;
using nlohmann::json;

data::Schema Recommender::bind(const std::vector<data::Schema>& inputs) {
  if ((shards_ & (shards_ - 1)) != 0) throw job_error("'shards' is {}; expected a power of two", shards_);
  const data::Schema& input = inputs[0];
  const auto& item = input.at(task_.item);
  if (item.type != Type::kString && !is_integer(item.type)) throw job_error("column '{}' is {}; expected text or whole numbers", item.name, data::type_name(item.type));
  for (size_t i = 0; i < task_.cutoffs.size(); ++i)
    if (task_.cutoffs[i] < 1 || (i > 0 && task_.cutoffs[i] <= task_.cutoffs[i - 1])) throw job_error("'cutoffs' has {}; expected rising whole numbers from 1", task_.cutoffs[i]);
  if (task_.cutoffs.empty()) throw job_error("'cutoffs' is empty; expected whole numbers such as [5, 10]");
  if (input.at("ts").type != Type::kTimestamp) throw job_error("column 'ts' is {}; expected timestamp", data::type_name(input.at("ts").type));
  schema_ = data::Schema{input.at(task_.by)};
  schema_.set({"actual", Type::kString}), schema_.set({"rank", Type::kInt64}), schema_.set({"recommended", Type::kListString});
  if (attends_) schema_.set({"attended", Type::kListString}), schema_.set({"attention", Type::kListFloat32});
  return schema_;
}

graph::Names Recommender::needed_columns(size_t, const data::Schema&, const graph::Names&) const {
  graph::Names names{task_.by, "ts", task_.item, std::string(graph::kHoldoutColumn)};
  if (!columns_.value.empty()) names.push_back(columns_.value);
  return names;
}

void Recommender::run(graph::CollectiveContext& context) {
  read_users(context);
  const auto scorer = learn(context);
  judge(context, *scorer);
  release_users();
}

void Recommender::load(const std::filesystem::path& folder) {
  catalogue_ = data::Vocabulary::load(data::ArrayStore::load(folder / "catalogue.h5"), "items");
  restored_ = restore(folder);
}

void Recommender::replay(graph::CollectiveContext& context) {
  hold_users(context);
  judge(context, *restored_);
  release_users();
}

void Recommender::read_users(graph::CollectiveContext& context) {
  data::TextMap<data::ValueCount> counts;
  std::mutex mutex;
  graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
    data::TextMap<data::ValueCount> local;
    count_items(columns_, batch, local);
    std::lock_guard lock(mutex);
    for (const auto& [item, c] : local) counts[item].count += c.count;
  });
  catalogue_ = data::Vocabulary::build(context.comm(), counts, task_.min_count, 0);
  if (catalogue_.size() < 2)
    throw data_error("column '{}' has {} values in the training rows that occur {} times or more; a catalogue needs at least 2", task_.item, catalogue_.size(), task_.min_count)
        .with_hint("are all rows held out? is 'item' the right column?");
  hold_users(context);
}

void Recommender::hold_users(graph::CollectiveContext& context) {
  auto& comm = context.comm();
  const int first = comm.first_shard(comm.rank(), shards_), end = comm.first_shard(comm.rank() + 1, shards_);
  const int64_t partitions = context.num_partitions(0);
  shard_ends_.clear(), held_.clear(), split_ = {};
  for (int s = first; s < end; ++s) {
    for (int64_t p = partitions * s / shards_; p < partitions * (s + 1) / shards_; ++p) held_.push_back({p, {}});
    shard_ends_.push_back(held_.size());
  }
  std::mutex mutex;
  context.pool().parallel_for(held_.size(), [&](size_t i) {
    int64_t unknown = 0;
    SplitSeen split;
    held_[i].users = read_sequences(columns_, context.read(0, held_[i].number, {}), catalogue_, context.arena(), unknown, split);
    if (restored_) counters().add("unseen_items", unknown);
    std::lock_guard lock(mutex);
    split_.add(split);
  });
  split_.add_ranks(comm);
}

void Recommender::save_catalogue(graph::CollectiveContext& context) const {
  if (context.comm().rank() != 0) return;
  data::ArrayStore store;
  catalogue_.save(store, "items");
  store.save(context.folder() / "catalogue.h5");
}

// Calls visit(partition, user, what its scores come to, what they looked at) for the users of partitions [first, end) of this rank that `wanted` has a question about, partitions on all workers.
template <class Wanted, class Visit>
void Recommender::score(graph::CollectiveContext& context, const ItemScorer& scorer, size_t first, size_t end, size_t k, const Wanted& wanted, const Visit& visit) const {
  constexpr size_t kUsers = 256, kItems = ItemScorer::kStretch;  // 4 MiB of scores on each worker
  context.pool().parallel_for(end - first, [&](size_t at) {
    const size_t i = first + at;
    const auto& users = held_[i].users;
    std::vector<ItemScorer::Asked> asked;
    std::vector<int32_t> targets;
    std::vector<float> room(kUsers * std::min(kItems, catalogue_.size()));
    auto flush = [&] {
      if (asked.empty()) return;
      const auto scores = scorer.scores_of(asked);
      std::vector<ScoresSeen> seen;
      for (size_t j = 0; j < asked.size(); ++j) {
        const auto& user = users[asked[j].user];
        seen.emplace_back(targets[j], targets[j] < 0 ? 0.0f : scores->one(j, targets[j]), task_.filter_seen ? std::span<const int32_t>(asked[j].history) : std::span<const int32_t>(), k);
        if (task_.rank_against > 0) seen.back().rank_among(draw_others(catalogue_.size(), targets[j], user.all(), size_t(task_.rank_against), Random(seed, user.hash)));
      }
      for (size_t first = 0; first < catalogue_.size(); first += kItems) {
        const size_t n = std::min(kItems, catalogue_.size() - first);
        scores->get(first, n, room.data());
        const auto found = std::span(room).first(asked.size() * n);
        if (!tensor::all_finite(found.data(), found.size())) {
          const float s = *std::find_if_not(found.begin(), found.end(), [](float score) { return std::isfinite(score); });
          throw data_error("a score is {}: the model has no finite weights", s).with_hint("lower 'lr', or set 'clip' to 1");
        }
        for (size_t j = 0; j < asked.size(); ++j) seen[j].see(first, found.subspan(j * n, n));
      }
      for (size_t j = 0; j < asked.size(); ++j) visit(i, asked[j].user, seen[j], attends_ ? scores->attended(j) : std::vector<Attended>());
      asked.clear(), targets.clear();
    };
    for (size_t u = 0; u < users.size(); ++u) {
      if (std::optional<Question> question = wanted(users[u])) asked.push_back({i, u, std::move(question->history)}), targets.push_back(question->target);
      if (asked.size() == kUsers) flush();
    }
    flush();
  });
}

RankCounts Recommender::validate(graph::CollectiveContext& context, const ItemScorer& scorer) const {
  std::vector<RankCounts> ranks(held_.size());
  score(context, scorer, 0, held_.size(), 0, [](const ItemSequence& s) { return s.validation >= 0 ? std::optional(Question{{s.items.begin(), s.items.end()}, s.validation}) : std::nullopt; },
        [&](size_t i, size_t, const ScoresSeen& seen, const std::vector<Attended>&) { ranks[i].add(seen.rank()); });
  RankCounts all = RankCounts::total(context.comm(), ranks);
  if (all.known() == 0) throw data_error("there is no item to validate on: no user has three training items, or the last one is in no other's rows").with_hint("switch 'validation' off");
  return all;
}

data::Batch Recommender::rows_of(graph::CollectiveContext& context, const Partition& partition, const std::vector<Row>& rows) const {
  const data::Batch batch = context.read(0, partition.number, {task_.by, task_.item});
  std::vector<int64_t> first;
  data::Column actual(Type::kString), rank(Type::kInt64), recommended(Type::kListString), attended(Type::kListString), attention(Type::kListFloat32);
  std::vector<float> weights;
  for (size_t u = 0; u < rows.size(); ++u) {
    const auto& user = partition.users[u];
    first.push_back(user.first_row);
    if (user.held_out) actual.append_string(item_text(batch.column(task_.item), user.target_row));
    else actual.append_null();
    if (rows[u].rank > 0) rank.append(rows[u].rank);
    else rank.append_null();
    for (int32_t item : rows[u].best) recommended.add_list_string(catalogue_.word(size_t(item)));
    recommended.end_list();
    weights.clear();
    for (const auto& [item, weight] : rows[u].attended) attended.add_list_string(catalogue_.word(size_t(item))), weights.push_back(weight);
    attended.end_list(), attention.append_list<float>(weights);
  }
  std::vector<data::Column> columns;
  columns.push_back(batch.column(task_.by).take(first)), columns.push_back(std::move(actual)), columns.push_back(std::move(rank)), columns.push_back(std::move(recommended));
  if (attends_) columns.push_back(std::move(attended)), columns.push_back(std::move(attention));
  return data::Batch(schema_, std::move(columns), batch.origin);
}

void Recommender::judge(graph::CollectiveContext& context, const ItemScorer& scorer) {
  std::vector<RankCounts> ranks(held_.size());
  auto& output = context.output("", schema_, context.num_partitions(0));
  const size_t group = 4 * size_t(context.pool().num_threads());  // partitions whose rows are held at a time
  for (size_t first = 0; first < held_.size(); first += group) {
    const size_t end = std::min(held_.size(), first + group);
    std::vector<std::vector<Row>> rows(end - first);
    for (size_t i = first; i < end; ++i) rows[i - first].resize(held_[i].users.size());
    score(context, scorer, first, end, size_t(task_.k), [](const ItemSequence& s) { return std::optional(Question{s.history(), s.target}); },
          [&](size_t i, size_t u, const ScoresSeen& seen, std::vector<Attended> attended) {
            const bool held_out = held_[i].users[u].held_out;
            if (held_out) ranks[i].add(seen.rank());
            rows[i - first][u] = {held_out ? seen.rank() : -1, seen.best(), std::move(attended)};
          });
    // New rows are not for judging alone: what comes next goes by all of them.
    if (restored_)
      score(context, scorer, first, end, size_t(task_.k), [](const ItemSequence& s) { return s.held_out ? std::optional(Question{s.all(), -1}) : std::nullopt; },
            [&](size_t i, size_t u, const ScoresSeen& seen, std::vector<Attended> attended) { rows[i - first][u].best = seen.best(), rows[i - first][u].attended = std::move(attended); });
    for (size_t i = first; i < end; ++i) output.write(held_[i].number, rows_of(context, held_[i], rows[i - first]));
  }
  const RankCounts all = RankCounts::total(context.comm(), ranks);
  if (context.comm().rank() != 0) return;
  if (restored_ && all.empty()) return;  // recommendations alone
  json result = all.result(task_.bootstrap, seed, task_.cutoffs);
  const std::string against = task_.rank_against > 0 ? fmt::format("{} items that the user never took, drawn evenly", task_.rank_against)
                                                     : std::string("the whole catalogue of training rows") + (task_.filter_seen ? " without items taken before" : ", items taken before, too");
  result["protocol"] = fmt::format("{}; ranked against {}; equal scores and items not in the catalogue count as misses; {}", split_.text(task_.by, !restored_), against,
                                   restored_ ? "what is ranked was learned from other rows" : task_.validation ? "the last training item of those with three or more is not learned from" : "all training items are learned from");
  if (task_.bootstrap > 0) result["protocol"] = result["protocol"].get<std::string>() + fmt::format("; intervals: percentiles of {} bootstrap samples of users", task_.bootstrap);
  result["items"] = catalogue_.size(), result["model"] = model_;
  describe(result);
  context.metric("result", result.dump());
}

}  // namespace throng::recommend
