#include "framework/engine/estimate.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "framework/base/files.h"
#include "framework/base/units.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/executor.h"

namespace throng::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kFewestRows = 500;   // a smaller job is not worth a trial
constexpr double kLongestTrial = 3;    // seconds, of one sample
constexpr double kTrialShare = 0.02;   // of the time foretold
constexpr uint64_t kTrialMemory = uint64_t{256} << 20;

struct SampleIsFull {};

// The first rows of another source, as one partition.
class FirstRows : public graph::SourceOperator {
 public:
  FirstRows(std::unique_ptr<graph::Operator> source, int64_t limit) : owned_(std::move(source)), source_(static_cast<SourceOperator&>(*owned_)), limit_(limit) {}
  data::Schema bind(const std::vector<data::Schema>& inputs) override { return source_.bind(inputs); }
  graph::Names needed_columns(size_t input, const data::Schema& schema, const graph::Names& wanted) const override { return source_.needed_columns(input, schema, wanted); }
  std::string discover() override { return source_.discover(); }
  void adopt(const std::string& discovered) override { source_.adopt(discovered); }
  int64_t num_partitions() const override { return 1; }
  std::string fingerprint() const override { return source_.fingerprint(); }
  bool rereads() const override { return source_.rereads(); }
  int64_t estimated_rows() const override { return std::min(limit_, source_.estimated_rows()); }
  void read(int64_t, const graph::Names& columns, const std::function<void(data::Batch)>& emit) override {
    source_.folder = folder, source_.seed = seed;
    int64_t rows = 0;
    try {
      for (int64_t p = 0; p < source_.num_partitions(); ++p)
        source_.read(p, columns, [&](data::Batch batch) {
          if (rows + batch.num_rows() > limit_) batch = batch.slice(0, limit_ - rows);
          batch.origin = {0, rows};
          rows += batch.num_rows();
          emit(std::move(batch));
          if (rows == limit_) throw SampleIsFull();
        });
    } catch (const SampleIsFull&) {
    }
  }

 private:
  std::unique_ptr<graph::Operator> owned_;
  SourceOperator& source_;
  int64_t limit_;
};

struct Trial {
  std::map<std::string, StepRecord> records;
  double fraction = 0, seconds = 0;
  std::string trouble;
};

int64_t rows_of(const graph::Operator& op) {
  auto* source = dynamic_cast<const graph::SourceOperator*>(&op);
  return source ? source->estimated_rows() : 0;
}

// A trial must change nothing: steps that write outside are left out, and what reads from them.
void leave_out_writers(graph::Job& job, const Plan& plan) {
  std::set<std::string> out;
  for (const auto& node : plan.graph.nodes) {
    const bool reads_one = std::any_of(node.step.inputs.begin(), node.step.inputs.end(), [&](const auto& i) { return out.count(i.step) > 0; });
    if (node.op->writes_outside() || reads_one) out.insert(node.step.id);
  }
  std::erase_if(job.steps, [&](const graph::Step& s) { return out.count(s.id) > 0; });
}

Trial run_trial(const graph::Job& job, const Plan& plan, double fraction, const fs::path& folder) {
  Trial trial;
  trial.fraction = fraction;
  try {
    graph::Faults faults;
    graph::Job small = job;
    small.save.clear();
    leave_out_writers(small, plan);
    graph::Graph graph = graph::build_graph(small, faults);
    for (auto& node : graph.nodes) {
      auto* source = dynamic_cast<graph::SourceOperator*>(node.op.get());
      if (!source) continue;
      source->adopt(plan.discovered.at(node.step.id));
      const int64_t limit = std::max<int64_t>(1, int64_t(std::ceil(fraction * double(source->estimated_rows()))));
      const uint64_t seed = source->seed;
      node.op = std::make_unique<FirstRows>(std::move(node.op), limit);
      node.op->seed = seed;
    }
    graph::bind_schemas(graph, faults, plan.replay);
    faults.throw_if_any();
    Plan small_plan = make_plan(std::move(graph), plan.replay);
    Stopwatch watch;
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      RunDirectory directory(folder);
      make_folder(folder);
      directory.write_state({{"job", job.name}, {"graph", json::array()}, {"steps", json::object()}});  // steps that summarise others look into it
      Executor executor(small_plan, comm, directory, {1, kTrialMemory, UINT64_MAX, false, {}, {}});
      try {
        executor.run();
      } catch (const Error& e) {
        trial.trouble = e.message();
      }
      for (const auto& r : executor.records()) trial.records[r.id] = r;
    });
    trial.seconds = watch.seconds();
  } catch (const Error& e) {
    trial.trouble = e.message();
  } catch (const std::exception& e) {  // out of memory, say: a run does without its estimate
    trial.trouble = e.what();
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return trial;
}

