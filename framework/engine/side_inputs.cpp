#include "framework/engine/side_inputs.h"

#include <vector>

#include "framework/base/units.h"

namespace throng::engine {

namespace {

// A side as its pieces.
graph::MapOperator::SidePortions portions_of(const data::DatasetReader& side, const graph::Names& columns) {
  std::vector<std::pair<int64_t, size_t>> pieces;
  for (int64_t p = 0; p < side.num_partitions(); ++p)
    for (size_t i = 0; i < side.manifest().partitions[size_t(p)].pieces.size(); ++i) pieces.emplace_back(p, i);
  return {pieces.size(), [&side, columns, pieces](size_t i) { return side.read_piece(pieces[i].first, pieces[i].second, columns); }};
}

// What a side takes, and the table made of it.
uint64_t bytes_of(const data::DatasetReader& side) { return 2 * side.manifest().num_bytes(); }

}  // namespace

SideInputs::~SideInputs() {
  for (const auto& [side, bytes] : reserved_) budget_.release(bytes);
}

void SideInputs::reserve(const Task& task) {
  for (const auto& stage : task.stages)
    for (size_t m : stage.maps) {
      const auto& node = plan_.graph.nodes[m];
      for (size_t k = 1; k < node.inputs.size(); ++k) {
        const uint64_t bytes = bytes_of(reader_(node.inputs[k], node.outputs[k]));
        if (budget_.try_reserve(bytes, budget_.limit_bytes() / 2)) reserved_[{m, k}] = bytes;
      }
    }
}

void SideInputs::load(const Stage& stage) {
  for (size_t m : stage.maps) {
    const auto& node = plan_.graph.nodes[m];
    for (size_t k = 1; k < node.inputs.size(); ++k) {
      const auto& side = reader_(node.inputs[k], node.outputs[k]);
      auto& op = static_cast<graph::MapOperator&>(*node.op);
      const graph::Names columns = node.outputs[k].empty() ? plan_.needed[node.inputs[k]] : graph::Names{};
      if (reserved_.count({m, k})) op.take_side(k, side.read_all(columns));
      else if (!op.take_side_portions(k, portions_of(side, columns)))
        throw system_error("step '{}' ({}): each rank holds all rows of '{}', which take about {}; with a memory budget of {} they do not fit", node.step.id, node.step.op,
                           plan_.graph.nodes[node.inputs[k]].step.id, format_bytes(bytes_of(side)), format_bytes(budget_.limit_bytes()))
            .with_hint("raise --memory");
    }
  }
}

void SideInputs::drop(const Stage& stage) {
  for (size_t m : stage.maps) {
    const auto& node = plan_.graph.nodes[m];
    for (size_t k = 1; k < node.inputs.size(); ++k) static_cast<graph::MapOperator&>(*node.op).take_side(k, data::Batch::empty(reader_(node.inputs[k], node.outputs[k]).schema()));
  }
}

}  // namespace throng::engine
