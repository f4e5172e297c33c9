// The four shapes of operators. The shape is the communication contract: the engine needs to know nothing else.
#pragma once
#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/thread_pool.h"
#include "framework/comm/communicator.h"
#include "framework/data/batch.h"
#include "framework/data/dataset.h"
#include "framework/data/groups.h"
#include "framework/graph/counters.h"

namespace throng {
class SpillArena;
}

namespace throng::graph {

enum class Shape { kSource, kMap, kKeyed, kCollective };
std::string_view shape_name(Shape shape);

/// Rows where this bool column is true are held out: no operator that learns may fit on them.
inline constexpr std::string_view kHoldoutColumn = "holdout";
/// 1 for each row an operator may learn from: all rows where the batch has no holdout column.
std::vector<uint8_t> training_rows(const data::Batch& batch);

using Names = std::vector<std::string>;

class CollectiveOperator;

/// One use of an operator. Made on every rank from the same parameters. `bind` is called before anything else.
class Operator {
 public:
  virtual ~Operator() = default;
  virtual Shape shape() const = 0;

  /// Checks the input schemas and returns the output's; a job error for a missing or ill-typed column.
  virtual data::Schema bind(const std::vector<data::Schema>& inputs) = 0;
  /// Columns of input `input` that are needed to make the output columns `wanted`.
  virtual Names needed_columns(size_t input, const data::Schema& schema, const Names& wanted) const {
    (void)input, (void)wanted;
    return schema.names();
  }
  /// True where it changes something beside its own step folder: it is left out of trials.
  virtual bool writes_outside() const { return false; }
  /// Files it reads beside its inputs, which are there when it is bound: their content is part of the step's key, so that a step whose file
  /// has changed is done again, and those behind it.
  virtual std::vector<std::filesystem::path> files() const { return {}; }
  /// Files and folders beside its datasets that it writes, as the job names them: relative ones are below the run directory.
  virtual std::vector<std::filesystem::path> targets() const { return {}; }
  /// The input that is a step whose learned state this one uses, and a copy of that step's operator, bound to nothing yet, with the schemas of its inputs: given before `bind`.
  virtual std::optional<size_t> learner_input() const { return {}; }
  virtual void take_learner(std::unique_ptr<CollectiveOperator> learner, std::vector<data::Schema> inputs) { (void)learner, (void)inputs; }
  /// A job error where so many ranks cannot all work on it; called before the run's first step.
  virtual void check_ranks(int num_ranks) const { (void)num_ranks; }
  Counters& counters() const { return counters_; }
  /// The run's seed, mixed with the step's id: set by the engine before the first row.
  uint64_t seed = 0;
  /// Columns of its output that anyone reads; empty: all. Set by the engine before the first row; others need not be made.
  Names wanted;
  /// Relative paths in parameters start here (the job file's folder).
  std::filesystem::path base_folder;
  /// The step's own folder, for files beside its datasets (quarantined rows): set by the engine before the first row.
  std::filesystem::path folder;

