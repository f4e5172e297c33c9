// Which groups are worked on in parts, where the state of one may outgrow a rank.
#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "framework/comm/communicator.h"
#include "framework/graph/job.h"

namespace throng::engine {

/// A key with so many rows, by a sample, is dealt out.
inline constexpr double kSpreadRows = 1e6;
/// A part has about so many of the rows of the hottest key.
inline constexpr double kPartRows = 1 << 16;

/// The choice for one step. The step's rows are the same either way.
struct SpreadChoice {
  graph::KeyedOperator::HotKeys hot;
  double rows = 0;       ///< expected of the hottest key
  std::string trouble;   ///< why a sample could not say
  bool spreads() const { return hot.all || !hot.hashes.empty(); }
  /// What was chosen and why, for people.
  std::string text() const;
  nlohmann::json to_json() const;
  static SpreadChoice from_json(const nlohmann::json& j);
};
using SpreadChoices = std::map<std::string, SpreadChoice>;  ///< by step

/// Collective. `graph` is bound, its sources adopted; rank 0 runs the steps before each open one on the first rows of their sources and counts
/// keys. Not where these sources have fewer rows than make a hot key, nor behind collective steps, which a sample tells nothing of.
SpreadChoices choose_spreads(const graph::Job& job, const graph::Graph& graph, const std::map<std::string, std::string>& discovered, comm::Communicator& comm);

}  // namespace throng::engine
