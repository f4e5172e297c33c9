#include "jobs/cli/submit_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cluster/launch/local.h"
#include "cluster/launch/look.h"
#include "framework/base/units.h"
#include "framework/engine/estimate.h"
#include "framework/engine/memory_forecast.h"
#include "jobs/cli/ranks.h"
#include "jobs/spec/site_profile.h"

namespace throng::cli {

namespace fs = std::filesystem;
using launch::Request;
using launch::State;

namespace {

int num_hosts(const std::string& hosts) { return 1 + int(std::count(hosts.begin(), hosts.end(), ',')); }

void check(const SubmitOptions& options, const Request& request) {
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

}  // namespace

void SubmitOptions::add_to(CLI::App& app) {
  command = &app;
  job.add_to(app);
  launch::Request& r = request;
  app.add_option("--on", r.launcher, "local: this machine (default); hosts: mpirun over several; slurm: sbatch")->check(CLI::IsMember({"local", "hosts", "slurm"}));
  app.add_option("--nodes", r.nodes, "nodes of an allocation (default 1)")->check(CLI::Range(1, 100000));
  app.add_option("-n,--ranks-per-node", r.ranks_per_node, "MPI ranks on each node (default 1)")->check(CLI::Range(1, 4096));
  app.add_option("-t,--threads", r.threads, "worker threads of each rank (default 1)")->check(CLI::Range(1, 1024));
  app.add_option("--time", time, "wall-clock limit of one allocation, such as 2h (default: the partition's)");
  app.add_option("--memory-per-node", memory_of_node, "asked of Slurm, such as 64GiB (default: the partition's)");
  app.add_option("-p,--partition", r.partition, "Slurm's partition");
  app.add_option("-A,--account", r.account, "Slurm's account");
  app.add_option("--qos", r.qos, "Slurm's quality of service");
  app.add_option("--site", site, "site profile, YAML (default: $THRONG_SITE, ~/.config/throng/site.yaml, /etc/throng/site.yaml)");
  add_host_flags(app, r.hosts, r.hostfile, r.mpi_args, hang_timeout);
  app.add_option("--signal-before", signal_before, "how long before the limit the ranks are told to stop at a checkpoint (default 5m)");
  app.add_option("--max-requeues", r.max_requeues, "how often a run that was stopped by the limit may have another allocation (default 20)")->check(CLI::Range(0, 100000));
  app.add_option("--after", after, "start when that run is done: its run directory or name, or the id of a Slurm job");
  app.add_flag("--array", array, "a run for each value: --set step.param=a,b,c; with several, for all combinations");
  app.add_option("--at-once", at_once, "runs of an array that may go on at the same time (default: all)")->check(CLI::Range(1, 100000));
  app.add_option("-o,--out", out, "run directory (default runs/<job>; an array has one folder in it for each run)");
  engine.add_to(app);
  app.add_flag("--dry-run", dry_run, "print the batch script, and submit nothing");
  app.add_flag("--new", only_new, "refuse a folder in which a run was submitted before, which else is submitted again where it has ended");
  app.add_flag("--json", json, "print what was submitted as JSON");
}

bool SubmitOptions::given(const char* flag) const { return command->count(flag) > 0; }

Request request_of(const SubmitOptions& options, const std::optional<Request>& before) {
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
  if (options.given("--at-once") && !options.array) throw job_error("--at-once is for --array").with_hint("--array makes a run of each value of --set step.param=a,b,c");
  if (!slurm) r.nodes = 1;
  if (!hosts) r.hosts = r.hostfile = "";
  if (hosts && r.hosts.empty() == r.hostfile.empty()) throw job_error("--on hosts needs --hosts or --hostfile").with_hint("for example --hosts a,b --ranks-per-node 4");
  if (!r.hosts.empty()) r.nodes = num_hosts(r.hosts);
  if (!r.hostfile.empty()) r.hostfile = fs::absolute(r.hostfile).string();
  if (slurm && r.seconds > 0 && r.signal_seconds >= r.seconds)
    throw job_error("the ranks would be told to stop {} before the end of {}", format_duration_of(double(r.signal_seconds)), format_duration_of(r.seconds)).with_hint("give a shorter --signal-before, or a longer --time");
  check(options, r);
  return r;
}

void resolve_after(const SubmitOptions& options, Request& request) {
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

std::vector<std::string> words_again(const SubmitOptions& options, std::vector<std::string> words) {
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

std::vector<std::string> compare_with_plan(const graph::Job& job, const engine::Plan& plan, const SubmitOptions& options, const Request& request) {
  std::vector<std::string> lines;
  const bool known_memory = request.memory_of_node > 0 || request.launcher == "local";
  uint64_t budget = request.memory_of_node > 0 ? uint64_t(0.8 * double(request.memory_of_node) / request.ranks_per_node) : engine::memory_of_rank(uint64_t(request.ranks_per_node));
  if (!options.engine.memory.empty()) budget = std::min(budget, bytes_of("--memory", options.engine.memory));
  const auto estimates = engine::estimate(job, plan, engine::Wanted::kBeforeARun);
  if (known_memory) {
    const auto memory = engine::forecast_memory(plan, estimates, {request.num_ranks(), request.threads, budget, options.engine.branches});
    lines = memory.warnings;
    const double of_node = memory.peak() * request.ranks_per_node;
    if (request.memory_of_node > 0 && of_node > double(request.memory_of_node))
      lines.push_back(fmt::format("the plan foresees {} on a node, but {} are asked for; ask for --memory-per-node {}MiB, or fewer --ranks-per-node", format_bytes(uint64_t(of_node)), format_bytes(request.memory_of_node),
                       int64_t(std::ceil(of_node * 1.25 / (1 << 20)))));
  }
  if (request.seconds <= 0) return lines;
  if (!estimates.trouble.empty()) lines.push_back("the time cannot be foretold: " + estimates.trouble);
  double seconds = estimates.seconds();
  if (!estimates.trouble.empty() || seconds < 0) return lines;
  seconds /= request.num_ranks() * request.threads;
  const double usable = request.seconds - request.signal_seconds;
  if (seconds > usable) {
    const auto allocations = int64_t(std::ceil(seconds / usable));
    lines.push_back(fmt::format("the plan foresees {} on {} workers, but an allocation leaves {}: about {} of them; ask for --time {}m to need one{}", format_seconds(seconds), request.num_ranks() * request.threads, format_seconds(usable), allocations,
                     int64_t(std::ceil((seconds * 1.25 + request.signal_seconds) / 60)), allocations > request.max_requeues + 1 ? fmt::format("; --max-requeues is only {}", request.max_requeues) : ""));
  }
  return lines;
}

}  // namespace throng::cli
