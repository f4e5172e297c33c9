#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "framework/base/units.h"
#include "framework/engine/estimate.h"
#include "framework/engine/run.h"
#include "framework/engine/run_report.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/engine_options.h"
#include "jobs/cli/job_options.h"
#include "jobs/cli/ranks.h"

namespace throng::cli {
namespace {

struct Options {
  JobOptions job;
  RankOptions ranks;
  EngineOptions engine;
  std::string out;
  bool resume = false, json = false;
};

void print_result(const engine::RunResult& result, const Options& options, const std::string& out) {
  if (options.json) {
    nlohmann::json steps = nlohmann::json::array();
    for (const auto& s : result.steps) {
      steps.push_back(s.to_json());
      steps.back()["predicted"] = engine::predicted_of(result.predicted, s.id, result.workers);
    }
    std::printf("%s\n", nlohmann::json{{"run", out}, {"seconds", result.seconds}, {"steps", steps}}.dump(1).c_str());
    return;
  }
  std::printf("\n");
  for (const auto& sentence : engine::report_sentences(out)) std::printf("  %s\n", sentence.c_str());
  std::printf("\ndone in %s; report: %s\n", format_seconds(result.seconds).c_str(), (std::filesystem::path(out) / "report.html").c_str());
}

int run(const Options& options, const std::vector<std::string>& arguments) {
  return run_on_ranks(options.ranks, arguments, [&](comm::Communicator& comm) {
    graph::Faults faults;
    graph::Job job = options.job.read(faults);
    engine::RunOptions run_options;
    run_options.out = !options.out.empty()                                ? options.out
                      : std::filesystem::is_directory(options.job.job) ? options.job.job
                                                                          : (std::filesystem::path("runs") / job.name).string();
    note_run_directory(run_options.out);
    run_options.threads = options.ranks.threads;
    run_options.resume = options.resume;
    options.engine.apply(run_options);
    run_options.progress = progress_lines(options.json);
    run_options.warn = [](const std::string& text) { std::fprintf(stderr, "throng: warning: %s\n", text.c_str()); };
    auto plan = engine::prepare(job, comm, std::move(faults));
    auto result = engine::run(job, std::move(plan), comm, run_options);
    if (comm.rank() == 0) {
      engine::write_report(run_options.out);
      print_result(result, options, run_options.out.string());
    }
  });
}

}  // namespace

void add_run(CLI::App& app, Action& action, const std::vector<std::string>& arguments) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("run", "Run a job; finished steps that did not change are kept");
  options->job.add_to(*command);
  options->ranks.add_to(*command);
  options->ranks.add_threads_to(*command);
  command->add_option("-o,--out", options->out, "run directory (default runs/<job>)");
  options->engine.add_to(*command);
  command->add_flag("--resume", options->resume, "go on with a run that was stopped or killed, from its last checkpoint");
  command->add_flag("--json", options->json, "print the result as JSON instead of progress");
  command->footer(
      "Examples:\n"
      "  throng run job.yaml -n 4 --out out/today\n"
      "  throng run job.yaml --set next.epochs=5 --set topics.k=30\n"
      "  throng run out/today --resume -n 2      go on with a stopped run, on another number of ranks\n"
      "  throng run job.yaml -n 8 --hosts a,b    four ranks on each of two hosts; the folders are shared between them");
  command->callback([options, &action, arguments] { action = [options, arguments] { return run(*options, arguments); }; });
}

}  // namespace throng::cli
