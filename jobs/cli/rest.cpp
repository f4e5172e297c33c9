#include "jobs/cli/commands.h"
namespace throng::cli {
void add_init(CLI::App&, Action&) {}
void add_operators(CLI::App&, Action&) {}
void add_inspect(CLI::App&, Action&) {}
void add_generate(CLI::App&, Action&) {}
void add_export(CLI::App&, Action&) {}
void add_report(CLI::App&, Action&) {}
void add_apply(CLI::App&, Action&, const std::vector<std::string>&) {}
}
