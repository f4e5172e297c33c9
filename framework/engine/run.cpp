#include "framework/engine/run.h"

#include <unistd.h>

#include <set>

#include "framework/base/clock.h"
#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/engine/estimate.h"
#include "framework/engine/memory_forecast.h"

namespace throng::engine {
namespace fs = std::filesystem;
using nlohmann::json;

Plan prepare(const graph::Job& job, comm::Communicator& comm, graph::Faults faults, bool replay, const Choices* choices) {
  graph::Graph graph = graph::build_graph(job, faults);
  // What each source found, or why it could not look.
  json found = json::object();
  if (comm.rank() == 0) {
    for (auto& node : graph.nodes) {
      auto* source = dynamic_cast<graph::SourceOperator*>(node.op.get());
      if (!source) continue;
      try {
        found[node.step.id] = {{"found", source->discover()}};
      } catch (const Error& e) {
        if (e.fault() != Fault::kJob && faults.empty()) {
          Error named = e;
          named.prefix(fmt::format("step '{}' ({}): ", node.step.id, node.step.op));
          throw named;
        }
        found[node.step.id] = {{"fault", fmt::format("step '{}': {}", node.step.id, e.message())}, {"hint", e.hint()}};
      }
    }
  }
  std::string text = found.dump(-1, ' ', false, json::error_handler_t::replace);
  comm.broadcast(text);
  found = json::parse(text);
  for (auto& node : graph.nodes) {
    if (!found.contains(node.step.id)) continue;
    const json& one = found[node.step.id];
    if (one.contains("found")) {
      static_cast<graph::SourceOperator&>(*node.op).adopt(one["found"].get<std::string>());
    } else {
      faults.add(node.step.place, one["fault"].get<std::string>(), one["hint"].get<std::string>());
      node.op.reset();
    }
  }
  graph::bind_schemas(graph, faults, replay);
  faults.throw_if_any();
  std::map<std::string, std::string> discovered;
  for (const auto& [id, one] : found.items()) discovered[id] = one["found"].get<std::string>();
  const Choices chosen = choices ? *choices : choose(job, graph, discovered, comm);
  apply_choices(graph, chosen);
  Plan plan = make_plan(std::move(graph), chosen, replay);
  plan.discovered = std::move(discovered);
  for (const auto& other : comm.allgather(plan.hash()))
    if (other != plan.hash()) throw bug("ranks made different plans: {} and {}", plan.hash(), other);
  return plan;
}

namespace {

uint64_t most_memory(comm::Communicator& comm) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  uint64_t ranks_here = 0;
  for (const auto& other : comm.allgather(host)) ranks_here += other == host;
  return memory_of_rank(ranks_here);
}

// Rank 0. What the run is expected to cost; null where it is not wanted, or most is done already.
json foretell(const graph::Job& job, const Plan& plan, const RunDirectory& directory, const RunOptions& options, int ranks) {
  if (options.resume || plan.replay || !options.estimate) return directory.state().is_object() ? directory.state().value("predicted", json()) : json();
  const bool done = std::all_of(plan.tasks.begin(), plan.tasks.end(), [&](const Task& t) {
    auto record = directory.record(plan.graph.nodes[t.node].step.id);
    return record && record->key == t.key;
  });
  if (done) return directory.state().value("predicted", json());
  const Estimates estimates = estimate(job, plan, Wanted::kBeforeARun);
  if (estimates.steps.empty() && !estimates.trouble.empty()) directory.append_log("no estimate: " + estimates.trouble);
  json predicted = estimates.to_json();
  predicted["memory"] = forecast_memory(plan, estimates, {ranks, options.threads, options.memory_bytes, options.branches}).to_json(plan);
  for (const auto& warning : predicted["memory"]["warnings"]) {
    directory.append_log("warning: " + warning.get<std::string>());
    if (options.warn) options.warn(warning);
  }
  return predicted;
}

void open_directory(const graph::Job& job, const Plan& plan, const RunOptions& options) {
  if (options.resume && !fs::exists(options.out / "job.yaml"))
    throw job_error("{}: holds no run to resume", options.out.string()).with_hint("name the run's directory with --out, or leave --resume out");
  if (fs::exists(options.out) && !fs::is_directory(options.out)) throw job_error("{}: is not a folder", options.out.string());
  if (fs::exists(options.out) && !fs::is_empty(options.out) && !fs::exists(options.out / "job.yaml"))
    throw job_error("{}: holds files, but no run", options.out.string()).with_hint("name an empty folder, or one that does not exist");
  make_folder(options.out / "steps");
  write_file_atomically(options.out / "job.yaml", job.text.empty() ? "# built by a C++ program\n" + plan.graph.canonical() : job.text);
  write_file_atomically(options.out / "plan.txt", plan.text());
  std::error_code ignored;
  fs::remove(options.out / "error.json", ignored);
}

// What state.json tells of a plan.
void describe(const Plan& plan, json& state) {
  json order = json::array();
  for (const auto& t : plan.tasks) order.push_back(plan.graph.nodes[t.node].step.id);
  state["order"] = order;
  // The graph as the report draws it: every step, also those fused into others.
  json graph = json::array();
  for (size_t i = 0; i < plan.graph.nodes.size(); ++i) {
    const auto& n = plan.graph.nodes[i];
    json inputs = json::array();
    for (size_t k : n.inputs) inputs.push_back(plan.graph.nodes[k].step.id);
    graph.push_back({{"id", n.step.id}, {"op", n.step.op}, {"shape", graph::shape_name(n.op->shape())}, {"inputs", inputs}, {"stored", bool(plan.materialised[i])}});
  }
  state["graph"] = graph;
}

void save_under(const fs::path& out, Plan& plan) {
  for (auto& [step, path] : plan.graph.save) path = (out / path).lexically_normal().string();
}

}  // namespace