 private:
  mutable Counters counters_;
};

/// Makes rows from outside, cut in partitions that follow from the input alone.
class SourceOperator : public Operator {
 public:
  Shape shape() const override { return Shape::kSource; }
  /// Rank 0 only: looks at the input and returns what all ranks must know. A data error where it is missing or damaged.
  virtual std::string discover() = 0;
  /// Every rank: takes what rank 0 found. Called before `bind`.
  virtual void adopt(const std::string& discovered) = 0;
  virtual int64_t num_partitions() const = 0;
  /// Identity of the input's content, part of the step key.
  virtual std::string fingerprint() const = 0;
  /// Reads the partition's rows, the named columns only, in batches. Called by several threads at once for different
  /// partitions unless `sequential`; then in ascending order by one thread.
  virtual void read(int64_t partition, const Names& columns, const std::function<void(data::Batch)>& emit) = 0;
  virtual bool sequential() const { return false; }
  /// The stored dataset whose partitions it gives, where it is one: the engine then reads it itself, piece by piece.
  virtual const data::DatasetReader* dataset() const { return nullptr; }
  /// True where reading it again costs no more than reading a copy: then none is made for steps that share it.
  virtual bool rereads() const { return false; }
  /// From the sample that `discover` looked at; -1 where unknown.
  virtual int64_t estimated_rows() const { return -1; }
};

/// Row-local work: fused with its neighbours into one pass.
class MapOperator : public Operator {
 public:
  Shape shape() const override { return Shape::kMap; }
  /// A map of several inputs maps the rows of the first; each rank is given all rows of the others beforehand, and none when it is
  /// through, so that it lets go of them.
  virtual void take_side(size_t input, data::Batch rows) { (void)input, (void)rows; }
  /// Instead of `take_side` where the rows do not fit: portions of them, in order, each read anew by every call, from any thread. False
  /// where it needs them all at once.
  struct SidePortions {
    size_t count = 0;
    std::function<data::Batch(size_t)> read;
  };
  virtual bool take_side_portions(size_t input, SidePortions portions) { return (void)input, (void)portions, false; }
  /// Called by several threads at once. May drop rows; keeps their order.
  virtual data::Batch map(const data::Batch& batch) const = 0;
  /// False where it drops all rows that have such statistics: they are not read, and `skip` is called with their number.
  virtual bool may_keep(const data::StatisticsOf& statistics) const { return (void)statistics, true; }
  virtual void skip(int64_t rows) const { (void)rows; }
  /// True where it leaves the columns as they are, so that what is known of them still holds behind it.
  virtual bool only_drops() const { return false; }
};

/// Work on rows that share a key, from one input or from two.
class KeyedOperator : public Operator {
 public:
  Shape shape() const override { return Shape::kKeyed; }
  /// kHash: equal keys come together, in partitions chosen by hash. kRange: partitions are ranges of the key, cut by a sample, so
  /// that the whole dataset is in order; equal keys may lie in neighbouring partitions.
  enum class Placement { kHash, kRange };
  virtual Placement placement() const { return Placement::kHash; }
  /// Row-local part before the exchange: partial aggregation, exploding lists. Called by several threads at once.
  virtual data::Batch prepare(const data::Batch& batch) const { return batch; }
  virtual data::Schema prepared_schema(const data::Schema& input) const { return input; }
  /// Columns of the prepared schema. Rows of one key come together; within a key rows are ordered by `order`, ties by
  /// their place in the input.
  /// An empty key puts all rows in one group, in partition 0.
  virtual Names key() const = 0;
  virtual Names order() const { return {}; }
  /// 1 for each column of key, then order, that falls; empty: all rise. Nulls come first in rising order, last in falling.
  virtual std::vector<uint8_t> falling() const { return {}; }
  /// `rows` holds whole groups, ascending by key; group g is [starts[g], starts[g + 1]). Called by several threads at once. With
  /// an empty key, partition 0 comes even where it has no row.
  virtual data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const = 0;

  /// Groups too large for memory. `combine`: replaces each group of prepared rows by fewer that stand for them, so that combining the
  /// first rows of a group and then these with the rest gives the same bits as doing nothing.
  virtual bool combines() const { return false; }
  virtual data::Batch combine(const data::Batch& rows, std::span<const int64_t> starts) const { return (void)starts, rows; }
  /// As `combine`, of rows in the order of their place, not sorted: row g of the result stands for group g.
  virtual bool combines_unsorted() const { return false; }
  virtual data::Batch combine_unsorted(const data::Batch& rows, const data::Groups& groups) const { return (void)groups, rows; }
  /// Or `process_portion`: as `process`, but the first group may go on from the last call, which left `carry`, and the last one may go on
  /// in the next, where `unfinished`: then the operator leaves in `carry` what it must remember. Otherwise `carry` is to be reset.
  virtual bool takes_portions() const { return false; }
  virtual data::Batch process_portion(const data::Batch& rows, std::span<const int64_t> starts, bool unfinished, std::shared_ptr<void>& carry) const {
    return (void)unfinished, (void)carry, process(rows, starts);
  }

