// What `status`, `jobs` and `cancel` share: which run is meant, and an outlook in words or JSON.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cluster/launch/look.h"

namespace CLI {
class App;
}

namespace throng::cli {

struct NamedRun {
  std::string name, root = "runs";
  bool json = false;

  void add_to(CLI::App& command);
};

/// "Slurm job 4711", "hosts", "this machine".
std::string place_of(const launch::Outlook& o);
nlohmann::json json_of(const launch::Outlook& o);

}  // namespace throng::cli
