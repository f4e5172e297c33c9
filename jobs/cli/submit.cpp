#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "cluster/launch/background.h"
#include "cluster/launch/local.h"
#include "cluster/launch/look.h"
#include "cluster/launch/slurm.h"
#include "framework/base/files.h"
#include "framework/base/units.h"
#include "framework/comm/threads_backend.h"
#include "framework/engine/estimate.h"
#include "framework/engine/memory_forecast.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/engine_options.h"
#include "jobs/cli/frozen_job.h"
#include "jobs/cli/job_options.h"
#include "jobs/cli/ranks.h"
#include "jobs/cli/sweep.h"
#include "jobs/spec/site_profile.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using launch::Request;
using launch::State;
using launch::Submission;

struct Options {
  JobOptions job;
  EngineOptions engine;
  Request request;
  std::string out, time, memory_of_node, signal_before, site, after, root = "runs", hang_timeout;
  int at_once = 0;
  bool array = false, dry_run = false, json = false;
  CLI::App* command = nullptr;
  bool given(const char* flag) const { return command->count(flag) > 0; }
};

void warn(const std::string& text) { std::fprintf(stderr, "throng: warning: %s\n", text.c_str()); }

std::string unique_name(const std::string& job) {
  std::string name;
  for (const char c : job.substr(0, 40)) name += std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' ? c : '-';
  std::random_device random;
  return fmt::format("throng-{}-{:08x}", name, random());
}

std::string time_text(double seconds) { return format_duration({int64_t(seconds * 1e6)}); }

int num_hosts(const std::string& hosts) { return 1 + int(std::count(hosts.begin(), hosts.end(), ',')); }

// What the command line says over what `before` says: the request of an earlier submission of the run, or none.
Request request_of(const Options& options, const std::optional<Request>& before) {
  Request r = before.value_or(Request{});
  const Request& said = options.request;
  auto take = [&](const char* flag, auto Request::*member) {
    if (!before || options.given(flag)) r.*member = said.*member;
  };
  take("--on", &Request::launcher), take("--nodes", &Request::nodes), take("--ranks-per-node", &Request::ranks_per_node), take("--threads", &Request::threads);
  take("--hosts", &Request::hosts), take("--hostfile", &Request::hostfile), take("--mpi-args", &Request::mpi_args), take("--max-requeues", &Request::max_requeues);
  if (options.given("--time")) r.seconds = seconds_of("--time", options.time, 60);
  if (options.given("--memory-per-node")) r.memory_of_node = bytes_of("--memory-per-node", options.memory_of_node);
  if (options.given("--signal-before")) r.signal_seconds = int(seconds_of("--signal-before", options.signal_before, 1));
  if (!before || options.given("--site"))
    if (const std::string path = options.given("--site") ? options.site : spec::default_site(); !path.empty()) r.site = spec::read_site(path);
  take("--partition", &Request::partition), take("--account", &Request::account), take("--qos", &Request::qos);
  if (options.given("--hosts")) r.hostfile = "";
  if (options.given("--hostfile")) r.hosts = "";

  const bool slurm = r.launcher == "slurm", hosts = r.launcher == "hosts";
  auto only = [&](bool right, const char* flag, const char* launcher) {
    if (!right && options.given(flag)) throw job_error("{} is for --on {}, but the run is submitted --on {}", flag, launcher, r.launcher);
  };
  for (const char* flag : {"--nodes", "--time", "--memory-per-node", "--signal-before", "--partition", "--account", "--qos", "--max-requeues", "--at-once"}) only(slurm, flag, "slurm");
  for (const char* flag : {"--hosts", "--hostfile"}) only(hosts, flag, "hosts");
  if (!slurm) r.nodes = 1;
  if (!hosts) r.hosts = r.hostfile = "";
  if (hosts && r.hosts.empty() == r.hostfile.empty()) throw job_error("--on hosts needs --hosts or --hostfile").with_hint("for example --hosts a,b --ranks-per-node 4");
  if (!r.hosts.empty()) r.nodes = num_hosts(r.hosts);
  if (!r.hostfile.empty()) r.hostfile = fs::absolute(r.hostfile).string();
  if (slurm && r.seconds > 0 && r.signal_seconds >= r.seconds)
    throw job_error("the ranks would be told to stop {} before the end of {}", time_text(r.signal_seconds), time_text(r.seconds)).with_hint("give a shorter --signal-before, or a longer --time");
  return r;
}

