// What a collective step sees of the run: its inputs, its outputs, the ranks.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/engine/plan.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {

class StepContext : public graph::CollectiveContext {
 public:
  /// The rank's own, which outlive the context.
  struct Rank {
    comm::Communicator& comm;
    ThreadPool& pool;
    const RunDirectory& directory;
    std::filesystem::path learned_from;  ///< the run that is replayed; empty: this one learns
    std::function<const data::DatasetReader&(size_t node, const std::string& output)> reader;
    std::function<void(const std::string& text, double fraction)> tell;
    std::function<bool()> stop_wished;
    SpillArena& arena;
  };
  /// `record` takes the step's metrics and, by `commit`, what it wrote.
  StepContext(Rank rank, const Plan& plan, size_t node, StepRecord& record);

  comm::Communicator& comm() override { return rank_.comm; }
  ThreadPool& pool() override { return rank_.pool; }
  size_t num_inputs() const override { return readers_.size(); }
  const data::Schema& input_schema(size_t i) const override { return readers_.at(i)->schema(); }
  int64_t num_partitions(size_t i) const override { return readers_.at(i)->num_partitions(); }
  int64_t num_rows(size_t i) const override { return readers_.at(i)->manifest().num_rows(); }
  int64_t num_rows(size_t i, int64_t partition) const override { return readers_.at(i)->manifest().partitions.at(size_t(partition)).num_rows(); }
  data::Batch read(size_t i, int64_t partition, const graph::Names& columns) override { return readers_.at(i)->read(partition, columns); }
  std::filesystem::path input_folder(size_t i) const override { return rank_.directory.step(input_step(i)); }
  std::filesystem::path learned_folder(size_t i) const override { return (rank_.learned_from.empty() ? rank_.directory : RunDirectory(rank_.learned_from)).state(input_step(i)); }
  std::filesystem::path input_dataset(size_t i) const override { return readers_.at(i)->folder(); }
  std::string input_step(size_t i) const override { return plan_.graph.nodes[node_.inputs.at(i)].step.id; }
  std::string input_op(size_t i) const override { return plan_.graph.nodes[node_.inputs.at(i)].step.op; }

  data::DatasetWriter& output(const std::string& name, data::Schema schema, int64_t num_partitions) override;
  std::filesystem::path folder() const override { return rank_.directory.state(node_.step.id); }
  void metric(const std::string& name, const std::string& text) override;
  void progress(double fraction, const std::string& text) override { rank_.tell(text, fraction); }
  bool stop_agreed() override;
  graph::Counters& counters() override { return node_.op->counters(); }
  SpillArena& arena() override { return rank_.arena; }

  /// Collective. Commits every output in name order.
  void commit(const std::string& key);

 private:
  struct Output {
    std::unique_ptr<data::DatasetWriter> writer;
    int64_t partitions = 0;
  };
  Rank rank_;
  const Plan& plan_;
  const graph::Node& node_;
  StepRecord& record_;
  std::vector<const data::DatasetReader*> readers_;
  std::map<std::string, Output> outputs_;
};

}  // namespace throng::engine
