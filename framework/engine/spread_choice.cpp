#include "framework/engine/spread_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "framework/base/temporary_folder.h"
#include "framework/base/units.h"
#include "framework/data/dataset.h"
#include "framework/engine/trial.h"

namespace throng::engine {
namespace {

using nlohmann::json;
using graph::KeyedOperator;

constexpr double kSampleRows = 4000;
constexpr int64_t kLeastInSample = 8;  // fewer rows of a key say nothing
constexpr uint32_t kParts = 16, kMostParts = 1024;

// How often each key comes in the rows that the step reads, of a share of its sources.
SpreadChoice look_at(const graph::Job& job, const graph::Graph& graph, const graph::Node& node, const std::map<std::string, std::string>& discovered) {
  SpreadChoice choice;
  const auto& input = node.step.inputs.at(0);
  const graph::Job part = steps_before(job, input.step);
  double total = 0;
  for (const auto& step : part.steps) {
    const auto& op = *graph.nodes[size_t(graph.find(step.id))].op;
    if (op.shape() == graph::Shape::kCollective) return choice.trouble = fmt::format("'{}' is made by all ranks", step.id), choice;
    const int64_t rows = estimated_rows(op);
    if (rows < 0) return choice.trouble = fmt::format("'{}' does not know how many rows it reads", step.id), choice;
    total += double(rows);
  }
  if (total < kSpreadRows) return choice;
  const TemporaryFolder folder("throng-trial");
  if (folder.path().empty()) return choice.trouble = "no folder for a sample can be made", choice;
  const double fraction = kSampleRows / total;
  std::unordered_map<uint64_t, int64_t> rows_of;
  const auto& op = static_cast<const KeyedOperator&>(*node.op);
  auto look = [&](const RunDirectory& run) {
    data::DatasetReader stored(run.dataset(input.step, input.output));
    for (size_t p = 0; p < stored.manifest().partitions.size(); ++p)
      for (uint64_t hash : op.hash_keys(stored.read(int64_t(p)))) ++rows_of[hash];
  };
  const Trial trial = run_trial(part, discovered, {}, fraction, folder.path() / "run", look);
  if (trial.fault == Fault::kStopped) throw graph::stopped();
  if (!trial.trouble.empty()) return choice.trouble = trial.trouble, choice;
  for (const auto& [hash, rows] : rows_of) {
    if (rows < kLeastInSample || double(rows) / fraction < kSpreadRows) continue;
    choice.hot.hashes.push_back(hash);
    choice.rows = std::max(choice.rows, double(rows) / fraction);
  }
  std::sort(choice.hot.hashes.begin(), choice.hot.hashes.end());
  choice.hot.parts = std::clamp(std::bit_ceil(uint32_t(choice.rows / kPartRows)), kParts, kMostParts);
  return choice;
}

}  // namespace

std::string SpreadChoice::text() const {
  if (hot.all) return fmt::format("deals the values of every key out over {} parts", hot.parts);
  if (hot.hashes.empty()) return {};
  return fmt::format("deals the values of {} hot key{} out over {} parts: by a sample, {} has about {} rows", hot.hashes.size(), hot.hashes.size() == 1 ? "" : "s", hot.parts,
                     hot.hashes.size() == 1 ? "it" : "the hottest", format_count(uint64_t(rows)));
}

json SpreadChoice::to_json() const { return {{"hashes", hot.hashes}, {"all", hot.all}, {"parts", hot.parts}, {"rows", rows}, {"trouble", trouble}}; }

SpreadChoice SpreadChoice::from_json(const json& j) {
  SpreadChoice c;
  c.hot.hashes = j.at("hashes").get<std::vector<uint64_t>>(), c.hot.all = j.at("all"), c.hot.parts = j.at("parts"), c.rows = j.at("rows"), c.trouble = j.at("trouble");
  return c;
}

SpreadChoices choose_spreads(const graph::Job& job, const graph::Graph& graph, const std::map<std::string, std::string>& discovered, comm::Communicator& comm) {
  SpreadChoices choices;
  std::vector<const graph::Node*> open;
  for (const auto& node : graph.nodes) {
    auto* keyed = dynamic_cast<const KeyedOperator*>(node.op.get());
    if (!keyed || !node.bound || keyed->spread() == KeyedOperator::Spread::kNever) continue;
    if (keyed->spread() == KeyedOperator::Spread::kHotKeys) open.push_back(&node);
    else choices[node.step.id].hot = {{}, true, kParts};
  }
  if (open.empty()) return choices;
  json found = json::object();
  if (comm.rank() == 0)
    for (const auto* node : open) found[node->step.id] = look_at(job, graph, *node, discovered).to_json();
  std::string text = found.dump(-1, ' ', false, json::error_handler_t::replace);
  comm.broadcast(text);
  const json all = json::parse(text);
  for (const auto& [step, choice] : all.items()) choices[step] = SpreadChoice::from_json(choice);
  return choices;
}

}  // namespace throng::engine
