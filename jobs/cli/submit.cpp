#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "cluster/launch/background.h"
#include "cluster/launch/look.h"
#include "cluster/launch/slurm.h"
#include "framework/base/clock.h"
#include "framework/base/files.h"
#include "framework/base/units.h"
#include "framework/comm/threads_backend.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/frozen_job.h"
#include "jobs/cli/ranks.h"
#include "jobs/cli/submit_options.h"
#include "jobs/cli/sweep.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using launch::Request;
using launch::State;
using launch::Submission;

void warn(const std::string& text) { std::fprintf(stderr, "throng: warning: %s\n", text.c_str()); }

std::string unique_name(const std::string& job) {
  std::string name;
  for (const char c : job.substr(0, 40)) name += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ? c : '-';
  std::random_device random;
  return fmt::format("throng-{}-{:08x}", name, random());
}

void check_path(const fs::path& run) {
  for (const char c : run.string())
    if (static_cast<unsigned char>(c) < 32 || c == 127) throw job_error("the run directory's name has a control character: {}", nlohmann::json(run.string()).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)).with_hint("name another with --out");
}

// The job of each run, checked, with the words that `throng run` gets.
struct Planned {
  graph::Job job;
  FrozenJob frozen;
  fs::path run;
  std::vector<std::string> words;
};

std::vector<Planned> plan_all(const SubmitOptions& options, const Request& request) {
  const auto sets = options.array ? sweep_of(options.job.set) : std::vector<std::vector<std::string>>{options.job.set};
  if (options.array && sets.size() < 2) throw job_error("--array: no --set has several values").with_hint("for example --array --set model.lr=0.1,0.01,0.001");
  std::vector<Planned> all(sets.size());
  for (size_t k = 0; k < sets.size(); ++k) {
    JobOptions one = options.job;
    one.set = sets[k];
    Planned& planned = all[k];
    comm::run_on_threads(1, [&](comm::Communicator& comm) {
      graph::Faults faults;
      planned.job = one.read(faults);
      const fs::path out = fs::weakly_canonical(fs::absolute(options.out.empty() ? fs::path(options.root) / planned.job.name : fs::path(options.out)));
      planned.run = options.array ? out / std::to_string(k + 1) : out;
      if (!options.after.empty()) {  // what it reads may not be there yet
        const auto graph = graph::build_graph(planned.job, faults);
        faults.throw_if_any();
        planned.frozen = freeze(planned.job, graph, planned.run);
        return;
      }
      const auto plan = engine::prepare(planned.job, comm, std::move(faults));
      if (request.hostfile.empty() && request.hosts.find(':') == std::string::npos) graph::check_ranks(plan.graph, request.num_ranks());
      planned.frozen = freeze(planned.job, plan.graph, planned.run);
      if (k != 0 || !options.engine.estimate) return;
      for (const auto& text : compare_with_plan(planned.job, plan, options, request)) warn(text);
    });
    for (const auto& one_set : sets[k]) planned.words.insert(planned.words.end(), {"--set", one_set});
    for (const auto& override : planned.frozen.overrides) planned.words.insert(planned.words.end(), {"--set", override});
    for (const auto& plugin : one.plugins) planned.words.insert(planned.words.end(), {"--plugin", fs::absolute(plugin).string()});
    if (one.seed_given) planned.words.insert(planned.words.end(), {"--seed", std::to_string(one.seed)});
    if (!options.hang_timeout.empty()) planned.words.insert(planned.words.end(), {"--hang-timeout", options.hang_timeout});
    for (const auto& word : options.engine.words()) planned.words.push_back(word);
  }
  return all;
}

void refuse_if_under_way(const fs::path& run) {
  if (!Submission::read(run)) return;
  const auto there = launch::look(run);
  if (!launch::is_over(there.state))
    throw job_error("{}: is {} already{}", run.string(), state_name(there.state), (there.submission.request.launcher == "slurm" ? ", as Slurm job " + there.submission.id : "") + (there.detail.empty() ? "" : " (" + there.detail + ")"))
        .with_hint("end it with 'throng cancel', or name another folder with --out");
}

std::string shape_of(const Request& r) {
  if (!r.hostfile.empty()) return "the slots of " + r.hostfile;
  if (r.hosts.find(':') != r.hosts.npos) return "ranks on " + r.hosts;
  return r.launcher == "local" ? fmt::format("{} rank{} x {} thread{}", r.ranks_per_node, r.ranks_per_node == 1 ? "" : "s", r.threads, r.threads == 1 ? "" : "s")
                               : fmt::format("{} node{} x {} rank{} x {} thread{}", r.nodes, r.nodes == 1 ? "" : "s", r.ranks_per_node, r.ranks_per_node == 1 ? "" : "s", r.threads, r.threads == 1 ? "" : "s");
}

void print_dry(const Submission& s, const std::vector<fs::path>& runs, const fs::path& folder, int at_once) {
  if (s.request.launcher == "slurm") return void(std::printf("%s", launch::batch_script(s, runs, folder, program_path(), at_once).c_str()));
  for (const auto& run : runs) std::printf("%s allocation --name %s %s\n", program_path().c_str(), s.name.c_str(), run.c_str());
}