  /// Where one key's state may outgrow a rank (every value of it, say): the same rows, to the bit, in two steps. `first` deals what belongs
  /// to a hot key out over `parts` keys of its own, `last` puts the parts together; both come bound. No `first`: there is no such state.
  struct HotKeys {
    std::vector<uint64_t> hashes;  ///< of `hash_keys`, ascending
    bool all = false;              ///< every key
    uint32_t parts = 1;
    bool has(uint64_t hash) const { return all || std::binary_search(hashes.begin(), hashes.end(), hash); }
  };
  struct InTwoSteps {
    std::unique_ptr<KeyedOperator> first, last;
    data::Schema between;
  };
  enum class Spread { kNever, kHotKeys, kAlways };
  virtual Spread spread() const { return Spread::kNever; }
  virtual std::vector<uint64_t> hash_keys(const data::Batch& input) const { return input.hash_rows(key()); }
  virtual InTwoSteps in_two_steps(const data::Schema& input, HotKeys hot) const { return (void)input, (void)hot, InTwoSteps(); }

  /// Two inputs: what differs between them. The key columns' types must be the same on both sides.
  virtual Names key_of(size_t input) const { return (void)input, key(); }
  virtual Names order_of(size_t input) const { return (void)input, order(); }
  virtual data::Batch prepare_input(size_t input, const data::Batch& batch) const { return (void)input, prepare(batch); }
  virtual data::Schema prepared_schema_of(size_t input, const data::Schema& schema) const { return (void)input, prepared_schema(schema); }
  /// Two inputs: the rows of both in one partition, each ascending by its key, then its order. Called by several threads at once.
  virtual data::Batch join(const data::Batch& left, const data::Batch& right) const;
  /// A map that gives the same rows in the order of the first input, when given all rows of the second; nullptr where there is none, or
  /// where the user has chosen. The planner takes it where the second input is small. Called when bound; comes unbound.
  virtual std::unique_ptr<MapOperator> broadcast_variant() const { return nullptr; }
  /// What `join` needs at once of the right rows of a key that are too many for memory: all; for each left row one portion after the
  /// other (its pairs); any one of them (whether there is a match); or the newest that is not later than the left row by `order_of`.
  enum class RightRows { kAll, kEach, kAny, kNewest };
  virtual RightRows right_rows() const { return RightRows::kAll; }
};

/// The rows whose columns `columns` are all there; the others are counted under `counter`.
data::Batch rows_with(const data::Batch& batch, const Names& columns, Counters& counters, const std::string& counter);

/// What a collective operator may use while it runs; the engine's side.
class CollectiveContext {
 public:
  virtual ~CollectiveContext() = default;
  virtual comm::Communicator& comm() = 0;
  virtual ThreadPool& pool() = 0;

  virtual size_t num_inputs() const = 0;
  virtual const data::Schema& input_schema(size_t input) const = 0;
  virtual int64_t num_partitions(size_t input) const = 0;
  virtual int64_t num_rows(size_t input) const = 0;
  virtual int64_t num_rows(size_t input, int64_t partition) const = 0;
  /// Local, thread-safe. Any partition may be read by any rank; normally each reads the ones it owns.
  virtual data::Batch read(size_t input, int64_t partition, const Names& columns = {}) = 0;
  /// The step folder of an input (its secondary outputs and files), for operators that summarise other steps.
  virtual std::filesystem::path input_folder(size_t input) const = 0;
  /// Where an input's step has left what it learned: in a replay, in the run that learned.
  virtual std::filesystem::path learned_folder(size_t input) const = 0;
  /// The folder of the dataset that is read as this input.
  virtual std::filesystem::path input_dataset(size_t input) const = 0;
  virtual std::string input_step(size_t input) const = 0;
  virtual std::string input_op(size_t input) const = 0;
  int64_t first_owned(size_t input) { return data::first_partition(comm().rank(), comm().size(), num_partitions(input)); }
  int64_t end_owned(size_t input) { return data::first_partition(comm().rank() + 1, comm().size(), num_partitions(input)); }

