#include "framework/engine/step_counts.h"

#include <algorithm>

#include "framework/base/memory.h"

namespace throng::engine {
namespace {

using nlohmann::json;

constexpr size_t kHotKeys = 10;  // named in a step's record

void add_node(json& sum, const json& more) {
  sum["rows"] = sum["rows"].get<int64_t>() + more["rows"].get<int64_t>();
  sum["seconds"] = sum["seconds"].get<double>() + more["seconds"].get<double>();
  for (const auto& [name, count] : more["counters"].items()) sum["counters"][name] = sum["counters"].value(name, int64_t{0}) + count.get<int64_t>();
  if (!more.contains("examples")) return;
  for (const auto& [name, list] : more["examples"].items()) {
    json& kept = sum["examples"][name];
    for (const auto& e : list) kept.push_back(e);
    std::sort(kept.begin(), kept.end());  // by partition and row
    while (kept.size() > graph::Counters::kExamples) kept.erase(kept.size() - 1);
  }
}

}  // namespace

void StepCounts::add(size_t node, int64_t rows, double seconds) {
  std::lock_guard lock(mutex_);
  auto& c = rows_[node];
  c.first += rows;
  c.second += seconds;
}

void StepCounts::add_hot_key(const std::string& step, const LargeGroup& group) {
  std::lock_guard lock(mutex_);
  hot_keys_.push_back({-group.rows, step, group.key});
  std::sort(hot_keys_.begin(), hot_keys_.end());
  if (hot_keys_.size() > kHotKeys) hot_keys_.pop_back();
}

void StepCounts::collect(const graph::Graph& graph, const std::set<size_t>& nodes, uint64_t bytes_shuffled, uint64_t bytes_spilled, comm::Communicator& comm,
                         StepRecord& record) {
  json mine = json::object();
  for (size_t n : nodes) {
    const auto& node = graph.nodes[n];
    json& j = mine["nodes"][node.step.id];
    auto [rows, seconds] = rows_[n];
    j = {{"op", node.step.op}, {"rows", rows}, {"seconds", seconds}, {"counters", node.op->counters().take()}};
    for (const auto& [name, list] : node.op->counters().take_examples())
      for (const auto& e : list) j["examples"][name].push_back({e.partition, e.row, e.text, e.place});
  }
  rows_.clear();
  mine["hot"] = json::array();
  for (const auto& [rows, step, key] : hot_keys_) mine["hot"].push_back({{"step", step}, {"key", key}, {"rows", -rows}});
  hot_keys_.clear();
  mine["peak"] = peak_resident_bytes(), mine["shuffled"] = bytes_shuffled, mine["spilled"] = bytes_spilled;

  const auto all = comm.gather(mine.dump(-1, ' ', false, json::error_handler_t::replace));
  if (comm.rank() != 0) return;
  json hot = record.metrics.value("hot_keys", json::array());
  for (const auto& text : all) {
    const json one = json::parse(text);
    record.peak_memory_bytes = std::max(record.peak_memory_bytes, one["peak"].get<uint64_t>());
    record.bytes_shuffled += one["shuffled"].get<uint64_t>();
    record.bytes_spilled += one["spilled"].get<uint64_t>();
    for (const auto& key : one["hot"]) hot.push_back(key);
    for (const auto& [id, j] : one["nodes"].items()) {
      if (record.nodes.contains(id)) add_node(record.nodes[id], j);
      else record.nodes[id] = j;
    }
  }
  std::sort(hot.begin(), hot.end(), [](const json& a, const json& b) {
    return std::tuple(-a["rows"].get<int64_t>(), a["step"].get<std::string>(), a["key"].get<std::string>()) <
           std::tuple(-b["rows"].get<int64_t>(), b["step"].get<std::string>(), b["key"].get<std::string>());
  });
  while (hot.size() > kHotKeys) hot.erase(hot.size() - 1);
  if (!hot.empty()) record.metrics["hot_keys"] = hot;
}

}  // namespace throng::engine
