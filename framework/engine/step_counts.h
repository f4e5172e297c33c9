// What the steps of a task have counted: rows, worker seconds, the operators' counters, hot keys.
#pragma once
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "framework/engine/grouping.h"
#include "framework/engine/heavy_hitters.h"
#include "framework/engine/plan.h"
#include "framework/engine/run_directory.h"

namespace throng::engine {

/// One rank's counts since they were last collected. Thread-safe but for `collect`.
class StepCounts {
 public:
  void add(size_t node, int64_t rows, double seconds);
  void add_hot_key(const std::string& step, const LargeGroup& group);
  /// The bytes this rank has sent to an input of a keyed node.
  void add_shuffled(size_t node, size_t input, uint64_t bytes);
  /// Of the next piece of this rank that was sent to an input of a keyed node; partitions ascend.
  void add_hitters(size_t node, size_t input, int64_t partition, const HeavyHitters& piece);
  /// Collective. Adds what all ranks have counted for these nodes, with the bytes each has spilled and its peak memory, to the record of rank
  /// 0, and begins anew.
  void collect(const graph::Graph& graph, const std::set<size_t>& nodes, uint64_t bytes_spilled, comm::Communicator& comm, StepRecord& record);

 private:
  std::mutex mutex_;
  std::map<size_t, std::pair<int64_t, double>> rows_;                    // node -> rows, seconds of worker time
  std::vector<std::tuple<int64_t, std::string, std::string>> hot_keys_;  // -rows, step, key
  std::map<size_t, std::vector<uint64_t>> shuffled_;  // by input
  std::map<std::pair<size_t, size_t>, std::vector<std::pair<int64_t, HeavyHitters>>> hitters_;  // (node, input) -> by partition
};

}  // namespace throng::engine
