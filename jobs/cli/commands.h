// The verbs of the command line: each adds itself to the parser; one file per verb.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace throng::cli {

/// Sets what to do when the verb was given; the function returns the exit code.
using Action = std::function<int()>;

void add_init(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action, const std::vector<std::string>& arguments);
void add_plan(CLI::App& app, Action& action);
void add_operators(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action, const std::vector<std::string>& arguments);
void add_report(CLI::App& app, Action& action);
void add_reproduce(CLI::App& app, Action& action, const std::vector<std::string>& arguments);
void add_submit(CLI::App& app, Action& action);
void add_jobs(CLI::App& app, Action& action);
void add_status(CLI::App& app, Action& action);
void add_logs(CLI::App& app, Action& action);
void add_cancel(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_allocation(CLI::App& app, Action& action);
void add_apply(CLI::App& app, Action& action, const std::vector<std::string>& arguments);

/// The whole program: parses, acts, prints one error, returns the exit code.
int main(int argc, char** argv);

}  // namespace throng::cli