// From two samples to the whole: times and bytes in a straight line, rows by a power law (a table of words grows slower than its text).
double straight(double small, double large, double f1, double f2) { return std::max(large, large + (large - small) / (f2 - f1) * (1 - f2)); }
double power(double small, double large, double f1, double f2) {
  if (small <= 0 || large <= 0) return large / f2;
  const double exponent = std::clamp(std::log(large / small) / std::log(f2 / f1), 0.0, 1.0);
  return large * std::pow(1 / f2, exponent);
}

void fill(Estimates& result, const Trial& small, const Trial& large) {
  const double f1 = small.fraction, f2 = large.fraction;
  result.steps.clear();
  result.trouble = large.trouble;
  for (const auto& [id, record] : large.records) {
    auto it = small.records.find(id);
    if (it == small.records.end()) continue;
    const StepRecord& before = it->second;
    for (const auto& [name, node] : record.nodes.items()) {
      if (name == id || !before.nodes.contains(name)) continue;
      Estimate e;
      e.fused = true;
      e.rows = power(before.nodes[name]["rows"].get<double>(), node["rows"].get<double>(), f1, f2);
      e.seconds = straight(before.nodes[name]["seconds"].get<double>(), node["seconds"].get<double>(), f1, f2);
      result.steps[name] = e;
    }
    Estimate e;
    e.rows = power(double(before.rows), double(record.rows), f1, f2);
    e.bytes = straight(double(before.bytes), double(record.bytes), f1, f2);
    e.shuffled = straight(double(before.bytes_shuffled), double(record.bytes_shuffled), f1, f2);
    e.seconds = straight(before.seconds, record.seconds, f1, f2);
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
    all[id] = {{"rows", std::llround(e.rows)}, {"bytes", std::llround(e.bytes)}, {"shuffled", std::llround(e.shuffled)}, {"seconds", e.seconds}, {"fused", e.fused}};
  return {{"steps", all}, {"total_rows", total_rows}, {"small_rows", small_rows}, {"large_rows", large_rows}, {"trouble", trouble}};
}

Estimates Estimates::from_json(const json& j) {
  Estimates e;
  e.total_rows = j.at("total_rows"), e.small_rows = j.at("small_rows"), e.large_rows = j.at("large_rows"), e.trouble = j.at("trouble");
  for (const auto& [id, s] : j.at("steps").items()) e.steps[id] = {s.at("rows"), s.at("bytes"), s.at("shuffled"), s.at("seconds"), s.at("fused")};
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

Estimates estimate(const graph::Job& job, const Plan& plan) {
  Estimates result;
  for (const auto& node : plan.graph.nodes) {
    const int64_t rows = rows_of(*node.op);
    if (rows < 0) return result.trouble = fmt::format("step '{}' does not know how many rows it reads", node.step.id), result;
    result.total_rows += rows;
  }
  if (result.total_rows < kFewestRows) return result;
  std::string folder = (temporary_folder() / "throng-trial-XXXXXX").string();
  if (!::mkdtemp(folder.data())) return result.trouble = folder + ": cannot be made", result;
  const double total = double(result.total_rows);
  auto trial = [&](double rows) { return run_trial(job, plan, rows / total, fs::path(folder) / "run"); };

  double rows = std::clamp(total / 80, 50.0, 250.0);
  Trial small = trial(rows), large = trial(4 * rows);
  rows *= 4;
  fill(result, small, large);
  while (result.seconds() >= 0 && 4 * large.seconds < std::min(kLongestTrial, kTrialShare * result.seconds()) && 4 * rows < total / 4) {
    rows *= 4;
    small = std::move(large);
    large = trial(rows);
    fill(result, small, large);
  }
  result.small_rows = std::llround(rows / 4), result.large_rows = std::llround(rows);
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return result;
}

}  // namespace throng::engine