RunResult run(const graph::Job& job, Plan plan, comm::Communicator& comm, RunOptions options) {
  Stopwatch watch;
  RunResult result;
  graph::check_ranks(plan.graph, comm.size());
  RunDirectory directory(options.out);
  if (comm.rank() == 0) open_directory(job, plan, options);
  save_under(options.out, plan);
  comm.barrier();
  const uint64_t most = most_memory(comm);
  options.memory_bytes = options.memory_bytes == 0 ? most : std::min(most, options.memory_bytes);

  json state{{"job", job.name},       {"state", "running"},     {"ranks", comm.size()}, {"threads", options.threads},
             {"started", utc_text()}, {"pid", int(::getpid())}, {"folder", fs::absolute(job.folder.empty() ? "." : job.folder).lexically_normal().string()},
             {"overrides", job.overrides}, {"seed", job.seed},  {"steps", json::object()}};
  describe(plan, state);
  if (comm.rank() == 0) result.predicted = state["predicted"] = foretell(job, plan, directory, options, comm.size());

  ExecutorOptions executor_options{options.threads, options.memory_bytes, options.spill_quota_bytes, options.resume, options.checkpoint_every, options.learned_from, {}};
  executor_options.exchange = options.exchange;
  executor_options.branches = options.branches;
  Stopwatch since_state;
  std::set<std::string> told;  // as done: a plan made anew finds such steps unchanged
  executor_options.progress = [&](const Progress& p) {
    if (p.finished && !told.insert(p.step).second) return;
    auto& step = state["steps"][p.step];
    step = {{"op", p.op}, {"rows", p.rows}, {"seconds", p.seconds}, {"fraction", p.fraction}, {"text", p.text},
            {"state", p.skipped ? "unchanged" : p.finished ? "done" : "running"}};
    if (p.finished || since_state.seconds() > 1) {
      directory.write_state(state);
      since_state = Stopwatch();
    }
    if (p.finished) directory.append_log(fmt::format("step {} ({}) {}: {} rows in {:.2f} s", p.step, p.op, p.skipped ? "unchanged" : "done", p.rows, p.seconds));
    if (options.progress) options.progress(p);
  };
  if (comm.rank() == 0) {
    directory.write_state(state);
    directory.append_log(fmt::format("run of job {} on {} ranks, {} threads each", job.name, comm.size(), options.threads));
  }

  std::string revised;
  executor_options.go_on = [&](const Task& task) {
    revised = plan.revise(task, [&](size_t node, const std::string& output) {
      return data::DatasetReader(directory.dataset(plan.graph.nodes[node].step.id, output)).manifest().num_rows();
    });
    return revised.empty();
  };
  try {
    for (;;) {
      Executor executor(plan, comm, directory, executor_options);
      const bool finished = executor.run();
      result.steps = executor.records();
      if (finished) break;
      const Choices choices = plan.choices;
      if (comm.rank() == 0) directory.append_log(fmt::format("step {} is a {}", revised, choices.broadcasts.at(revised).text()));
      plan = prepare(job, comm, {}, plan.replay, &choices);
      save_under(options.out, plan);
      describe(plan, state);
      if (comm.rank() == 0) write_file_atomically(options.out / "plan.txt", plan.text());
    }
  } catch (const Error& e) {
    if (comm.rank() == 0 && e.fault() == Fault::kStopped) {
      state["state"] = "stopped", state["stopped_at"] = e.message();
      directory.write_state(state);
      directory.append_log(e.message());
    }
    throw;
  }
  result.plan_text = plan.text();
  result.seconds = watch.seconds(), result.workers = comm.size() * options.threads;
  if (comm.rank() == 0) {
    state["state"] = "done";
    state["seconds"] = result.seconds;
    state["finished"] = utc_text();
    directory.write_state(state);
    directory.append_log(fmt::format("done in {:.2f} s", result.seconds));
  }
  return result;
}

graph::Job job_for_new_events(const graph::Job& job, const std::string& new_events) {
  graph::Job fresh = job;
  fresh.save.clear();
  fresh.steps.clear();
  std::set<std::string> kept;
  size_t num_sources = 0;
  for (graph::Step step : job.steps) {
    const auto* info = graph::registry().find(step.op);
    if (!info) throw job_error("unknown op '{}'", step.op);
    if (info->shape == graph::Shape::kCollective && !(info->replayed && info->replayed(step.params))) continue;
    bool inputs_kept = std::all_of(step.inputs.begin(), step.inputs.end(), [&](const auto& i) { return kept.count(i.step) && i.output.empty(); });
    if (!inputs_kept) continue;
    if (info->shape == graph::Shape::kSource) {
      ++num_sources;
      step.params.set("path", graph::ParamType<std::vector<std::string>>::write({new_events}));
    }
    kept.insert(step.id);
    fresh.steps.push_back(std::move(step));
  }
  if (num_sources != 1) throw job_error("the job has {} sources; new events can stand for one", num_sources);
  return fresh;
}

}  // namespace throng::engine
