// From a checked graph to stages: maps fused, columns pruned, exchanges placed. Deterministic: every rank makes the same plan.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/engine/choices.h"
#include "framework/graph/job.h"

namespace throng::engine {

/// One pass over rows: from a head, through fused maps, to a tail.
struct Stage {
  enum class Head { kSource, kDataset, kExchange };
  enum class Tail { kDataset, kExchange };
  Head head = Head::kSource;
  size_t head_node = 0;
  std::string head_output;         ///< a named output of a collective step, for kDataset
  std::vector<size_t> maps;        ///< nodes, in order
  Tail tail = Tail::kDataset;
  size_t tail_node = 0;            ///< the node whose rows are written, or the keyed node they go to
  size_t tail_input = 0;           ///< which of its inputs they are
};

/// The work that makes one step's result durable: skipped as a whole when its key is unchanged.
struct Task {
  size_t node = 0;             ///< the materialised or collective node
  std::vector<Stage> stages;   ///< empty for a collective node, whose inputs earlier tasks have made
  std::string key;
};

struct Plan {
  graph::Graph graph;
  std::vector<Task> tasks;
  std::vector<graph::Names> needed;          ///< per node: the columns of its output that anyone reads
  std::vector<std::string> keys;             ///< per node
  std::vector<uint8_t> materialised;         ///< per node
  std::vector<int64_t> num_partitions;       ///< per node, -1 where only known when it has run
  std::map<std::string, std::string> discovered;  ///< what each source found, by step
  Choices choices;                  ///< of the steps that leave it to the planner
  bool replay = false;                       ///< learners load their state instead of fitting

  /// The step of the task that was to be given all rows of an input which `rows_of` counts too many of, once it is stored; empty where there
  /// is none. Its choice is then the other one.
  std::string revise(const Task& task, const std::function<int64_t(size_t node, const std::string& output)>& rows_of);
  /// True where `revise` has something to look at.
  bool may_revise(const Task& task) const;
  /// The schema of a node's output as it is written: pruned.
  data::Schema schema_of(size_t node) const;
  /// What `throng plan` prints.
  std::string text() const;
  /// The graph for Graphviz: stored steps in bold, edges that are exchanges named by their key.
  std::string dot() const;
  /// Hash that all ranks compare before they start.
  std::string hash() const;
};

/// Sources must have been adopted, schemas bound, choices applied. Adds the co-locating steps that collective operators ask for.
Plan make_plan(graph::Graph graph, Choices choices = {}, bool replay = false);

}  // namespace throng::engine
