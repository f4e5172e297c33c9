// Which joins are given all rows of their second input on every rank, where the user leaves it to the planner.
#pragma once
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "framework/comm/communicator.h"
#include "framework/graph/job.h"

namespace throng::engine {

/// A second input may take so much: rows and bytes of all its columns.
inline constexpr double kBroadcastBytes = double(uint64_t{8} << 20);

/// The choice for one step. It decides the order of the step's rows, so it follows from the data alone: from a sample of fixed size, then from
/// the number of rows once they are there; never from ranks, memory, time or which columns are read.
struct BroadcastChoice {
  bool broadcast = false;    ///< also where the sample leaves a doubt: the rows are counted when they are stored
  bool revised = false;      ///< the sample said broadcast, the rows were too many: the second input is stored already
  std::string side;          ///< the second input, as the job names it
  double rows = -1;          ///< of it, expected (or counted, where revised); -1 where the sample could not say
  double bytes_per_row = 0;
  std::string trouble;       ///< why the sample could not say
  double bytes() const { return rows * bytes_per_row; }
  bool fits(double num_rows) const { return num_rows * bytes_per_row <= kBroadcastBytes; }
  /// What was chosen and why, for people.
  std::string text() const;
  nlohmann::json to_json() const;
  static BroadcastChoice from_json(const nlohmann::json& j);
};
using BroadcastChoices = std::map<std::string, BroadcastChoice>;  ///< by step

/// Collective. `graph` is bound, its sources adopted; rank 0 tries the steps before each second input on samples and tells the others.
/// A system error where a trial failed for a reason that is not in the data: the choice must not depend on it.
BroadcastChoices choose_broadcasts(const graph::Job& job, const graph::Graph& graph, const std::map<std::string, std::string>& discovered, comm::Communicator& comm);

}  // namespace throng::engine
