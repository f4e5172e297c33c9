// Which tasks of a plan may go on beside each other.
#pragma once
#include <set>
#include <vector>

#include "framework/engine/plan.h"

namespace throng::engine {

/// The nodes of a task: its own, and those fused into it.
std::set<size_t> nodes_of(const Task& task);

/// The tasks in segments, run one after another; in a segment, tasks that do not wait for each other may go on at the same time. Follows from
/// the plan alone, so that all ranks have the same.
struct Branches {
  struct Segment {
    std::vector<size_t> tasks;  ///< by their place in the plan, ascending
    size_t width = 1;           ///< how many may well go on at the same time: those that are equally many tasks behind others
    /// How many do, where `most` are wished: each has a thread of its own.
    size_t lanes(int most, int threads) const;
  };
  std::vector<Segment> segments;
  std::vector<std::set<size_t>> after;  ///< by task: those it must not begin before; the ones these wait for may be left out
};

/// A task begins a segment where the run may end before it (its choice of join is open), and is one by itself where it calls a library over MPI.
Branches branches_of(const Plan& plan);

}  // namespace throng::engine
