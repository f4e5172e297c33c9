// What the planner chooses by samples where the user leaves it to it.
#pragma once
#include "framework/engine/broadcast_choice.h"
#include "framework/engine/spread_choice.h"

namespace throng::engine {

struct Choices {
  BroadcastChoices broadcasts;
  SpreadChoices spreads;
};

/// Collective. `graph` is bound, its sources adopted; rank 0 looks at samples and tells the others.
Choices choose(const graph::Job& job, const graph::Graph& graph, const std::map<std::string, std::string>& discovered, comm::Communicator& comm);

/// Puts what was chosen in the places of keyed operators, bound: a map, or two steps in the place of one.
void apply_choices(graph::Graph& graph, const Choices& choices);

}  // namespace throng::engine