// What must be done first: as said now, or when the run was submitted before.
void resolve_after(const Options& options, Request& request) {
  const std::string after = !options.after.empty() ? options.after : request.after;
  if (after.empty()) return;
  request.after = request.after_id = "";
  fs::path run;
  try {
    run = launch::find_submission(after, options.root);
  } catch (const Error&) {
    if (request.launcher != "slurm" || after.find_first_not_of("0123456789") != after.npos) throw;
    request.after_id = after;  // a Slurm job of another kind
    return;
  }
  const auto first = launch::look(run);
  if (first.state == State::kFailed || first.state == State::kCancelled || first.state == State::kStopped)
    throw job_error("--after {}: that run is {}", after, state_name(first.state)).with_hint("submit it again first: throng submit " + run.string());
  request.after = fs::canonical(run).string();
  if (request.launcher == "slurm" && first.state != State::kDone) {
    if (first.submission.request.launcher != "slurm") throw job_error("--after {}: that run is not Slurm's, so that Slurm cannot wait for it", after);
    request.after_id = first.submission.id;
  }
}

// Faults that would else be told when the run's turn has come.
void check_early(const Options& options, const Request& request) {
  engine::RunOptions unused;
  options.engine.apply(unused);
  if (!options.hang_timeout.empty()) seconds_of("--hang-timeout", options.hang_timeout, 1);
  if (!request.hosts.empty()) launch::hosts_with_slots(request.hosts, request.num_ranks());
  launch::check_mpi_args(request.mpi_args), launch::check_mpi_args(request.site.mpi_args);
  auto plain = [](const char* what, const std::string& text) {
    if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; })) throw job_error("{} has a control character: {}", what, nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  };
  const auto& site = request.site;
  for (const auto& [what, text] : {std::pair{"--partition", request.partition}, {"--account", request.account}, {"--qos", request.qos}, {"partition of the site profile", site.partition}, {"account of the site profile", site.account},
                                   {"qos of the site profile", site.qos}, {"constraint of the site profile", site.constraint}, {"this program's path", program_path()}})
    plain(what, text);
  for (const auto& one : site.directives) plain("a directive of the site profile", one);
  for (const auto& one : site.modules) plain("a module of the site profile", one);
}

void check_path(const fs::path& run) {
  for (const char c : run.string())
    if (static_cast<unsigned char>(c) < 32 || c == 127) throw job_error("the run directory's name has a control character: {}", nlohmann::json(run.string()).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)).with_hint("name another with --out");
}

// The words of an earlier submission, with what is said anew.
std::vector<std::string> words_again(const Options& options, std::vector<std::string> words) {
  const std::vector<std::pair<std::string, std::string>> engine{{"--memory", options.engine.memory},       {"--spill-quota", options.engine.spill_quota},          {"--checkpoint-every", options.engine.checkpoint_every},
                                                                {"--exchange", options.engine.exchange}, {"--branches", std::to_string(options.engine.branches)}, {"--hang-timeout", options.hang_timeout}};
  for (const auto& [flag, value] : engine) {
    if (!options.given(flag.c_str())) continue;
    for (size_t k = 0; k + 1 < words.size();) {
      if (words[k] == "--set" || words[k] != flag) {
        k += words[k] == "--no-estimate" ? 1 : 2;  // all others have a value
        continue;
      }
      words.erase(words.begin() + long(k), words.begin() + long(k) + 2);
    }
    words.insert(words.end(), {flag, value});
  }
  if (!options.engine.estimate && std::find(words.begin(), words.end(), "--no-estimate") == words.end()) words.push_back("--no-estimate");
  return words;
}

