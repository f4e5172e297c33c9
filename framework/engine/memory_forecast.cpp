#include "framework/engine/memory_forecast.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "framework/base/files.h"
#include "framework/base/memory.h"
#include "framework/base/units.h"
#include "framework/data/pieces.h"
#include "framework/engine/branches.h"

namespace throng::engine {
namespace {

using nlohmann::json;

constexpr double kProcessBytes = 48.0 * (1 << 20);  // code, MPI, HDF5
constexpr double kSpilledShare = 0.5;                // of rows as LZ4 leaves them, about
constexpr double kCountedCopies = 4;                 // as the executor counts a partition that is worked on
constexpr double kSourceBytes = 4.0 * (1 << 20);     // what it takes a source's partition for

double bytes_of(uint64_t bytes) { return double(bytes); }
std::string text_of(double bytes) { return format_bytes(uint64_t(bytes)); }

class Forecaster {
 public:
  Forecaster(const Plan& plan, const Estimates& estimates, const Allotment& allotment) : plan_(plan), estimates_(estimates), budget_(bytes_of(allotment.memory_bytes)) { result_.allotment = allotment; }

  MemoryForecast run() {
    for (const auto& segment : branches_of(plan_).segments) {
      const size_t lanes = segment.lanes(result_.allotment.branches, result_.allotment.threads), before = result_.stages.size();
      budget_ = bytes_of(result_.allotment.memory_bytes) / double(lanes);
      for (size_t t : segment.tasks) {
        waiting_.clear();
        const auto& stages = plan_.tasks[t].stages;
        for (size_t s = 0; s < stages.size(); ++s) look_at(t, s, stages[s]);
      }
      note_neighbours(before, lanes);
    }
    std::error_code unknown;
    const auto disk = std::filesystem::space(temporary_folder(), unknown);
    if (!unknown && result_.spilled() > bytes_of(disk.available))
      warn("about {} will wait on disk, and {} has {} left; set TMPDIR to a larger disk, or raise --memory", text_of(result_.spilled()), temporary_folder().string(), format_bytes(disk.available));
    return std::move(result_);
  }

