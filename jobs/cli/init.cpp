#include <CLI/CLI.hpp>
#include "jobs/cli/commands.h"
namespace throng::cli { void add_init(CLI::App&, std::function<int()>&) {} }
