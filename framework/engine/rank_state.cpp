#include "framework/engine/rank_state.h"

#include "framework/base/stop_signal.h"

#include <algorithm>

namespace throng::engine {

RankState::RankState(Plan& plan, RunDirectory directory, ExecutorOptions options)
    : plan_(plan), directory_(std::move(directory)), options_(std::move(options)), pool_(options_.threads), quota_(options_.spill_quota_bytes) {}

bool RankState::stop_wished() const { return throng::stop_wished() || (options_.stop_after > 0 && since_start_.seconds() > options_.stop_after); }

const data::DatasetReader& RankState::reader(size_t node, const std::string& output) {
  std::lock_guard lock(mutex_);
  auto& slot = readers_[{node, output}];
  if (!slot) slot = std::make_unique<data::DatasetReader>(directory_.dataset(plan_.graph.nodes[node].step.id, output));
  return *slot;
}

data::Schema RankState::input_schema(size_t node, size_t input) {
  const auto& n = plan_.graph.nodes[node];
  return n.outputs[input].empty() ? plan_.schema_of(n.inputs[input]) : reader(n.inputs[input], n.outputs[input]).schema();
}

int64_t RankState::num_partitions(const Stage& stage) { return partitions_of(stage.head_node, stage.head_output, stage.head == Stage::Head::kDataset); }

int64_t RankState::partitions_of(size_t node, const std::string& output, bool stored) {
  if (stored) return reader(node, output).num_partitions();
  const auto& n = plan_.graph.nodes[node];
  if (auto* source = dynamic_cast<const graph::SourceOperator*>(n.op.get())) return source->num_partitions();
  int64_t most = 0;
  for (size_t k = 0; k < (n.op->shape() == graph::Shape::kMap ? 1 : n.inputs.size()); ++k) most = std::max(most, partitions_of(n.inputs[k], n.outputs[k], plan_.materialised[n.inputs[k]]));
  return most;
}

Error in_step(Error error, const graph::Node& node, int64_t step, int64_t partition) {
  if (error.step() < 0 && error.fault() != Fault::kStopped) error.prefix(fmt::format("step '{}' ({}): ", node.step.id, node.step.op));
  error.at(step, partition, 0);
  return error;
}

}  // namespace throng::engine