 private:
  const Estimate* estimate(size_t node) const {
    auto it = estimates_.steps.find(plan_.graph.nodes[node].step.id);
    return it == estimates_.steps.end() ? nullptr : &it->second;
  }
  std::string name(size_t node) const { return fmt::format("'{}' ({})", plan_.graph.nodes[node].step.id, plan_.graph.nodes[node].step.op); }
  template <class... Args>
  void warn(fmt::format_string<Args...> format, Args&&... args) {
    result_.warnings.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  void look_at(size_t task, size_t number, const Stage& stage) {
    const Allotment& on = result_.allotment;
    StageMemory m{task, number};
    // What the stage reads, and how large a partition of it is.
    double in = 0, out = 0;
    const Estimate* head = estimate(stage.head_node);
    const Estimate* tail = estimate(stage.tail_node);
    if (!head || !tail) return;
    out = stage.tail == Stage::Tail::kDataset ? tail->bytes : stage.tail_input < tail->sent.size() ? tail->sent[stage.tail_input] : 0;
    if (stage.head == Stage::Head::kExchange) in = waiting_[stage.head_node];
    else if (stage.head == Stage::Head::kDataset) in = head->bytes;
    else in = out;
    const double partitions = double(std::max<int64_t>(1, plan_.num_partitions[stage.head_node])), owned = std::ceil(partitions / on.ranks);
    const double part = in / partitions, out_part = out / partitions;

    for (size_t map : stage.maps) {
      const auto& node = plan_.graph.nodes[map];
      for (size_t k = 1; k < node.inputs.size(); ++k) {
        const Estimate* side = estimate(node.inputs[k]);
        if (!side) continue;
        if (m.sides + 2 * side->bytes <= budget_ / 2) m.sides += 2 * side->bytes;
        else warn("step {}: each rank is to hold all of '{}', about {}, and has a budget of {}: the rows meet it in portions, which takes longer", name(map), plan_.graph.nodes[node.inputs[k]].step.id,
                  text_of(2 * side->bytes), text_of(budget_));
      }
    }

    // What waits: the rows this stage groups, which are fewer and fewer, and those it sends.
    if (stage.tail == Stage::Tail::kExchange) waiting_[stage.tail_node] += out;
    double waits = 0;
    for (const auto& [node, bytes] : waiting_) waits += bytes / on.ranks;
    const double room = std::max(0.0, budget_ / 2 - m.sides);
    m.waiting = std::min(waits, room);
    if (stage.tail == Stage::Tail::kExchange && waits > room) m.spilled += kSpilledShare * on.ranks * std::min(out / on.ranks, waits - room);

    // What is in hand.
    const double counted = kCountedCopies * (stage.head == Stage::Head::kSource ? kSourceBytes : part);
    m.streamed = stage.head != Stage::Head::kSource && counted > budget_ / 2;
    if (m.streamed) {
      m.working = budget_ / 2;
      if (stage.head == Stage::Head::kExchange) {
        m.spilled += kSpilledShare * in;
        warn("step {}: a partition of {} is too large for a budget of {} and will be sorted on disk", name(stage.head_node), text_of(part), text_of(budget_));
      }
    } else {
      const double fit = std::floor((budget_ - m.waiting - m.sides) / std::max(1.0, counted));
      const double begun = std::clamp(std::min({fit, 2.0 * on.threads, owned}), 1.0, owned), worked_on = std::min(begun, double(on.threads));
      const double piece = std::min(part, bytes_of(data::kPieceBytes));
      // Grouped rows are in hand as they came, in order, and as a result; others piece by piece. Results wait for their turn.
      m.working = begun * out_part + worked_on * (stage.head == Stage::Head::kExchange ? 2.5 * part : 3 * piece);
    }
    if (stage.head == Stage::Head::kExchange) {
      look_for_hot_key(stage.head_node, in);
      waiting_.erase(stage.head_node);
    }
    result_.stages.push_back(m);
  }

  // The largest tasks of the segment that begins at `first`, beside each other one.
  void note_neighbours(size_t first, size_t lanes) {
    std::map<size_t, double> held;  // by task
    for (size_t i = first; i < result_.stages.size(); ++i) held[result_.stages[i].task] = std::max(held[result_.stages[i].task], result_.stages[i].held());
    for (size_t i = first; i < result_.stages.size(); ++i) {
      std::vector<double> others;
      for (const auto& [task, bytes] : held)
        if (task != result_.stages[i].task) others.push_back(bytes);
      std::sort(others.rbegin(), others.rend());
      for (size_t k = 0; k + 1 < lanes && k < others.size(); ++k) result_.stages[i].beside += others[k];
    }
  }

  void look_for_hot_key(size_t node, double bytes) {
    const auto& op = static_cast<const graph::KeyedOperator&>(*plan_.graph.nodes[node].op);
    const Estimate& e = *estimate(node);
    const bool joins = plan_.graph.nodes[node].inputs.size() > 1;
    const bool needs_whole = joins ? op.right_rows() == graph::KeyedOperator::RightRows::kAll : !op.combines() && !op.takes_portions();
    if (!needs_whole || e.hottest_share * bytes <= budget_) return;
    warn("step {}: the rows of {} take about {}, and must be in hand at once; with a budget of {} this step will fail: raise --memory, or leave these rows out with filter", name(node), e.hottest,
         text_of(e.hottest_share * bytes), text_of(budget_));
  }

  const Plan& plan_;
  const Estimates& estimates_;
  double budget_;  // of a branch
  std::map<size_t, double> waiting_;  // keyed node -> bytes for it, of all ranks
  MemoryForecast result_;
};

}  // namespace

uint64_t memory_of_rank(uint64_t ranks_on_host) { return uint64_t(0.8 * double(host_memory_limit())) / std::max<uint64_t>(1, ranks_on_host); }

MemoryForecast forecast_memory(const Plan& plan, const Estimates& estimates, const Allotment& allotment) { return Forecaster(plan, estimates, allotment).run(); }

double MemoryForecast::resident(size_t task) const {
  double most = -1;
  for (const auto& s : stages)
    if (s.task == task) most = std::max(most, s.held() + s.beside + kProcessBytes);
  return most;
}

double MemoryForecast::peak() const {
  double most = -1;
  for (const auto& s : stages) most = std::max(most, resident(s.task));
  return most;
}

double MemoryForecast::spilled() const {
  double sum = 0;
  for (const auto& s : stages) sum += s.spilled;
  return sum;
}

std::string MemoryForecast::text(const Plan& plan) const {
  if (stages.empty()) return "";
  auto bytes = [](double b) { return b >= 1 ? format_bytes(uint64_t(b)) : std::string("-"); };
  std::string text = fmt::format("memory of a rank, of {} with {} each, within a budget of {}\n", allotment.ranks == 1 ? "1" : std::to_string(allotment.ranks),
                                 allotment.threads == 1 ? "1 thread" : std::to_string(allotment.threads) + " threads", format_bytes(allotment.memory_bytes));
  text += fmt::format("     {:<20} {:>6} {:>12} {:>12} {:>12} {:>12} {:>14}\n", "step", "stage", "waiting", "in hand", "held whole", "all", "on disk, all");
  std::map<std::pair<size_t, size_t>, int> numbers;  // as Plan::text counts
  int number = 0;
  for (size_t t = 0; t < plan.tasks.size(); ++t) {
    if (plan.tasks[t].stages.empty()) ++number;
    for (size_t s = 0; s < plan.tasks[t].stages.size(); ++s) numbers[{t, s}] = ++number;
  }
  for (const auto& s : stages)
    text += fmt::format("     {:<20} {:>6} {:>12} {:>12} {:>12} {:>12} {:>14}\n", plan.graph.nodes[plan.tasks[s.task].node].step.id, numbers[{s.task, s.stage}], bytes(s.waiting),
                        (s.streamed ? "sorted: " : "") + bytes(s.working), bytes(s.sides), bytes(s.held()), bytes(s.spilled));
  text += fmt::format("     {:<20} {:>6} {:>12} {:>12} {:>12} {:>12} {:>14}\n", "most, with " + format_bytes(uint64_t(kProcessBytes)), "", "", "", "", bytes(peak()), bytes(spilled()));
  for (const auto& w : warnings) text += "warning: " + w + "\n";
  return text;
}

json MemoryForecast::to_json(const Plan& plan) const {
  json steps = json::object();
  for (const auto& s : stages) {
    json& j = steps[plan.graph.nodes[plan.tasks[s.task].node].step.id];
    const int64_t before = j.is_object() ? j["spilled"].get<int64_t>() : 0;
    j = {{"memory", std::llround(resident(s.task))}, {"spilled", before + std::llround(s.spilled)}};
  }
  return {{"steps", steps}, {"peak", std::llround(peak())}, {"spilled", std::llround(spilled())}, {"warnings", warnings}};
}

}  // namespace throng::engine
