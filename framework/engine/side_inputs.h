// Inputs of maps that every rank is given whole.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "framework/base/memory.h"
#include "framework/data/dataset.h"
#include "framework/engine/plan.h"

namespace throng::engine {

/// Gives the maps of a task their side inputs, within half of the budget; beyond that in portions, to those that can do with them. One thread.
class SideInputs {
 public:
  using Readers = std::function<const data::DatasetReader&(size_t node, const std::string& output)>;
  SideInputs(Plan& plan, MemoryBudget& budget, Readers reader) : plan_(plan), budget_(budget), reader_(std::move(reader)) {}
  ~SideInputs();
  SideInputs(const SideInputs&) = delete;
  SideInputs& operator=(const SideInputs&) = delete;
  /// Before the first row of the task waits, which could take what the sides need.
  void reserve(const Task& task);
  /// A system error where a map needs all rows of a side at once and there is no room.
  void load(const Stage& stage);
  void drop(const Stage& stage);

 private:
  Plan& plan_;
  MemoryBudget& budget_;
  Readers reader_;
  std::map<std::pair<size_t, size_t>, uint64_t> reserved_;  // (map, input) -> bytes; not there where they do not fit
};

}  // namespace throng::engine