int submit(const SubmitOptions& options) {
  const bool again = fs::is_directory(options.job.job);
  std::vector<Planned> planned;
  std::optional<Submission> before;
  if (again) {
    before = Submission::read(options.job.job);
    if (!before) throw job_error("{}: holds no submission", options.job.job).with_hint("'throng run " + options.job.job + " --resume' goes on with a run; 'throng submit JOB.yaml' submits one");
    for (const char* flag : {"--set", "--seed", "--plugin", "--array", "--out", "--new"})
      if (options.given(flag)) throw job_error("{} is of a run that begins; {} goes on as it was", flag, options.job.job).with_hint("submit the job file for another run");
  }
  Request request = request_of(options, before ? std::optional(before->request) : std::nullopt);
  if (again && !before->allocations.empty()) request.after = request.after_id = "";  // it has begun: what came first is done
  resolve_after(options, request);
  if (again) {
    planned.resize(1);
    planned[0].run = before->run, planned[0].job.name = before->job, planned[0].words = words_again(options, before->request.run);
  } else {
    planned = plan_all(options, request);
  }
  std::vector<fs::path> runs;
  for (const auto& one : planned) check_path(one.run), runs.push_back(one.run);
  const fs::path folder = options.array ? runs[0].parent_path() : runs[0];
  const bool slurm = request.launcher == "slurm";
  std::vector<Submission> all(planned.size());
  const std::string name = unique_name(planned[0].job.name);
  for (size_t k = 0; k < planned.size(); ++k) {
    Submission& s = all[k];
    if (again) s = *before;
    s.name = name, s.run = runs[k], s.job = planned[k].job.name, s.request = request, s.request.run = planned[k].words;
    s.state = State::kQueued, s.id = "", s.submitted = utc_text(), s.requeues = 0, s.reason = s.hint = "", s.code = 0;
    s.allocations.clear();
    if (slurm) s.script = (folder / "submission.sh").string();
  }
  if (options.dry_run) return print_dry(all[0], runs, folder, options.at_once), 0;
  for (const auto& run : runs) refuse_if_under_way(run);
  for (const auto& one : planned)
    for (const auto& text : one.frozen.warnings) warn(text);

  std::string id;
  try {
    for (size_t k = 0; k < planned.size(); ++k) {
      const auto there = Submission::read(runs[k]);
      if (there && options.only_new) throw job_error("{}: a run was submitted here before", runs[k].string()).with_hint("without --new it is submitted again");
      if (there && !launch::is_over(there->state)) refuse_if_under_way(runs[k]);
      make_folder(runs[k]);
      all[k].put(there);  // of two commands at once, one goes on from here
      launch::forget_cancel(runs[k]);
      if (!again) planned[k].frozen.write(planned[k].job, runs[k]);
    }
    if (options.array) {
      nlohmann::json sweep = nlohmann::json::array();
      for (size_t k = 0; k < planned.size(); ++k) sweep.push_back({{"run", std::to_string(k + 1)}, {"set", planned[k].job.overrides}});
      write_file_atomically(folder / "sweep.json", sweep.dump(1));
    }
    if (slurm) {
      write_file_atomically(all[0].script, launch::batch_script(all[0], runs, folder, program_path(), options.at_once));
      id = launch::submit_to_slurm(all[0].script, name);
    } else {
      id = launch::start_in_background(runs, name, program_path());
    }
  } catch (const Error& e) {
    // A job of which sbatch gave no answer may have begun all the same, and then it says so here.
    bool begun = false;
    for (const auto& run : runs) {
      if (const auto there = Submission::read(run); !there || there->name != name) continue;  // not come to, or another's
      Submission::update(run, [&](Submission& s) {
        if (!s.allocations.empty()) id = s.id, begun = true;
        else s.state = State::kFailed, s.reason = e.message(), s.hint = e.hint(), s.code = e.exit_code();
      });
    }
    if (!begun) throw;
    if (runs.size() > 1) id = id.substr(0, id.find('_'));
  }
  for (size_t k = 0; k < runs.size(); ++k)
    Submission::update(runs[k], [&](Submission& s) {
      if (s.name == name && s.id.empty()) s.id = slurm && runs.size() > 1 ? fmt::format("{}_{}", id, k + 1) : id;  // the run may have begun
    });

  if (options.json) return std::printf("%s\n", nlohmann::json{{"id", id}, {"name", name}, {"launcher", request.launcher}, {"run", folder.string()}, {"runs", [&] { std::vector<std::string> v; for (auto& r : runs) v.push_back(r.string()); return v; }()}}.dump(1).c_str()), 0;
  const std::string count = runs.size() > 1 ? fmt::format(", {} runs", runs.size()) : "";
  if (slurm) std::printf("submitted '%s' to Slurm as job %s (%s%s%s)\n", all[0].job.c_str(), id.c_str(), shape_of(request).c_str(), request.seconds > 0 ? (", " + format_duration_of(request.seconds)).c_str() : "", count.c_str());
  else std::printf("started '%s' in the background (%s%s)\n", all[0].job.c_str(), shape_of(request).c_str(), count.c_str());
  const std::string shown = fs::proximate(folder).string();
  std::printf("  run     %s\n  watch   throng status %s    throng logs -f %s%s\n", shown.c_str(), shown.c_str(), shown.c_str(), runs.size() > 1 ? "/1" : "");
  return 0;
}

}  // namespace

void add_submit(CLI::App& app, Action& action) {
  auto options = std::make_shared<SubmitOptions>();
  auto* command = app.add_subcommand("submit", "Hand a job to this machine's background, to other hosts or to Slurm, and return");
  options->add_to(*command);
  command->footer(
      "A run that the limit stops gets another allocation and goes on, until it is done or nothing new was kept in two of them.\n"
      "Examples:\n"
      "  throng submit job.yaml --on slurm --nodes 4 -n 32 -t 2 --time 2h -p batch -A project\n"
      "  throng submit job.yaml --on slurm --array --set model.lr=0.1,0.01,0.001\n"
      "  throng submit runs/job                      go on with a run that has ended, as it was submitted\n"
      "  throng submit report.yaml --after runs/job  when that one is done");
  command->callback([options, &action] { action = [options] { return submit(*options); }; });
}

}  // namespace throng::cli