  /// Collective. The writer of an output ("" is the main one); rank-local writes follow, the engine commits.
  virtual data::DatasetWriter& output(const std::string& name, data::Schema schema, int64_t num_partitions) = 0;
  /// The step's own folder, shared by all ranks: learned state and checkpoints live there.
  virtual std::filesystem::path folder() const = 0;
  /// Rank 0: a number or curve of the result, as JSON text; shown in the report and by `inspect`.
  virtual void metric(const std::string& name, const std::string& json) = 0;
  /// Fraction done and a short text, for people.
  virtual void progress(double fraction, const std::string& text) = 0;
  /// Collective. True on every rank when any was asked to stop: write a checkpoint, then throw `stopped()`.
  virtual bool stop_agreed() = 0;
  virtual Counters& counters() = 0;
  /// For what the step keeps while it runs, such as the examples of a training: in memory within half of the budget that the step runs with, beyond it on disk. There until `run` or `replay` returns.
  virtual SpillArena& arena() = 0;
};

/// The error of a run that stopped at a checkpoint (exit code 75).
Error stopped();

/// Work that needs all ranks: training, topics, reports.
class CollectiveOperator : public Operator {
 public:
  Shape shape() const override { return Shape::kCollective; }
  /// Where `key` is not empty the engine shuffles and sorts input `input` by key and order first.
  struct Contract {
    Names key, order;
    /// Row-local work before the shuffle (exploding, partial aggregation); `run` then sees the prepared rows.
    std::function<data::Batch(const data::Batch&)> prepare;
    data::Schema prepared;
  };
  virtual Contract contract(size_t input) const {
    (void)input;
    return {};
  }
  /// Schemas of the named outputs beside the main one; called after `bind`.
  virtual std::map<std::string, data::Schema> side_outputs() const { return {}; }
  /// Rank 0. What it made outside of its step folder is still there, so that an unchanged step may be skipped.
  virtual bool results_there(const std::filesystem::path& run) const { return (void)run, true; }
  /// Rank 0, when the step is recorded as done: what only a run that goes on would have needed may go. `folder` is the step's own.
  virtual void recorded(const std::filesystem::path& folder) const { (void)folder; }
  /// True where it calls a library over MPI: nothing else may go on meanwhile.
  virtual bool uses_mpi() const { return false; }
  /// Collective. Throws for bad data; may be called again after a crash and then goes on from its checkpoint.
  virtual void run(CollectiveContext& context) = 0;

  /// Operators that learn: `load` reads the state that `run` saved, `apply` maps new rows with it, unchanged.
  virtual bool learns() const { return false; }
  virtual void load(const std::filesystem::path& folder) { (void)folder; }
  virtual data::Schema apply_schema(const data::Schema& input) { return input; }
  virtual data::Batch apply(const data::Batch& batch) const { return batch; }
  /// Collective. What `throng apply` runs instead of `run`: by default writes `apply` of every partition.
  virtual void replay(CollectiveContext& context);
};

/// Collective. Writes `map` of every owned partition of an input to an output, partitions in order, on all workers.
void map_partitions(CollectiveContext& context, size_t input, const Names& columns, data::DatasetWriter& output,
                    const std::function<data::Batch(const data::Batch&)>& map);
/// Calls `body` for every owned partition of an input on all workers, in any order.
void for_each_partition(CollectiveContext& context, size_t input, const Names& columns,
                        const std::function<void(const data::Batch&)>& body);

}  // namespace throng::graph
