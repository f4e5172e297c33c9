#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/launch/local.h"
#include "framework/base/files.h"
#include "framework/base/suggest.h"
#include "framework/base/units.h"
#include "framework/engine/run.h"
#include "framework/engine/run_directory.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/ranks.h"
#include "jobs/spec/recipe.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kNotReached = 1;

struct Options {
  std::string name, data, out;
  std::vector<std::string> set;
  int seeds = 0;
  RankOptions ranks;
  bool json = false, show = false;
};

std::string text_of(const std::string& name) {
  if (name.ends_with(".yaml")) {
    if (!fs::exists(name)) throw job_error("{}: no such recipe file", name);
    return read_file(name);
  }
  std::vector<std::string> names;
  for (const auto& file : spec::recipe_files()) {
    if (file.name == name) return std::string(file.text);
    names.emplace_back(file.name);
  }
  throw job_error("no recipe '{}'", name).with_hint(suggest(name, names).empty() ? "'throng reproduce' lists them" : suggest(name, names));
}

int list_recipes() {
  size_t widest = 0;
  for (const auto& file : spec::recipe_files()) widest = std::max(widest, file.name.size());
  for (const auto& file : spec::recipe_files()) {
    graph::Faults faults;
    const auto recipe = spec::parse_recipe(std::string(file.text), std::string(file.name), faults);
    faults.throw_if_any();
    std::printf("%-*s  %s\n%*s  on %s\n", int(widest), file.name.data(), recipe.title.c_str(), int(widest), "", recipe.data.c_str());
  }
  std::printf("\nthrong reproduce NAME --data FILE runs one; --show prints it\n");
  return 0;
}

/// What one run came to.
struct Outcome {
  std::string label;
  std::vector<double> values;  // by figure
  double seconds = 0;
};

double value_at(const engine::RunDirectory& run, const spec::Figure& figure) {
  const auto record = run.record(figure.step);
  if (!record) throw job_error("figure '{}': the run has no step '{}'", figure.name, figure.step);
  json at = record->metrics.value("result", json::object());
  std::string path = figure.value;
  for (size_t from = 0; from <= path.size();) {
    const size_t dot = std::min(path.find('.', from), path.size());
    const std::string key = path.substr(from, dot - from);
    if (!at.is_object() || !at.contains(key)) throw job_error("figure '{}': the result of step '{}' has no '{}'", figure.name, figure.step, path);
    at = json(at[key]), from = dot + 1;
  }
  if (!at.is_number()) throw job_error("figure '{}': '{}' in the result of step '{}' is no number", figure.name, path, figure.step);
  return at.get<double>();
}

// Figures: published, mean, each run. True where all are reached.
bool report(const spec::Recipe& recipe, const std::vector<Outcome>& outcomes, const Options& options) {
  bool all = true;
  json figures = json::object();
  size_t widest = 6;
  for (const auto& f : recipe.figures) widest = std::max(widest, f.name.size());
  std::string table = fmt::format("  {:<{}}  {:>9}  {:>9}  {:<12}  each run\n", "figure", widest, "published", "mean", "");
  for (size_t i = 0; i < recipe.figures.size(); ++i) {
    const auto& f = recipe.figures[i];
    double sum = 0;
    std::string each;
    json values = json::object();
    for (const auto& o : outcomes) sum += o.values[i], each += fmt::format("{}{:.4f}", each.empty() ? "" : " ", o.values[i]), values[o.label] = o.values[i];
    const double mean = sum / double(outcomes.size());
    const bool reached = f.reached(mean);
    all = all && reached;
    figures[f.name] = {{"published", f.published}, {"mean", mean}, {"within", f.within}, {"better", f.better}, {"reached", reached}, {"runs", values}};
    table += fmt::format("  {:<{}}  {:>9.4f}  {:>9.4f}  {:<12}  {}{}\n", f.name, widest, f.published, mean, reached ? "reached" : "NOT REACHED", each, f.within > 0 ? fmt::format("  (allowed: {})", f.within) : "");
  }
  double seconds = 0;
  std::string labels;
  for (const auto& o : outcomes) seconds += o.seconds, labels += (labels.empty() ? "" : ", ") + o.label;
  if (options.json) {
    std::printf("%s\n", json{{"recipe", options.name}, {"title", recipe.title}, {"source", recipe.source}, {"protocol", recipe.protocol}, {"data", options.data}, {"figures", figures}, {"seconds", seconds}, {"reached", all}}.dump(1).c_str());
  } else {
    std::printf("\n%s\n  source    %s\n  protocol  %s\n  data      %s\n  runs      %s, in %s\n\n%s", recipe.title.c_str(), recipe.source.c_str(), recipe.protocol.c_str(), options.data.c_str(), labels.c_str(),
                format_seconds(seconds).c_str(), table.c_str());
  }
  return all;
}

