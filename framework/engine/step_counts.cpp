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
  if (more.contains("shuffled")) {
    auto bytes = sum.value("shuffled", std::vector<uint64_t>());
    const auto added = more["shuffled"].get<std::vector<uint64_t>>();
    bytes.resize(std::max(bytes.size(), added.size()));
    for (size_t k = 0; k < added.size(); ++k) bytes[k] += added[k];
    sum["shuffled"] = bytes;
  }
  for (const auto& [name, count] : more["counters"].items()) sum["counters"][name] = sum["counters"].value(name, int64_t{0}) + count.get<int64_t>();
  if (!more.contains("examples")) return;
  for (const auto& [name, list] : more["examples"].items()) {
    json& kept = sum["examples"][name];
    for (const auto& e : list) kept.push_back(e);
    std::sort(kept.begin(), kept.end());  // by partition and row
    while (kept.size() > graph::Counters::kExamples) kept.erase(kept.size() - 1);
  }
}

// Names hot keys of the summaries so far; `more` has come since. What was counted row by row is in `hot` without "about".
void name_hot_keys(const std::map<std::pair<std::string, size_t>, HeavyHitters>& more, StepRecord& record, json& hot) {
  for (const auto& [input, found] : more) {
    json& kept = record.nodes[input.first]["hitters"][std::to_string(input.second)];
    HeavyHitters all = kept.is_null() ? HeavyHitters() : HeavyHitters::from_json(kept);
    all.merge(found);
    kept = all.to_json();
  }
  hot.erase(std::remove_if(hot.begin(), hot.end(), [](const json& h) { return h.contains("about"); }), hot.end());
  for (auto& [id, node] : record.nodes.items()) {
    double most = 0;
    const json summaries = node.value("hitters", json::object());
    for (const auto& [input, summary] : summaries.items()) {
      const HeavyHitters all = HeavyHitters::from_json(summary);
      const auto keys = all.keys();
      for (size_t k = 0; k < keys.size(); ++k) {
        const double share = double(keys[k].rows) / double(all.num_rows());
        if (k == 0 && share > std::exchange(most, std::max(most, share))) node["hottest"] = {{"key", keys[k].text}, {"rows", keys[k].rows}, {"share", share}};
        if (share < kHotShare || keys[k].rows < kHotRows) break;
        const bool known = std::any_of(hot.begin(), hot.end(), [&](const json& h) { return h["step"] == id && h["key"] == keys[k].text; });
        if (!known) hot.push_back({{"step", id}, {"key", keys[k].text}, {"rows", keys[k].rows}, {"about", true}});
      }
    }
  }
}

}  // namespace

void StepCounts::add_shuffled(size_t node, size_t input, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  auto& by_input = shuffled_[node];
  by_input.resize(std::max(by_input.size(), input + 1));
  by_input[input] += bytes;
}

void StepCounts::add_hitters(size_t node, size_t input, int64_t partition, const HeavyHitters& piece) {
  std::lock_guard lock(mutex_);
  auto& list = hitters_[{node, input}];
  if (list.empty() || list.back().first != partition) list.emplace_back(partition, HeavyHitters());
  list.back().second.merge(piece);
}

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

void StepCounts::collect(const graph::Graph& graph, const std::set<size_t>& nodes, uint64_t bytes_spilled, comm::Communicator& comm, StepRecord& record) {
  json mine = json::object();
  for (size_t n : nodes) {
    const auto& node = graph.nodes[n];
    json& j = mine["nodes"][node.step.id];
    auto [rows, seconds] = rows_[n];
    j = {{"op", node.step.op}, {"rows", rows}, {"seconds", seconds}, {"counters", node.op->counters().take()}};
    if (shuffled_.count(n)) j["shuffled"] = shuffled_[n];
    for (const auto& [name, list] : node.op->counters().take_examples())
      for (const auto& e : list) j["examples"][name].push_back({e.partition, e.row, e.text, e.place});
  }
  mine["hitters"] = json::array();
  for (const auto& [input, list] : hitters_)
    for (const auto& [partition, found] : list)
      if (found.num_rows() > 0) mine["hitters"].push_back({graph.nodes[input.first].step.id, input.second, found.to_json()});
  rows_.clear(), shuffled_.clear(), hitters_.clear();
  mine["hot"] = json::array();
  for (const auto& [rows, step, key] : hot_keys_) mine["hot"].push_back({{"step", step}, {"key", key}, {"rows", -rows}});
  hot_keys_.clear();
  mine["peak"] = peak_resident_bytes(), mine["spilled"] = bytes_spilled;

  const auto all = comm.gather(mine.dump(-1, ' ', false, json::error_handler_t::replace));
  if (comm.rank() != 0) return;
  json hot = record.metrics.value("hot_keys", json::array());
  std::map<std::pair<std::string, size_t>, HeavyHitters> hitters;  // since the last call; ranks, and so partitions, in order
  for (const auto& text : all) {
    const json one = json::parse(text);
    record.peak_memory_bytes = std::max(record.peak_memory_bytes, one["peak"].get<uint64_t>());
    for (const auto& h : one["hitters"]) hitters[{h[0].get<std::string>(), h[1].get<size_t>()}].merge(HeavyHitters::from_json(h[2]));
    record.bytes_spilled += one["spilled"].get<uint64_t>();
    for (const auto& key : one["hot"]) hot.push_back(key);
    for (const auto& [id, j] : one["nodes"].items()) {
      if (record.nodes.contains(id)) add_node(record.nodes[id], j);
      else record.nodes[id] = j;
      for (uint64_t bytes : j.value("shuffled", std::vector<uint64_t>())) record.bytes_shuffled += bytes;
    }
  }
  name_hot_keys(hitters, record, hot);
  std::sort(hot.begin(), hot.end(), [](const json& a, const json& b) {
    return std::tuple(-a["rows"].get<int64_t>(), a["step"].get<std::string>(), a["key"].get<std::string>()) <
           std::tuple(-b["rows"].get<int64_t>(), b["step"].get<std::string>(), b["key"].get<std::string>());
  });
  while (hot.size() > kHotKeys) hot.erase(hot.size() - 1);
  record.metrics.erase("hot_keys");
  if (!hot.empty()) record.metrics["hot_keys"] = hot;
}

}  // namespace throng::engine
