#include "framework/engine/branches.h"

#include <algorithm>

#include "framework/comm/transport.h"

namespace throng::engine {
namespace {

// Two tasks read such a source each for itself; other operators that both would work with hold counts and tables of one task at a time.
bool may_be_shared(const graph::Node& node) {
  const auto* source = dynamic_cast<const graph::SourceOperator*>(node.op.get());
  return source && source->dataset();
}

std::vector<std::set<size_t>> dependencies(const Plan& plan) {
  std::vector<std::set<size_t>> after(plan.tasks.size());
  std::map<size_t, size_t> stored_by, last_with;  // node -> task
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    for (size_t n : nodes_of(plan.tasks[t])) {
      for (size_t input : plan.graph.nodes[n].inputs)
        if (auto it = stored_by.find(input); it != stored_by.end()) after[t].insert(it->second);
      if (may_be_shared(plan.graph.nodes[n])) continue;
      if (auto [it, is_new] = last_with.try_emplace(n, t); !is_new) after[t].insert(std::exchange(it->second, t));
    }
    stored_by[plan.tasks[t].node] = t;
  }
  return after;
}

bool uses_mpi(const Plan& plan, const Task& task) {
  const auto* op = dynamic_cast<const graph::CollectiveOperator*>(plan.graph.nodes[task.node].op.get());
  return op && op->uses_mpi();
}

}  // namespace

std::set<size_t> nodes_of(const Task& task) {
  std::set<size_t> nodes{task.node};
  for (const auto& s : task.stages) {
    if (s.head != Stage::Head::kDataset) nodes.insert(s.head_node);
    nodes.insert(s.maps.begin(), s.maps.end());
  }
  return nodes;
}

size_t Branches::Segment::lanes(int most, int threads) const { return std::min(width, size_t(std::clamp(most, 1, std::min(threads, comm::kMostLanes)))); }

Branches branches_of(const Plan& plan) {
  Branches result;
  result.after = dependencies(plan);
  std::map<size_t, size_t> level, on_level;  // of the segment's tasks
  bool closed = true;
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    const bool alone = uses_mpi(plan, plan.tasks[t]);
    if (closed || alone || plan.may_revise(plan.tasks[t])) {
      result.segments.emplace_back();
      level.clear(), on_level.clear();
    }
    closed = alone;
    for (size_t earlier : result.after[t])
      if (auto it = level.find(earlier); it != level.end()) level[t] = std::max(level[t], it->second + 1);
    auto& segment = result.segments.back();
    segment.tasks.push_back(t);
    segment.width = std::max(segment.width, ++on_level[level[t]]);
  }
  return result;
}

}  // namespace throng::engine
