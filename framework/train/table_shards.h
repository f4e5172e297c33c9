// Tables cut by row over ranks: each rank has, moves and writes its part.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "framework/comm/communicator.h"
#include "framework/nn/optimizer.h"
#include "framework/nn/table_rows.h"

namespace throng::train {

/// Row r belongs to logical block r % kBlocks, so that neighbours, which are often as frequent as each other, go to different ranks; a rank owns a stretch of
/// blocks, whole leaves of them (Communicator::first_shard). A step fetches the rows that its shards use from their owners, and gives the owners the gradients of these rows, which
/// they add up in the order of shards: two exchanges of all ranks with all. What is summed over rows is summed by block, so that no bit depends on ranks.
class TableShards {
 public:
  static constexpr int kBlocks = 1024;
  /// Stretches of blocks that sums over rows are made of.
  static constexpr int kLeaves = 256;

  /// Not collective. `options` are the optimiser's.
  TableShards(comm::Communicator& comm, const nn::Parameters& parameters, const nn::OptimizerOptions& options);
  TableShards(const TableShards&) = delete;
  TableShards& operator=(const TableShards&) = delete;

  /// The model has no tables: nothing is to be done.
  bool none() const { return all_.tables.empty(); }
  /// Not collective. The first weights of this rank's rows.
  void initialize(uint64_t seed);

  /// Collective. Gets the weights of the rows that are in `wanted`, the union over this rank's shards (Rows::want). They stay until the next call.
  void fetch(nn::TableRows<float>& wanted);
  /// Collective. Adds up what the shards of all ranks have, by places among the rows fetched; `mine` are this rank's shards in order, and become the sums, so that they must stay until `update`.
  void sum(std::vector<nn::TableRows<float>>& mine, const nn::TableRows<float>& fetched);
  /// Collective. The sum of squares of all that was summed.
  double squares() const;
  /// Not collective. Adds the gradient of all rows of a table that this rank has, in order, to what was summed, or makes it the sum: it must stay until `update`, and is not what it was.
  void add(size_t table, std::span<float> gradient);
  /// Not collective. Moves this rank's rows along `factor` times the sums.
  void update(double factor, double lr_factor);

  /// The place of a table among those of the model.
  size_t index_of(const nn::Parameter& table) const;
  /// This rank's rows of a table: block after block, in each in order.
  std::span<const float> own_rows(size_t table) const;
  /// Where a row lies among them; -1 where another rank has it.
  int32_t own_place(size_t table, int32_t row) const { return owner(row) == comm_.rank() ? local(table, row) : -1; }
  /// Which of them a leaf has: from the first to before the second.
  std::pair<size_t, size_t> rows_of_leaf(size_t table, int leaf) const;

  /// Collective. All rows of all tables, in order and some at a time, to rank 0: `at` is their place in the model's whole array.
  void gather(const std::function<void(size_t at, std::span<float> rows)>& put) const;
  /// Not collective. Takes this rank's rows out of the model's whole array.
  void take(std::span<const float> weights);

  /// Not collective. Copies this rank's rows and the optimiser's state of them, and returns what writes them to a file of `tag`: on any thread, beside the steps.
  std::function<void()> writer(const std::filesystem::path& folder, const std::string& tag) const;
  /// Not collective. Reads this rank's rows from what any number of ranks have saved. A data error where they are of another model, or not of a state after `steps` steps.
  void load(const std::filesystem::path& folder, const std::string& tag, int64_t steps);
  /// Of the files in a folder.
  static std::vector<std::string> tags(const std::filesystem::path& folder);
  /// Removes the files of all tags but those to keep.
  static void remove_files(const std::filesystem::path& folder, const std::function<bool(const std::string& tag)>& keep);

 private:
  int owner(int32_t row) const { return owners_[size_t(row) % kBlocks]; }
  /// Where a row lies among those of its owner.
  int32_t local(size_t table, int32_t row) const { return int32_t(begins_[table][size_t(row) % kBlocks] - begins_[table][size_t(first_of(owner(row)))]) + row / kBlocks; }
  int first_of(int rank) const { return comm_.first_shard(rank, kLeaves) * (kBlocks / kLeaves); }
  /// visit(table, row, local), in the order in which this rank's rows lie.
  template <class Visit>
  void for_own(const Visit& visit) const;

  comm::Communicator& comm_;
  const nn::Parameters& parameters_;
  nn::TableRows<float> all_;                    // one of each table; holds nothing
  std::vector<int> owners_;                     // by block
  std::vector<std::vector<size_t>> begins_;     // by table and block: rows of all blocks before it
  nn::Parameters own_;                          // this rank's rows as tables of their own
  std::vector<float> weights_;
  std::unique_ptr<nn::Optimizer<float>> optimizer_;
  std::vector<nn::RowSums<float>> sums_;        // by table, and place among this rank's rows
  std::vector<Buffer> received_;                // some of which are sums
};

}  // namespace throng::train
