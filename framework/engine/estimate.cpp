#include "framework/engine/estimate.h"

#include <algorithm>
#include <cmath>

#include "framework/base/files.h"
#include "framework/base/temporary_folder.h"
#include "framework/base/units.h"
#include "framework/engine/trial.h"

namespace throng::engine {
namespace {

using nlohmann::json;

constexpr int64_t kFewestRows = 500;  // a smaller job is not worth a trial
constexpr double kLimit = 10;         // seconds after which a sample is given up: training for ever so many epochs
constexpr double kLongestTrial = 3;   // seconds, of one sample
constexpr double kTrialShare = 0.02;  // of the run, were it as long as the sample's rows are of all
constexpr double kForetoldShare = 0.1, kShortTrial = 0.25;  // of the run as foretold; seconds that are worth a better estimate in any case
constexpr double kRowsThatTell = 1000;  // smaller samples say too little
constexpr double kMostMade = 100;       // rows that steps make of one: beyond, they may make as much of few rows as of all (a grid of hours)

// Rows of nodes, of the samples and of all.
struct Rows {
  double small = 0, large = 0, all = 0;
  void operator+=(const Rows& o) { small += o.small, large += o.large, all += o.all; }
};

// Bytes and times in a straight line of the rows that they are of, which may be as many of a sample as of all (a grid of hours).
double straight(double small, double large, const Rows& rows) {
  if (rows.large <= rows.small) return rows.large > 0 ? std::max(large, large * rows.all / rows.large) : large;
  return std::max(large, large + (large - small) / (rows.large - rows.small) * (rows.all - rows.large));
}
// Times at least half of what the larger sample took by its share of the rows: two short times differ by chance.
double lasting(double small, double large, const Rows& work) { return std::max(straight(small, large, work), work.large > 0 ? large * work.all / work.large / 2 : 0); }

void add_exchanges(Estimate& e, const json& small, const json& large, const Rows& work) {
  const auto few = small.value("shuffled", std::vector<double>()), more = large.value("shuffled", std::vector<double>());
  for (size_t k = 0; k < std::min(few.size(), more.size()); ++k) e.sent.push_back(straight(few[k], more[k], work));
  if (!large.contains("hottest")) return;
  e.hottest = large["hottest"]["key"], e.hottest_share = large["hottest"]["share"];
}

double rows_of(const StepRecord& record, const std::string& node) { return node == record.id ? double(record.rows) : record.nodes[node]["rows"].get<double>(); }

double rows_made(const Trial& trial) {
  double rows = 0;
  for (const auto& [id, record] : trial.records) {
    rows += double(record.rows);
    for (const auto& [name, node] : record.nodes.items())
      if (name != id) rows += node["rows"].get<double>();
  }
  return rows;
}

void fill(Estimates& result, const Plan& plan, const Trial& small, const Trial& large) {
  const double f1 = small.fraction, f2 = large.fraction;
  result.steps.clear();
  result.trouble = large.trouble;
  std::map<std::string, Rows> rows;
  for (const auto& [id, record] : large.records) {
    auto it = small.records.find(id);
    if (it == small.records.end()) continue;
    const StepRecord& before = it->second;
    auto add = [&](const std::string& node) {
      Rows& r = rows[node];
      r = {rows_of(before, node), rows_of(record, node), 0};
      r.all = grown(r.small, r.large, f1, f2);
    };
    for (const auto& [name, node] : record.nodes.items())
      if (name != id && before.nodes.contains(name)) add(name);
    add(id);
  }
  // What goes in and what comes out.
  auto through = [&](const std::string& name) {
    Rows work = rows[name];
    for (const auto& node : plan.graph.nodes)
      if (node.step.id == name)
        for (const auto& input : node.step.inputs) work += rows[input.step];
    return work;
  };
  for (const auto& [id, record] : large.records) {
    auto it = small.records.find(id);
    if (it == small.records.end()) continue;
    const StepRecord& before = it->second;
    Rows work = through(id);
    for (const auto& [name, node] : record.nodes.items()) {
      if (name == id || !before.nodes.contains(name)) continue;
      const Rows its = through(name);
      work += its;
      Estimate e;
      e.fused = true;
      e.rows = rows[name].all;
      e.seconds = lasting(before.nodes[name]["seconds"].get<double>(), node["seconds"].get<double>(), its);
      add_exchanges(e, before.nodes[name], node, its);
      result.steps[name] = e;
    }
    Estimate e;
    if (record.nodes.contains(id) && before.nodes.contains(id)) add_exchanges(e, before.nodes[id], record.nodes[id], through(id));
    e.rows = rows[id].all;
    e.bytes = straight(double(before.bytes), double(record.bytes), rows[id]);
    e.shuffled = straight(double(before.bytes_shuffled), double(record.bytes_shuffled), work);
    e.seconds = lasting(before.seconds, record.seconds, work);
    result.steps[id] = e;
  }
}

}  // namespace

double Estimates::seconds() const {
  double sum = 0;
  for (const auto& [id, e] : steps) {
    if (e.fused) continue;
    if (e.seconds < 0) return -1;
    sum += e.seconds;
  }
  return steps.empty() || !trouble.empty() ? -1 : sum;
}

json Estimates::to_json() const {
  json all = json::object();
  for (const auto& [id, e] : steps)
    all[id] = {{"rows", std::llround(e.rows)}, {"bytes", std::llround(e.bytes)}, {"shuffled", std::llround(e.shuffled)}, {"sent", e.sent}, {"seconds", e.seconds}, {"fused", e.fused}, {"hottest", e.hottest}, {"hottest_share", e.hottest_share}};
  return {{"steps", all}, {"total_rows", total_rows}, {"small_rows", small_rows}, {"large_rows", large_rows}, {"trouble", trouble}};
}

Estimates Estimates::from_json(const json& j) {
  Estimates e;
  e.total_rows = j.at("total_rows"), e.small_rows = j.at("small_rows"), e.large_rows = j.at("large_rows"), e.trouble = j.at("trouble");
  for (const auto& [id, s] : j.at("steps").items()) e.steps[id] = {s.at("rows"), s.at("bytes"), s.at("shuffled"), s.at("sent").get<std::vector<double>>(), s.at("seconds"), s.at("fused"), s.at("hottest"), s.at("hottest_share")};
  return e;
}

std::string Estimates::text(const Plan& plan, int workers) const {
  if (steps.empty()) return total_rows < kFewestRows ? "" : "no estimate: " + trouble + "\n";
  std::string text = fmt::format("estimate for {}, from a trial on {} and {} of about {} rows\n", workers == 1 ? "1 worker" : fmt::format("{} workers with a core each", workers),
                                 format_count(uint64_t(small_rows)), format_count(uint64_t(large_rows)), format_count(uint64_t(total_rows)));
  text += fmt::format("     {:<20} {:>14} {:>12} {:>12} {:>10}\n", "step", "rows", "stored", "shuffled", "time");
  auto bytes = [](double b) { return b > 0 ? format_bytes(uint64_t(b)) : std::string("-"); };
  for (const auto& node : plan.graph.nodes) {
    auto it = steps.find(node.step.id);
    if (it == steps.end()) {
      text += fmt::format("     {:<20} {:>14} {:>12} {:>12} {:>10}\n", node.step.id, "?", "?", "?", "?");
      continue;
    }
    const Estimate& e = it->second;
    std::string time = format_seconds(e.seconds / workers);
    text += fmt::format("     {:<20} {:>14} {:>12} {:>12} {:>10}\n", node.step.id, format_count(uint64_t(e.rows)), e.fused ? "-" : bytes(e.bytes), bytes(e.shuffled),
                        e.fused ? "(" + time + ")" : time);
  }
  if (seconds() >= 0) text += fmt::format("     {:<20} {:>14} {:>12} {:>12} {:>10}\n", "all", "", "", "", format_seconds(seconds() / workers));
  if (!trouble.empty()) text += "the trial ended early: " + trouble + "\n";
  return text;
}

Estimates estimate(const graph::Job& job, const Plan& plan, Wanted wanted) {
  Estimates result;
  for (const auto& node : plan.graph.nodes) {
    const int64_t rows = estimated_rows(*node.op);
    if (rows < 0) return result.trouble = fmt::format("step '{}' does not know how many rows it reads", node.step.id), result;
    result.total_rows += rows;
  }
  if (result.total_rows < kFewestRows) return result;
  const TemporaryFolder folder("throng-trial");
  if (folder.path().empty()) return result.trouble = temporary_folder().string() + ": no folder can be made there", result;
  const double total = double(result.total_rows);
  auto trial = [&](double rows) { return run_trial(job, plan.discovered, plan.choices, rows / total, folder.path() / "run", {}, kLimit); };

  double rows = std::clamp(total / 80, 50.0, 62.0);
  Trial small = trial(rows);
  if (small.fault == Fault::kStopped) return result.trouble = small.trouble, result;
  Trial large = trial(4 * rows);
  rows *= 4;
  fill(result, plan, small, large);
  const double enough = std::min(kRowsThatTell, total / 20);
  auto goes_on = [&] {
    const double next = 4 * large.seconds;
    if (result.seconds() < 0 || large.fault == Fault::kStopped) return false;
    if (4 * rows <= enough) return wanted == Wanted::kForItself || rows_made(large) < kMostMade * rows;  // whatever the clock says
    // The time foretold is too short where a sample takes hardly longer than a smaller one, so it does not say alone when to end.
    return 4 * rows < total / 4 && next < std::min({kLongestTrial, kTrialShare * large.seconds / large.fraction, std::max(kShortTrial, kForetoldShare * result.seconds())});
  };
  while (goes_on()) {
    rows *= 4;
    small = std::move(large);
    large = trial(rows);
    fill(result, plan, small, large);
  }
  result.small_rows = std::llround(rows / 4), result.large_rows = std::llround(rows);
  if (4 * rows <= enough && result.trouble.empty()) {
    result.steps.clear();
    result.trouble = fmt::format("its steps make {} rows of {}, which say too little; `throng plan` tries more", format_count(uint64_t(rows_made(large))), result.large_rows);
  }
  return result;
}

json predicted_of(const json& predicted, const std::string& step, int workers) {
  if (!predicted.is_object() || !predicted["steps"].contains(step)) return nullptr;
  const json& of = predicted["steps"][step];
  json j{{"rows", of["rows"]}};
  const bool fused = of["fused"];
  if (of["seconds"].get<double>() >= 0) j["seconds"] = of["seconds"].get<double>() / (fused ? 1 : workers);
  if (!fused) j["stored"] = of["bytes"], j["shuffled"] = of["shuffled"];
  const json memory = predicted.value("memory", json::object()).value("steps", json::object());
  if (memory.contains(step)) j["memory"] = memory[step]["memory"];
  return j;
}

}  // namespace throng::engine