// What is asked for beside what the plan foresees.
void compare(const graph::Job& job, const engine::Plan& plan, const Options& options, const Request& request) {
  const bool known_memory = request.memory_of_node > 0 || request.launcher == "local";
  uint64_t budget = request.memory_of_node > 0 ? uint64_t(0.8 * double(request.memory_of_node) / request.ranks_per_node) : engine::memory_of_rank(uint64_t(request.ranks_per_node));
  if (!options.engine.memory.empty()) budget = std::min(budget, bytes_of("--memory", options.engine.memory));
  const auto estimates = engine::estimate(job, plan, engine::Wanted::kBeforeARun);
  if (known_memory) {
    const auto memory = engine::forecast_memory(plan, estimates, {request.num_ranks(), request.threads, budget, options.engine.branches});
    for (const auto& text : memory.warnings) warn(text);
    const double of_node = memory.peak() * request.ranks_per_node;
    if (request.memory_of_node > 0 && of_node > double(request.memory_of_node))
      warn(fmt::format("the plan foresees {} on a node, but {} are asked for; ask for --memory-per-node {}MiB, or fewer --ranks-per-node", format_bytes(uint64_t(of_node)), format_bytes(request.memory_of_node),
                       int64_t(std::ceil(of_node * 1.25 / (1 << 20)))));
  }
  if (request.seconds <= 0) return;
  if (!estimates.trouble.empty()) return warn("the time cannot be foretold: " + estimates.trouble);
  double seconds = estimates.seconds();
  if (seconds < 0) return;
  seconds /= request.num_ranks() * request.threads;
  const double usable = request.seconds - request.signal_seconds;
  if (seconds > usable) {
    const auto allocations = int64_t(std::ceil(seconds / usable));
    warn(fmt::format("the plan foresees {} on {} workers, but an allocation leaves {}: about {} of them; ask for --time {}m to need one{}", format_seconds(seconds), request.num_ranks() * request.threads, format_seconds(usable), allocations,
                     int64_t(std::ceil((seconds * 1.25 + request.signal_seconds) / 60)), allocations > request.max_requeues + 1 ? fmt::format("; --max-requeues is only {}", request.max_requeues) : ""));
  }
}

// The job of each run, checked, with the words that `throng run` gets.
struct Planned {
  graph::Job job;
  FrozenJob frozen;
  fs::path run;
  std::vector<std::string> words;
};

std::vector<Planned> plan_all(const Options& options, const Request& request) {
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
      if (k == 0 && options.engine.estimate) compare(planned.job, plan, options, request);
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

int submit(const Options& options) {
  const bool again = fs::is_directory(options.job.job);
  std::vector<Planned> planned;
  std::optional<Submission> before;
  if (again) {
    before = Submission::read(options.job.job);
    if (!before) throw job_error("{}: holds no submission", options.job.job).with_hint("'throng run " + options.job.job + " --resume' goes on with a run; 'throng submit JOB.yaml' submits one");
    for (const char* flag : {"--set", "--seed", "--plugin", "--array", "--out"})
      if (options.given(flag)) throw job_error("{} is of a run that begins; {} goes on as it was", flag, options.job.job).with_hint("submit the job file for another run");
  }
  Request request = request_of(options, before ? std::optional(before->request) : std::nullopt);
  if (again && !before->allocations.empty()) request.after = request.after_id = "";  // it has begun: what came first is done
  check_early(options, request);
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
    s.state = State::kQueued, s.id = "", s.submitted = launch::utc_text(), s.requeues = 0, s.reason = s.hint = "", s.code = 0;
    s.allocations.clear();
    if (slurm) s.script = (folder / "submission.sh").string();
  }
  if (options.dry_run) return print_dry(all[0], runs, folder, options.at_once), 0;
  for (const auto& run : runs) refuse_if_under_way(run);
  for (const auto& one : planned)
    for (const auto& text : one.frozen.warnings) warn(text);

  for (size_t k = 0; k < planned.size(); ++k) {
    const auto there = Submission::read(runs[k]);
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
  std::string id;
  try {
    if (slurm) {
      write_file_atomically(all[0].script, launch::batch_script(all[0], runs, folder, program_path(), options.at_once));
      id = launch::submit_to_slurm(all[0].script, name);
    } else {
      id = launch::start_in_background(runs, name, program_path());
    }
  } catch (const Error& e) {
    // A job of which sbatch gave no answer may have begun all the same, and then it says so here.
    bool begun = false;
    for (const auto& run : runs)
      Submission::update(run, [&](Submission& s) {
        if (s.name != name) return;
        if (!s.allocations.empty()) id = s.id, begun = true;
        else s.state = State::kFailed, s.reason = e.message(), s.hint = e.hint(), s.code = e.exit_code();
      });
    if (!begun) throw;
    if (runs.size() > 1) id = id.substr(0, id.find('_'));
  }
  for (size_t k = 0; k < runs.size(); ++k)
    Submission::update(runs[k], [&](Submission& s) {
      if (s.name == name && s.id.empty()) s.id = slurm && runs.size() > 1 ? fmt::format("{}_{}", id, k + 1) : id;  // the run may have begun
    });

  if (options.json) return std::printf("%s\n", nlohmann::json{{"id", id}, {"name", name}, {"launcher", request.launcher}, {"run", folder.string()}, {"runs", [&] { std::vector<std::string> v; for (auto& r : runs) v.push_back(r.string()); return v; }()}}.dump(1).c_str()), 0;
  const std::string count = runs.size() > 1 ? fmt::format(", {} runs", runs.size()) : "";
  if (slurm) std::printf("submitted '%s' to Slurm as job %s (%s%s%s)\n", all[0].job.c_str(), id.c_str(), shape_of(request).c_str(), request.seconds > 0 ? (", " + time_text(request.seconds)).c_str() : "", count.c_str());
  else std::printf("started '%s' in the background (%s%s)\n", all[0].job.c_str(), shape_of(request).c_str(), count.c_str());
  const std::string shown = fs::proximate(folder).string();
  std::printf("  run     %s\n  watch   throng status %s%s    throng logs -f %s%s\n", shown.c_str(), shown.c_str(), runs.size() > 1 ? "/1" : "", shown.c_str(), runs.size() > 1 ? "/1" : "");
  return 0;
}

}  // namespace

