// What recommenders have in common: reading users and their items, judging, and the rows of the result.
#pragma once
#include <memory>
#include <optional>

#include "framework/recommend/item_sequences.h"
#include "framework/recommend/item_task.h"
#include "framework/recommend/ranking.h"

namespace throng::recommend {

/// How much a model looked at an item of a user's past.
struct Attended {
  int32_t item;
  float weight;
};

/// What scores the items of a catalogue. Thread-safe.
class ItemScorer {
 public:
  virtual ~ItemScorer() = default;
  struct Asked {
    size_t partition, user;        ///< in Recommender::held()
    std::vector<int32_t> history;  ///< items up to now, oldest first
  };
  static constexpr size_t kStretch = 4096;
  /// The scores of some users, which are computed when they are asked for.
  class Scores {
   public:
    virtual ~Scores() = default;
    /// (users, count) of items from `first` on, a multiple of kStretch: so many, or as many as there are.
    virtual void get(size_t first, size_t count, float* into) const = 0;
    /// The same number that `get` gives for an item.
    virtual float one(size_t user, int32_t item) const = 0;
    /// The past items that the model looked at most, falling; none where it does not look, or was not asked to tell.
    virtual std::vector<Attended> attended(size_t user) const { return (void)user, std::vector<Attended>(); }
  };
  /// `users` stay as long as the scores, as does the scorer.
  virtual std::unique_ptr<Scores> scores_of(std::span<const Asked> users) const = 0;
};

/// A recommender learns from the users of its rank's shards, and gives a scorer; the rest is done here.
class Recommender : public graph::CollectiveOperator {
 public:
  explicit Recommender(const ItemTask& task, std::string model, int shards = 8) : task_(task), columns_{task.by, task.item, {}, task.validation}, model_(std::move(model)), shards_(shards) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override;
  graph::Names needed_columns(size_t, const data::Schema&, const graph::Names&) const override;
  Contract contract(size_t) const override { return {{task_.by}, {"ts"}, {}, {}}; }
  void run(graph::CollectiveContext& context) override;
  bool learns() const override { return true; }
  void load(const std::filesystem::path& folder) override;
  data::Schema apply_schema(const data::Schema&) override { return schema_; }
  /// Another number of items, or another use of those that were taken, than it was made with.
  void set_list(std::optional<int64_t> k, std::optional<bool> filter_seen) { task_.k = k.value_or(task_.k), task_.filter_seen = filter_seen.value_or(task_.filter_seen); }
  /// What was learned recommends to the users of new rows, and ranks their held-out items where there are some.
  void replay(graph::CollectiveContext& context) override;

 protected:
  struct Partition {
    int64_t number = 0;
    std::span<const ItemSequence> users;
  };
  /// Collective. The scorer after learning.
  virtual std::unique_ptr<ItemScorer> learn(graph::CollectiveContext& context) = 0;
  /// The scorer that an earlier `learn` left in the folder, with the catalogue; for users of any rows.
  virtual std::unique_ptr<ItemScorer> restore(const std::filesystem::path& folder) = 0;
  /// Rows have columns `attended` and `attention`, of ItemScorer::Scores::attended; to be called before `bind`.
  void write_attended() { attends_ = true; }
  /// Rank 0: adds to the result.
  virtual void describe(nlohmann::json& result) const { (void)result; }

  /// Partitions of this rank, shard after shard: a shard is a stretch of partitions, the same on any number of ranks.
  const std::vector<Partition>& held() const { return held_; }
  /// Where the shards of this rank end in `held`.
  const std::vector<size_t>& shard_ends() const { return shard_ends_; }
  int shards() const { return shards_; }
  /// To be called before `run`.
  void set_shards(int shards) { shards_ = shards; }
  const data::Vocabulary& catalogue() const { return catalogue_; }
  const ItemTask& task() const { return task_; }
  /// The column of what users gave to items; to be called before `bind`.
  void take_values_from(const std::string& column) { columns_.value = column; }
  const ItemColumns& columns() const { return columns_; }
  /// Of all ranks' rows, when they have been read.
  const SplitSeen& split() const { return split_; }
  /// Collective. Makes the catalogue of the training rows, and fills `held`, which lies in the step's arena.
  void read_users(graph::CollectiveContext& context);
  void release_users() { held_.clear(); }
  /// Collective. Ranks of the items set aside for validation. A data error where there are none, or none of them is in the catalogue.
  RankCounts validate(graph::CollectiveContext& context, const ItemScorer& scorer) const;
  /// Collective. Saves the catalogue beside what was learned.
  void save_catalogue(graph::CollectiveContext& context) const;

 private:
  void hold_users(graph::CollectiveContext& context);
  /// What a user's row of the result says.
  struct Row {
    int64_t rank;
    std::vector<int32_t> best;
    std::vector<Attended> attended;
  };
  data::Batch rows_of(graph::CollectiveContext& context, const Partition& partition, const std::vector<Row>& rows) const;
  struct Question {
    std::vector<int32_t> history;
    int32_t target = -1;  // whose rank is wanted
  };
  template <class Wanted, class Visit>
  void score(graph::CollectiveContext& context, const ItemScorer& scorer, size_t first, size_t end, size_t k, const Wanted& wanted, const Visit& visit) const;
  void judge(graph::CollectiveContext& context, const ItemScorer& scorer);

  ItemTask task_;
  ItemColumns columns_;
  std::string model_;
  int shards_;
  bool attends_ = false;
  data::Schema schema_;
  data::Vocabulary catalogue_;
  std::vector<Partition> held_;
  std::vector<size_t> shard_ends_;
  SplitSeen split_;
  std::unique_ptr<ItemScorer> restored_;
};

}  // namespace throng::recommend
