#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "framework/base/units.h"
#include "framework/data/dataset.h"
#include "framework/data/row_text.h"
#include "framework/data/text_input.h"
#include "jobs/cli/commands.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;

std::string format_of(std::string path) {
  for (const char* packed : {".gz", ".zst"})
    if (path.ends_with(packed)) path = path.substr(0, path.size() - std::string_view(packed).size());
  std::string e = fs::path(path).extension().string();
  return e.empty() ? "" : e.substr(1);
}

void export_text(const data::DatasetReader& reader, const fs::path& to, bool csv) {
  data::TextOutput out(to);
  if (csv) out.write(data::header_as_csv(reader.schema()) + "\n");
  std::string block;
  for (int64_t p = 0; p < reader.num_partitions(); ++p) {
    auto batch = reader.read(p);
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      block += (csv ? data::row_as_csv(batch, r) : data::row_as_json(batch, r)) + "\n";
      if (block.size() > (1 << 16)) out.write(block), block.clear();
    }
  }
  out.write(block);
  out.close();
}

int export_dataset(const std::string& from, const std::string& to) {
  data::DatasetReader reader(from);
  std::string format = format_of(to);
  if (format != "csv" && format != "jsonl" && format != "h5")
    throw job_error("--to is '{}'; expected a name ending in .csv, .jsonl or .h5 (.csv.gz, .jsonl.zst ...)", to);
  fs::path target = to, partial = target.parent_path() / fmt::format(".partial{}-{}", ::getpid(), target.filename().string());
  try {
    if (format == "h5") data::write_single_file(reader, partial);
    else export_text(reader, partial, format == "csv");
    std::error_code code;
    fs::rename(partial, target, code);
    if (code) throw system_error("{}: cannot be written: {}", to, code.message());
  } catch (...) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw;
  }
  std::printf("%s: %s rows\n", to.c_str(), format_count(uint64_t(reader.manifest().num_rows())).c_str());
  return 0;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  struct Options {
    std::string from, to;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("export", "Write a dataset to one CSV, JSONL or HDF5 file");
  command->add_option("PATH", options->from, "dataset folder")->required();
  command->add_option("--to", options->to, "file to write; its ending says the format: .csv .jsonl .h5, and .gz or .zst after text formats")->required();
  command->footer("Example:\n  throng export runs/quickstart/steps/trends/data --to trends.csv.gz");
  command->callback([options, &action] { action = [options] { return export_dataset(options->from, options->to); }; });
}

}  // namespace throng::cli
