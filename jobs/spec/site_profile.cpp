#include "jobs/spec/site_profile.h"

#include <cstdlib>
#include <filesystem>

#include "framework/graph/params.h"
#include "jobs/spec/yaml_job.h"

namespace throng::spec {
namespace {

struct SiteParams : launch::Site {
  static constexpr auto kOp = "site profile";
  static auto fields() {
    using S = SiteParams;
    return graph::fields(graph::field("partition", &S::partition, "where --partition is not given"), graph::field("account", &S::account, "where --account is not given"),
                         graph::field("qos", &S::qos, "where --qos is not given"), graph::field("constraint", &S::constraint, "features that nodes must have"),
                         graph::field("directives", &S::directives, "further ones of sbatch, such as --exclusive"),
                         graph::field("leave_out", &S::leave_out, "directives that this site refuses")
                             .one_of({"job-name", "nodes", "ntasks-per-node", "cpus-per-task", "time", "mem", "partition", "account", "qos", "constraint", "signal", "requeue", "open-mode", "output"}),
                         graph::field("modules", &S::modules, "of module load"), graph::field("environment", &S::environment, "variables of the job"),
                         graph::field("setup", &S::setup, "shell lines before the run"), graph::field("start", &S::start, "what starts the ranks").one_of({"mpirun", "srun"}),
                         graph::field("mpi", &S::mpi, "of srun --mpi"), graph::field("mpi_args", &S::mpi_args, "further words for mpirun or srun"),
                         graph::field("requeue", &S::requeue, "how a run gets another allocation: requeue: the same job; dependent: another one; never: the run stays stopped")
                             .one_of({"requeue", "dependent", "never"}));
  }
};

}  // namespace

launch::Site read_site(const std::string& path) {
  graph::Faults faults;
  const graph::Value tree = read_yaml(path, faults);
  if (tree.kind != graph::Value::Kind::kMap && faults.empty()) faults.add({path, 0, 0}, "a site profile is a mapping", "such as {partition: short, modules: [openmpi]}");
  const SiteParams params = graph::read_params<SiteParams>(tree, tree.place, faults);
  faults.throw_if_any();
  return params;
}

std::string default_site() {
  if (const char* named = std::getenv("THRONG_SITE"); named && *named) return named;
  const char* home = std::getenv("HOME");
  if (home)
    if (const auto path = std::filesystem::path(home) / ".config/throng/site.yaml"; std::filesystem::exists(path)) return path.string();
  if (std::filesystem::exists("/etc/throng/site.yaml")) return "/etc/throng/site.yaml";
  return "";
}

}  // namespace throng::spec
