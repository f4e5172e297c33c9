#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "framework/base/suggest.h"
#include "framework/data/aggregation.h"
#include "framework/data/expression.h"
#include "framework/graph/registry.h"
#include "jobs/cli/commands.h"

namespace throng::cli {
namespace {

std::string choices_of(const graph::FieldInfo& f) {
  return f.choices.empty() ? f.type : fmt::format("{}", fmt::join(f.choices, " | "));
}

std::string inputs_of(const graph::OperatorInfo& info) {
  if (info.max_inputs == 0) return "none";
  return info.min_inputs == info.max_inputs ? std::to_string(info.min_inputs) : fmt::format("{} to {}", info.min_inputs, info.max_inputs);
}

void print_one(const graph::OperatorInfo& info) {
  std::printf("%s: %s\n  shape %s, inputs %s%s\n\n", info.name.c_str(), info.summary.c_str(), std::string(graph::shape_name(info.shape)).c_str(),
              inputs_of(info).c_str(), info.learns ? ", learns from training rows" : "");
  for (const auto& f : info.fields)
    std::printf("  %-18s %s\n  %-18s %s\n", f.name.c_str(), f.doc.c_str(), "",
                f.required ? (choices_of(f) + ", required").c_str() : fmt::format("{}, default {}", choices_of(f), f.default_text).c_str());
}

nlohmann::json to_json(const graph::OperatorInfo& info) {
  nlohmann::json fields = nlohmann::json::array();
  for (const auto& f : info.fields)
    fields.push_back({{"name", f.name}, {"type", f.type}, {"default", f.default_text}, {"doc", f.doc}, {"choices", f.choices}, {"required", f.required}});
  return {{"name", info.name}, {"summary", info.summary}, {"shape", graph::shape_name(info.shape)}, {"inputs", inputs_of(info)}, {"learns", info.learns}, {"parameters", fields}};
}

std::string cell(std::string text) {
  std::string out;
  for (char c : text) out += c == '|' ? "\\|" : std::string(1, c);
  return out;
}

// The reference page, operators/README.md.
void print_reference() {
  std::printf("# Operators\n\nOne folder per operator. This page is made from the parameter structs by `throng operators --reference`; a test keeps it current.\n\n");
  std::printf("| operator | shape | what it does |\n|---|---|---|\n");
  const auto& registry = graph::registry();
  for (const auto& name : registry.names()) {
    const auto& info = *registry.find(name);
    std::printf("| [`%s`](#%s) | %s%s | %s |\n", name.c_str(), name.c_str(), std::string(graph::shape_name(info.shape)).c_str(), info.learns ? ", learns" : "", cell(info.summary).c_str());
  }
  for (const auto& name : registry.names()) {
    const auto& info = *registry.find(name);
    std::printf("\n## %s\n\n%s. Shape: %s; inputs: %s.%s\n\n| parameter | values | default | meaning |\n|---|---|---|---|\n", name.c_str(), cell(info.summary).c_str(),
                std::string(graph::shape_name(info.shape)).c_str(), inputs_of(info).c_str(), info.learns ? " Fits on rows that are not held out; `throng apply` replays it." : "");
    for (const auto& f : info.fields)
      std::printf("| `%s` | %s | %s | %s |\n", f.name.c_str(), cell(choices_of(f)).c_str(), f.required ? "required" : cell("`" + f.default_text + "`").c_str(), cell(f.doc).c_str());
  }
  std::printf("\n## Expressions\n\nUsed by `filter`, `derive`, `select`, `clean` and `aggregate`. Operators: `+ - * / // %%`, `== != < <= > >=`, `and or not`, `is null`, `in (..)`, `between`, `like` and `ilike` (`%%` and `_`), `case when`, `cast(x as type)` (an error where it does not fit), `try_cast` (null); regular expressions by functions. Text in quotes, columns with odd names in backquotes.\n\n| function | meaning |\n|---|---|\n");
  for (const auto& [signature, meaning] : data::Expression::functions()) std::printf("| `%s` | %s |\n", signature.c_str(), cell(meaning).c_str());
  std::printf("\n## Aggregate functions\n\nUsed by `aggregate`; arguments are expressions; nulls are left out.\n\n| function | meaning |\n|---|---|\n");
  for (const auto& [signature, meaning] : data::Aggregate::functions()) std::printf("| `%s` | %s |\n", signature.c_str(), cell(meaning).c_str());
}

}  // namespace

void add_operators(CLI::App& app, Action& action) {
  struct Options {
    std::string name;
    std::vector<std::string> plugins;
    bool json = false, reference = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("operators", "List the operators, or show one with its parameters");
  command->add_option("NAME", options->name, "operator to show");
  command->add_option("--plugin", options->plugins, "shared library with operators of your own")->expected(1)->allow_extra_args(false)->take_all();
  command->add_flag("--json", options->json, "as JSON");
  command->add_flag("--reference", options->reference, "the reference page, as Markdown");
  command->footer("Examples:\n  throng operators\n  throng operators tokenize");
  command->callback([options, &action] {
    action = [options] {
      for (const auto& p : options->plugins) graph::load_plugin(p);
      const auto& registry = graph::registry();
      if (options->reference) return print_reference(), 0;
      if (!options->name.empty()) {
        const auto* info = registry.find(options->name);
        if (!info) throw job_error("no operator '{}'", options->name).with_hint(suggest(options->name, registry.names()));
        if (options->json) std::printf("%s\n", to_json(*info).dump(1).c_str());
        else print_one(*info);
        return 0;
      }
      nlohmann::json all = nlohmann::json::array();
      for (const auto& name : registry.names()) {
        const auto& info = *registry.find(name);
        if (options->json) all.push_back(to_json(info));
        else std::printf("%-16s %-11s %s\n", name.c_str(), std::string(graph::shape_name(info.shape)).c_str(), info.summary.c_str());
      }
      if (options->json) std::printf("%s\n", all.dump(1).c_str());
      return 0;
    };
  });
}

}  // namespace throng::cli
