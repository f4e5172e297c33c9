// What a run will hold in memory and put on disk, from the estimates of its trial.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/engine/estimate.h"
#include "framework/engine/plan.h"

namespace throng::engine {

/// What a run may use.
struct Allotment {
  int ranks = 1, threads = 1;
  uint64_t memory_bytes = 0;  ///< of each rank
  int branches = 1;           ///< that may go on at the same time
};

/// Bytes of a rank while a stage runs; `spilled`: of all ranks.
struct StageMemory {
  size_t task = 0, stage = 0;  ///< in the plan
  double waiting = 0;          ///< rows for later stages
  double working = 0;          ///< rows in hand
  double sides = 0;            ///< inputs of which each rank holds all
  double spilled = 0;
  double beside = 0;           ///< what tasks that may go on at the same time hold at most
  bool streamed = false;       ///< partitions do not fit and are sorted on disk
  double held() const { return waiting + working + sides; }  ///< of its own
};

/// Follows how the executor holds rows: what waits may take half of the budget and goes to disk beyond; partitions are worked on as many at
/// once as fit; one that would take half of the budget is streamed. What collective steps hold is not known.
struct MemoryForecast {
  Allotment allotment;
  std::vector<StageMemory> stages;    ///< in the order of the plan, but those of which nothing is known
  std::vector<std::string> warnings;
  /// Resident bytes of a rank, with the process's own, in the step's largest stage; -1 where nothing is known.
  double resident(size_t task) const;
  /// The same of all steps.
  double peak() const;
  double spilled() const;
  /// A table for people.
  std::string text(const Plan& plan) const;
  /// Step -> {memory, spilled}, and the warnings.
  nlohmann::json to_json(const Plan& plan) const;
};

MemoryForecast forecast_memory(const Plan& plan, const Estimates& estimates, const Allotment& allotment);

/// 0.8 of the host's limit, shared by so many ranks on it.
uint64_t memory_of_rank(uint64_t ranks_on_host);

}  // namespace throng::engine