int reproduce(const Options& options, const std::vector<std::string>& arguments) {
  if (options.name.empty()) return list_recipes();
  const std::string text = text_of(options.name);
  if (options.show) return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : int(Fault::kSystem);
  graph::Faults faults;
  const auto recipe = spec::parse_recipe(text, options.name, faults);
  faults.throw_if_any();
  if (options.data.empty()) throw job_error("recipe '{}' needs --data", options.name).with_hint("its data: " + recipe.data);
  if (!fs::is_regular_file(options.data)) throw data_error("{}: {}", options.data, fs::exists(options.data) ? "not a file" : "no such file").with_hint("the recipe's data: " + recipe.data);
  bool reached = true;
  const int code = run_on_ranks(options.ranks, arguments, [&](comm::Communicator& comm) {
    const fs::path out = options.out.empty() ? fs::path("runs") / "reproduce" / fs::path(options.name).stem() : fs::path(options.out);
    std::vector<Outcome> outcomes;
    const std::vector<std::string> variations = recipe.vary.empty() ? std::vector<std::string>{""} : recipe.vary;
    for (int seed = 1; seed <= (options.seeds > 0 ? options.seeds : recipe.seeds); ++seed)
      for (const auto& variation : variations) {
        Outcome outcome{fmt::format("seed {}", seed) + (variation.empty() ? "" : " (" + variation + ")"), {}, 0};
        graph::Faults found;
        const graph::Job job = recipe.job(fs::absolute(options.data).string(), uint64_t(seed), variation, options.set, found);
        engine::RunOptions run_options;
        run_options.out = out / (fmt::format("seed{}", seed) + (variation.empty() ? "" : "-" + variation));
        note_run_directory(run_options.out);
        run_options.threads = options.ranks.threads;
        run_options.resume = fs::exists(run_options.out / "job.yaml");  // what a run that was stopped has done is kept
        run_options.progress = progress_lines(options.json);
        if (comm.rank() == 0 && !options.json) std::printf("%s\n", outcome.label.c_str());
        auto plan = engine::prepare(job, comm, std::move(found));
        outcome.seconds = engine::run(job, std::move(plan), comm, run_options).seconds;
        if (comm.rank() == 0)
          for (const auto& f : recipe.figures) outcome.values.push_back(value_at(engine::RunDirectory(run_options.out), f));
        outcomes.push_back(std::move(outcome));
      }
    // Under a launcher of ours all ranks end well, and it is told the code.
    if (comm.rank() == 0) reached = report(recipe, outcomes, options) || launch::report_code(kNotReached);
  });
  return code != 0 ? code : reached ? 0 : kNotReached;
}

}  // namespace

void add_reproduce(CLI::App& app, Action& action, const std::vector<std::string>& arguments) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("reproduce", "Run a published experiment and compare its figures; without a name, list what there is");
  command->add_option("RECIPE", options->name, "name of a recipe, or a recipe file (.yaml)");
  command->add_option("--data", options->data, "the experiment's data, or another file of the same format");
  command->add_option("--seeds", options->seeds, "runs, with seeds from 1 (default: the recipe's)")->check(CLI::Range(1, 1000));
  command->add_option("--set", options->set, "step.param=value: overrides a parameter (may be repeated)")->take_all()->expected(1)->allow_extra_args(false);
  options->ranks.add_to(*command);
  options->ranks.add_threads_to(*command);
  command->add_option("-o,--out", options->out, "folder of the runs (default runs/reproduce/RECIPE); finished ones are kept");
  command->add_flag("--show", options->show, "print the recipe's file");
  command->add_flag("--json", options->json, "print the figures as JSON");
  command->footer(
      "Exit code 1: a figure was not reached. What a run that was stopped had done is kept: run the same command again.\n"
      "Examples:\n"
      "  throng reproduce\n"
      "  throng reproduce sasrec_lastfm --data LastFM.txt -n 2");
  command->callback([options, &action, arguments] { action = [options, arguments] { return reproduce(*options, arguments); }; });
}

}  // namespace throng::cli
