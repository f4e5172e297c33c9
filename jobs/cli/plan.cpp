#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "framework/comm/threads_backend.h"
#include "framework/engine/estimate.h"
#include "framework/engine/memory_forecast.h"
#include "framework/engine/run.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/job_options.h"

namespace throng::cli {

namespace {

struct Options {
  JobOptions job;
  int ranks = 1, threads = 1;
  std::string memory;
  bool json = false, dot = false, estimate = true;
};

void print_plan(const Options& options, comm::Communicator& comm) {
  graph::Faults faults;
  graph::Job job = options.job.read(faults);
  engine::Plan plan = engine::prepare(job, comm, std::move(faults));
  graph::check_ranks(plan.graph, options.ranks);
  if (options.dot) return void(std::printf("%s", plan.dot().c_str()));
  engine::Estimates estimates;
  if (options.estimate) estimates = engine::estimate(job, plan);
  const uint64_t most = engine::memory_of_rank(uint64_t(options.ranks)), budget = options.memory.empty() ? most : std::min(most, bytes_of("--memory", options.memory));
  const auto memory = engine::forecast_memory(plan, estimates, {options.ranks, options.threads, budget, engine::kDefaultBranches});
  if (options.json) {
    nlohmann::json steps = nlohmann::json::array();
    for (size_t i = 0; i < plan.graph.nodes.size(); ++i) {
      const auto& n = plan.graph.nodes[i];
      nlohmann::json inputs = nlohmann::json::array();
      for (size_t k : n.inputs) inputs.push_back(plan.graph.nodes[k].step.id);
      steps.push_back({{"id", n.step.id}, {"op", n.step.op}, {"shape", graph::shape_name(n.op->shape())}, {"inputs", inputs}, {"stored", bool(plan.materialised[i])}, {"columns", plan.needed[i]}});
    }
    std::printf("%s\n", nlohmann::json{{"job", job.name}, {"seed", job.seed}, {"steps", steps}, {"stages", plan.text()}, {"estimates", estimates.to_json()}, {"memory", memory.to_json(plan)}}.dump(1).c_str());
    return;
  }
  std::printf("%s", plan.text().c_str());
  if (options.estimate) std::printf("\n%s\n%s", estimates.text(plan, options.ranks * options.threads).c_str(), memory.text(plan).c_str());
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("plan", "Check a job, show its stages and what they will cost, without running it");
  options->job.add_to(*command);
  command->add_option("-n,--ranks", options->ranks, "MPI ranks that the times are for (default 1)")->check(CLI::Range(1, 100000));
  command->add_option("-t,--threads", options->threads, "worker threads of each rank that the times are for (default 1)")->check(CLI::Range(1, 1024));
  command->add_option("--memory", options->memory, "memory budget of each rank, such as 4GiB (default, and most: 0.8 of this host's limit, shared by the ranks)");
  command->add_flag("!--no-estimate", options->estimate, "stages only: no trial on samples but those that choose between join strategies");
  command->add_flag("--json", options->json, "print as JSON; times are for one worker");
  command->add_flag("--dot", options->dot, "print the graph for Graphviz: stored steps in bold, exchanges named by their key");
  command->footer("Examples:\n  throng plan job.yaml\n  throng plan job.yaml --dot | dot -Tsvg -o plan.svg\n  throng plan job.yaml -n 8 -t 4 --memory 2GiB --set next.epochs=5");
  command->callback([options, &action] {
    action = [options] {
      comm::run_on_threads(1, [&](comm::Communicator& comm) { print_plan(*options, comm); });
      return 0;
    };
  });
}

}  // namespace throng::cli
