#include "framework/engine/trial.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "framework/base/files.h"
#include "framework/base/units.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/executor.h"

namespace throng::engine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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

// A trial must change nothing: steps that write outside are left out, and what reads from them.
bool leave_out_writers(graph::Job& job, const graph::Graph& graph) {
  std::set<std::string> out;
  for (const auto& node : graph.nodes) {
    const bool reads_one = std::any_of(node.step.inputs.begin(), node.step.inputs.end(), [&](const auto& i) { return out.count(i.step) > 0; });
    if (reads_one || (node.op && node.op->writes_outside())) out.insert(node.step.id);
  }
  std::erase_if(job.steps, [&](const graph::Step& s) { return out.count(s.id) > 0; });
  return !out.empty();
}

}  // namespace

graph::Job steps_before(const graph::Job& job, const std::string& step) {
  std::set<std::string> wanted{step};
  for (size_t before = 0; before != wanted.size();) {
    before = wanted.size();
    for (const auto& s : job.steps)
      if (wanted.count(s.id))
        for (const auto& in : s.inputs) wanted.insert(in.step);
  }
  graph::Job part = job;
  std::erase_if(part.steps, [&](const graph::Step& s) { return !wanted.count(s.id); });
  return part;
}

int64_t estimated_rows(const graph::Operator& op) {
  auto* source = dynamic_cast<const graph::SourceOperator*>(&op);
  return source ? source->estimated_rows() : 0;
}

double grown(double small, double large, double small_fraction, double large_fraction) {
  if (small <= 0 || large <= 0) return large / large_fraction;
  const double exponent = std::clamp(std::log(large / small) / std::log(large_fraction / small_fraction), 0.0, 1.0);
  return large * std::pow(1 / large_fraction, exponent);
}

Trial run_trial(graph::Job job, const std::map<std::string, std::string>& discovered, const Choices& choices, double fraction, const fs::path& folder,
                const std::function<void(const RunDirectory&)>& look, double limit_seconds) {
  Trial trial;
  trial.fraction = fraction;
  job.save.clear();
  try {
    graph::Faults faults;
    graph::Graph graph = graph::build_graph(job, faults);
    if (leave_out_writers(job, graph)) graph = graph::build_graph(job, faults);
    for (auto& node : graph.nodes) {
      auto* source = dynamic_cast<graph::SourceOperator*>(node.op.get());
      if (!source) continue;
      source->adopt(discovered.at(node.step.id));
      const int64_t limit = std::max<int64_t>(1, int64_t(std::ceil(fraction * double(source->estimated_rows()))));
      const uint64_t seed = source->seed;
      node.op = std::make_unique<FirstRows>(std::move(node.op), limit);
      node.op->seed = seed;
    }
    graph::bind_schemas(graph, faults);
    faults.throw_if_any();
    apply_choices(graph, choices);
    Plan plan = make_plan(std::move(graph), choices);
    Stopwatch watch;
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      RunDirectory directory(folder);
      make_folder(folder);
      directory.write_state({{"job", job.name}, {"graph", json::array()}, {"steps", json::object()}});  // steps that summarise others look into it
      ExecutorOptions options{.memory_bytes = kTrialMemory};
      options.stop_after = limit_seconds;
      Executor executor(plan, comm, directory, options);
      try {
        executor.run();
      } catch (const Error& e) {
        trial.trouble = e.message(), trial.fault = e.fault();
        if (e.fault() == Fault::kStopped && limit_seconds > 0) trial.trouble = fmt::format("a sample took longer than {}", format_seconds(limit_seconds));
      }
      for (const auto& r : executor.records()) trial.records[r.id] = r;
      if (look && trial.trouble.empty()) look(directory);
    });
    trial.seconds = watch.seconds();
  } catch (const Error& e) {
    trial.trouble = e.message(), trial.fault = e.fault();
  } catch (const std::exception& e) {  // out of memory, say: a run does without its estimate
    trial.trouble = e.what();
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  return trial;
}

}  // namespace throng::engine
