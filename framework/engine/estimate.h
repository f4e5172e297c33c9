// What a run will cost, from a trial: the whole job is run on two small samples of its sources, and the growth between them is
// carried on to the full size.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "framework/engine/plan.h"

namespace throng::engine {

/// Expected of one step; -1 where the trial could not say.
struct Estimate {
  double rows = -1;      ///< of the main output
  double bytes = -1;     ///< of the main output as stored, where it is
  double shuffled = -1;  ///< bytes through its exchanges, and those of steps fused into it
  std::vector<double> sent{};  ///< bytes through its own exchanges, by input
  double seconds = -1;   ///< of one thread: of the whole task, or of a step fused into one
  bool fused = false;    ///< its seconds are part of another step's
  std::string hottest{};     ///< the key with most rows in its exchanges, and its share of them
  double hottest_share = 0;
};

struct Estimates {
  int64_t total_rows = 0, small_rows = 0, large_rows = 0;  ///< of the sources: all, and of the two samples
  std::map<std::string, Estimate> steps;
  std::string trouble;  ///< why the trial ended early, if it did

  /// Seconds of all tasks; -1 where any is unknown.
  double seconds() const;
  nlohmann::json to_json() const;
  static Estimates from_json(const nlohmann::json& j);
  /// A table for people, in the order of the plan. Times are divided by `workers`.
  std::string text(const Plan& plan, int workers) const;
};

enum class Wanted {
  kForItself,   ///< it may take seconds
  kBeforeARun,  ///< there is none, and why, where steps make so many rows of a small sample that a larger one might take longer than the run
};

/// Local, on one thread. The samples are the first rows of each source; they grow until the trial has taken a small part of the
/// time it foretells, or some seconds. Nothing is written but a folder under TMPDIR, which is removed. Errors in a sample end the
/// trial, not the run: what they are about is told when all rows are read.
Estimates estimate(const graph::Job& job, const Plan& plan, Wanted wanted = Wanted::kForItself);

/// What `predicted` (estimates as JSON, with "memory") says of one step on so many workers: rows, stored, shuffled, seconds, memory of a rank, as far
/// as known; null where it says nothing. The seconds of a step fused into another are those of all workers.
nlohmann::json predicted_of(const nlohmann::json& predicted, const std::string& step, int workers);

}  // namespace throng::engine
