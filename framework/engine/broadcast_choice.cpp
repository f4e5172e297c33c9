#include "framework/engine/broadcast_choice.h"

#include <algorithm>
#include <cmath>

#include "framework/base/files.h"
#include "framework/base/temporary_folder.h"
#include "framework/base/units.h"
#include "framework/data/dataset.h"
#include "framework/engine/trial.h"

namespace throng::engine {
namespace {

using nlohmann::json;

// Rows of the larger of two samples: always as many, so that the choice is the same on a slow machine.
constexpr double kSampleRows = 4000;

constexpr double kDoubt = 4;  // a sample says so many times what there is, at most

BroadcastChoice look_at(const graph::Job& job, const graph::Graph& graph, const graph::Node& node, const std::map<std::string, std::string>& discovered) {
  BroadcastChoice choice;
  const auto& side = node.step.inputs.at(1);
  choice.side = side.text();
  const graph::Job part = steps_before(job, side.step);
  double total = 0;
  for (const auto& step : part.steps) {
    const auto& op = *graph.nodes[size_t(graph.find(step.id))].op;
    const int64_t rows = estimated_rows(op);
    if (rows < 0) return choice.trouble = fmt::format("'{}' does not know how many rows it reads", step.id), choice;
    total += double(rows);
  }
  const TemporaryFolder folder("throng-trial");
  if (folder.path().empty()) throw system_error("{}: no folder can be made there", temporary_folder().string());
  const double large = std::min(1.0, kSampleRows / std::max(1.0, total));
  double rows[2] = {}, bytes = 0;
  for (int k = large < 1 ? 0 : 1; k < 2; ++k) {
    auto look = [&](const RunDirectory& run) {
      const data::DatasetReader stored(run.dataset(side.step, side.output));
      rows[k] = double(stored.manifest().num_rows()), bytes = double(stored.manifest().num_bytes());
    };
    const Trial trial = run_trial(part, discovered, {}, k == 0 ? large / 4 : large, folder.path() / "run", look);
    if (trial.trouble.empty()) continue;
    if (trial.fault == Fault::kJob || trial.fault == Fault::kData) return choice.trouble = trial.trouble, choice;
    if (trial.fault == Fault::kStopped) throw graph::stopped();
    throw Error(trial.fault.value_or(Fault::kSystem), trial.trouble);
  }
  choice.rows = large < 1 ? std::round(grown(rows[0], rows[1], large / 4, large)) : rows[1];
  // Of no rows nothing is known but their columns: 64 bytes each, say.
  choice.bytes_per_row = rows[1] > 0 ? bytes / rows[1] : 64 * double(graph.nodes[node.inputs.at(1)].schema.size());
  // A sample knows too many of the rows of a table of its values: where it may be wrong, the rows are counted when they are there.
  choice.broadcast = choice.bytes() <= kDoubt * kBroadcastBytes;
  return choice;
}

}  // namespace

std::string BroadcastChoice::text() const {
  if (!trouble.empty()) return fmt::format("shuffle: a sample does not tell how large '{}' is: {}", side, trouble);
  const std::string size = fmt::format("'{}' {} {} rows, about {} with all columns", side, revised ? "has" : "has about", format_count(uint64_t(rows)), format_bytes(uint64_t(bytes())));
  const std::string limit = format_bytes(uint64_t(kBroadcastBytes));
  if (revised) return fmt::format("shuffle: {}, more than {}, counted when they were stored", size, limit);
  if (broadcast && !fits(rows)) return fmt::format("broadcast if '{}' turns out to take at most {}, else a shuffle: by a sample, {}", side, limit, size);
  return broadcast ? fmt::format("broadcast: {}, at most {}", size, limit) : fmt::format("shuffle: {}, more than {}", size, limit);
}

json BroadcastChoice::to_json() const {
  return {{"broadcast", broadcast}, {"revised", revised}, {"side", side}, {"rows", rows}, {"bytes_per_row", bytes_per_row}, {"trouble", trouble}};
}

BroadcastChoice BroadcastChoice::from_json(const json& j) {
  BroadcastChoice c;
  c.broadcast = j.at("broadcast"), c.revised = j.at("revised"), c.side = j.at("side"), c.rows = j.at("rows"), c.bytes_per_row = j.at("bytes_per_row"), c.trouble = j.at("trouble");
  return c;
}

BroadcastChoices choose_broadcasts(const graph::Job& job, const graph::Graph& graph, const std::map<std::string, std::string>& discovered, comm::Communicator& comm) {
  std::vector<const graph::Node*> open;
  for (const auto& node : graph.nodes) {
    auto* keyed = dynamic_cast<const graph::KeyedOperator*>(node.op.get());
    if (keyed && node.bound && keyed->broadcast_variant()) open.push_back(&node);
  }
  if (open.empty()) return {};
  json found = json::object();
  if (comm.rank() == 0) {
    std::map<std::string, BroadcastChoice> known;  // by second input
    for (const auto* node : open) {
      const std::string side = node->step.inputs.at(1).text();
      try {
        auto it = known.find(side);
        if (it == known.end()) it = known.emplace(side, look_at(job, graph, *node, discovered)).first;
        found[node->step.id] = it->second.to_json();
      } catch (Error& e) {
        if (e.fault() == Fault::kStopped) throw;
        e.prefix(fmt::format("step '{}' ({}): no sample of '{}' could be taken: ", node->step.id, node->step.op, side));
        throw std::move(e).with_hint("name a 'strategy' on this step, and no sample is taken");
      }
    }
  }
  std::string text = found.dump(-1, ' ', false, json::error_handler_t::replace);
  comm.broadcast(text);
  BroadcastChoices choices;
  const json all = json::parse(text);
  for (const auto& node : graph.nodes)
    if (all.contains(node.step.id)) choices[node.step.id] = BroadcastChoice::from_json(all[node.step.id]);
  return choices;
}

}  // namespace throng::engine