void add_submit(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("submit", "Hand a job to this machine's background, to other hosts or to Slurm, and return");
  options->command = command;
  options->job.add_to(*command);
  Request& r = options->request;
  command->add_option("--on", r.launcher, "local: this machine (default); hosts: mpirun over several; slurm: sbatch")->check(CLI::IsMember({"local", "hosts", "slurm"}));
  command->add_option("--nodes", r.nodes, "nodes of an allocation (default 1)")->check(CLI::Range(1, 100000));
  command->add_option("-n,--ranks-per-node", r.ranks_per_node, "MPI ranks on each node (default 1)")->check(CLI::Range(1, 4096));
  command->add_option("-t,--threads", r.threads, "worker threads of each rank (default 1)")->check(CLI::Range(1, 1024));
  command->add_option("--time", options->time, "wall-clock limit of one allocation, such as 2h (default: the partition's)");
  command->add_option("--memory-per-node", options->memory_of_node, "asked of Slurm, such as 64GiB (default: the partition's)");
  command->add_option("-p,--partition", r.partition, "Slurm's partition");
  command->add_option("-A,--account", r.account, "Slurm's account");
  command->add_option("--qos", r.qos, "Slurm's quality of service");
  command->add_option("--site", options->site, "site profile, YAML (default: $THRONG_SITE, ~/.config/throng/site.yaml, /etc/throng/site.yaml)");
  command->add_option("--hosts", r.hosts, "hosts to run on, such as a,b, or a:2,b:4 with the ranks on each; rank 0 is on the first");
  command->add_option("--hostfile", r.hostfile, "mpirun's file of hosts, a line 'HOST slots=N' each")->excludes("--hosts")->check(CLI::ExistingFile);
  command->add_option("--mpi-args", r.mpi_args, "further arguments of mpirun or srun, such as \"--mca btl_tcp_if_include eth0\"");
  command->add_option("--signal-before", options->signal_before, "how long before the limit the ranks are told to stop at a checkpoint (default 5m)");
  command->add_option("--max-requeues", r.max_requeues, "how often a run that was stopped by the limit may have another allocation (default 20)")->check(CLI::Range(0, 100000));
  command->add_option("--after", options->after, "start when that run is done: its run directory or name, or the id of a Slurm job");
  command->add_flag("--array", options->array, "a run for each value: --set step.param=a,b,c; with several, for all combinations");
  command->add_option("--at-once", options->at_once, "runs of an array that may go on at the same time (default: all)")->check(CLI::Range(1, 100000));
  command->add_option("-o,--out", options->out, "run directory (default runs/<job>; an array has one folder in it for each run)");
  command->add_option("--hang-timeout", options->hang_timeout, "end when a host was silent for so long (default 60s; 0: no heartbeats)");
  options->engine.add_to(*command);
  command->add_flag("--dry-run", options->dry_run, "print the batch script, and submit nothing");
  command->add_flag("--json", options->json, "print what was submitted as JSON");
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
