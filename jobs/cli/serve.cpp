#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cluster/service/gateway.h"
#include "framework/base/error.h"
#include "framework/base/stop_signal.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/job_options.h"
#include "jobs/cli/ranks.h"
#include "jobs/spec/site_profile.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  service::GatewayOptions gateway;
  std::string root = "runs", body = "4MiB";
  uint16_t port = 8470;
};

struct UserOptions {
  std::string root = "runs", name, role = "submitter";
};

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

int serve(const Options& given) {
  service::GatewayOptions options = given.gateway;
  options.runs.root = given.root, options.runs.program = program_path();
  options.http.port = given.port, options.http.most_body_bytes = bytes_of("--most-body", given.body);
  if (options.http.certificate.empty() != options.http.key.empty()) throw job_error("--certificate and --key go together");
  for (auto& root : options.runs.data_roots) root = fs::canonical(root).string();
  if (!options.runs.site.empty()) options.runs.site = fs::absolute(options.runs.site).string(), spec::read_site(options.runs.site);
  if (!is_loopback(options.http.address) && options.http.certificate.empty())
    throw job_error("--address {} is reached from other machines, and tokens would be sent in the open", options.http.address).with_hint("give --certificate and --key, or stay at 127.0.0.1 behind a tunnel: ssh -L 8470:127.0.0.1:8470 HOST");
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) files.rlim_cur = files.rlim_max, ::setrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_NOFILE, &files);
  options.http.most_connections = std::min(options.http.most_connections, size_t(files.rlim_cur / 2));  // the rest is for files
  catch_stop_signals();
  const service::Gateway gateway(std::move(options));
  const std::string address = given.gateway.http.address.find(':') == std::string::npos ? given.gateway.http.address : "[" + given.gateway.http.address + "]";
  std::printf("serving %s at %s://%s:%d/\n", fs::proximate(given.root).c_str(), given.gateway.http.certificate.empty() ? "http" : "https", address.c_str(), gateway.port());
  if (!gateway.new_token_file().empty()) std::printf("the token of 'admin' is in %s\n", gateway.new_token_file().c_str());
  std::fflush(stdout);
  while (!stop_wished()) ::usleep(100000);
  std::printf("ended; runs that were handed over go on\n");
  return 0;
}

int put_user(const UserOptions& o) {
  std::printf("%s\n", service::open_store(o.root)->put_user(o.name, *service::role_of(o.role)).c_str());
  return 0;
}

int remove_user(const UserOptions& o) {
  if (!service::open_store(o.root)->remove_user(o.name)) throw job_error("there is no user '{}'", o.name).with_hint("'throng serve users' lists them");
  return 0;
}

int list_users(const UserOptions& o) {
  for (const auto& user : service::open_store(o.root)->users()) std::printf("%-20s  %-9s  since %s\n", user.name.c_str(), role_name(user.role).c_str(), user.created.c_str());
  return 0;
}

}  // namespace

void add_serve(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("serve", "Let people submit and watch runs over HTTP: a page, and an API");
  auto& http = options->gateway.http;
  auto& runs = options->gateway.runs;
  command->add_option("ROOT", options->root, "folder of the runs (default runs)");
  command->add_option("--address", http.address, "address to listen on (default 127.0.0.1; others need a certificate)");
  command->add_option("--port", options->port, "port to listen on; 0: any free one (default 8470)");
  command->add_option("--certificate", http.certificate, "PEM file of a certificate, with its chain: HTTPS")->check(CLI::ExistingFile);
  command->add_option("--key", http.key, "PEM file of its key")->check(CLI::ExistingFile);
  command->add_option("--data-root", runs.data_roots, "folder that submitted jobs may read, besides earlier runs; relative paths begin at the first (may be repeated)")->expected(1)->allow_extra_args(false)->take_all()->check(CLI::ExistingDirectory);
  command->add_option("--launcher", runs.launchers, "what runs may be submitted to: local, slurm (may be repeated, the first is the default one; default local)")->expected(1)->allow_extra_args(false)->take_all()->check(CLI::IsMember({"local", "slurm"}));
  command->add_option("--site", runs.site, "site profile of Slurm")->check(CLI::ExistingFile);
  command->add_option("--at-once", runs.at_once, "runs on this machine at the same time; others wait (default 1)")->check(CLI::Range(1, 10000));
  command->add_option("--most-workers", runs.most_workers, "ranks times threads of a run on this machine, at most (default: its processors)")->check(CLI::Range(1, 4096));
  command->add_option("--most-body", options->body, "bytes of a request, at most (default 4MiB)");
  command->add_option("--most-connections", http.most_connections, "open connections, at most (default 2000)")->check(CLI::Range(1, 1000000));
  command->require_subcommand(0, 1);
  command->footer(
      "The first start makes the user 'admin', and says where the token is.\n"
      "Examples:\n"
      "  throng serve --data-root /data\n"
      "  throng serve runs --launcher slurm --launcher local\n"
      "  throng serve user ada --role submitter      makes a user, or gives a new token, and prints it\n"
      "  throng serve users");
  command->callback([options, command, &action] {
    if (command->get_subcommands().empty()) action = [options] { return serve(*options); };
  });

  auto user = std::make_shared<UserOptions>();
  auto* put = command->add_subcommand("user", "Make a user, or give one a new token and role; prints the token");
  put->add_option("NAME", user->name, "the user's name")->required();
  put->add_option("--role", user->role, "viewer: looks; submitter: submits, and sees to its own runs (default); admin: sees to all runs and to users")->check(CLI::IsMember({"viewer", "submitter", "admin"}));
  put->add_option("--runs", user->root, "folder of the runs (default runs)");
  put->callback([user, &action] { action = [user] { return put_user(*user); }; });
  auto* remove = command->add_subcommand("remove-user", "Take a user's access away");
  remove->add_option("NAME", user->name, "the user's name")->required();
  remove->add_option("--runs", user->root, "folder of the runs (default runs)");
  remove->callback([user, &action] { action = [user] { return remove_user(*user); }; });
  auto* list = command->add_subcommand("users", "List the users");
  list->add_option("--runs", user->root, "folder of the runs (default runs)");
  list->callback([user, &action] { action = [user] { return list_users(*user); }; });
}

}  // namespace throng::cli
