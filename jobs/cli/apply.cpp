#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "framework/base/units.h"
#include "framework/engine/run.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/job_options.h"
#include "jobs/cli/ranks.h"

namespace throng::cli {
namespace {

struct Options {
  std::string run, events, out;
  std::vector<std::string> plugins;
  RankOptions ranks;
  bool json = false;
};

int apply_events(const Options& options, const std::vector<std::string>& arguments) {
  namespace fs = std::filesystem;
  return run_on_ranks(options.ranks, arguments, [&](comm::Communicator& comm) {
    for (const auto& p : options.plugins) graph::load_plugin(p);
    graph::Faults faults;
    graph::Job job = job_of_run(options.run, faults);
    faults.throw_if_any();
    auto state = engine::RunDirectory(options.run).state();
    if (!state.is_object() || state.value("state", "") != "done")
      throw job_error("{}: the run is not finished, so there is nothing frozen to apply", options.run).with_hint("finish it with 'throng run " + options.run + " --resume'");
    // The new file is named from where the user stands, not from the job's folder.
    graph::Job fresh = engine::job_for_new_events(job, fs::absolute(options.events).string());
    auto plan = engine::prepare(fresh, comm, graph::Faults(), true);
    engine::RunOptions run_options;
    run_options.out = options.out.empty() ? fs::path(options.run) / "applied" / fs::path(options.events).filename() : fs::path(options.out);
    note_run_directory(run_options.out);
    run_options.threads = options.ranks.threads;
    run_options.learned_from = options.run;
    run_options.progress = progress_lines(options.json);
    auto result = engine::run(fresh, std::move(plan), comm, run_options);
    if (comm.rank() != 0) return;
    nlohmann::json counts = nlohmann::json::object(), steps = nlohmann::json::array();
    for (const auto& s : result.steps) {
      steps.push_back(s.to_json());
      for (const auto& [id, node] : s.nodes.items())
        for (const auto& [name, count] : node["counters"].items())
          if (name.starts_with("unseen") || name.starts_with("unknown")) counts[id][name] = count;
    }
    if (options.json) {
      std::printf("%s\n", nlohmann::json{{"run", run_options.out.string()}, {"unseen", counts}, {"steps", steps}}.dump(1).c_str());
      return;
    }
    for (const auto& [id, named] : counts.items())
      for (const auto& [name, count] : named.items()) std::printf("%s: %s %s\n", id.c_str(), format_count(count.get<uint64_t>()).c_str(), name.c_str());
    std::printf("results: %s/steps/STEP/data\n", run_options.out.c_str());
  });
}

}  // namespace

void add_apply(CLI::App& app, Action& action, const std::vector<std::string>& arguments) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("apply", "Run new events through a finished run's frozen chain: nothing is learned anew");
  command->add_option("RUN", options->run, "finished run directory")->required();
  command->add_option("NEW_EVENTS", options->events, "file, folder or glob of the same format as the job's")->required();
  options->ranks.add_to(*command);
  options->ranks.add_threads_to(*command);
  command->add_option("-o,--out", options->out, "run directory of the results (default RUN/applied/FILE)");
  command->add_option("--plugin", options->plugins, "shared library with operators of your own")->expected(1)->allow_extra_args(false)->take_all();
  command->add_flag("--json", options->json, "print the result as JSON");
  command->footer("Example:\n  throng apply runs/quickstart today.jsonl");
  command->callback([options, &action, arguments] { action = [options, arguments] { return apply_events(*options, arguments); }; });
}

}  // namespace throng::cli
