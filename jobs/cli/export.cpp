#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "framework/base/units.h"
#include "framework/data/dataset_export.h"
#include "framework/data/row_text.h"
#include "framework/data/text_input.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/ranks.h"

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

struct Options {
  std::string from, to;
  RankOptions ranks;
};

// Collective.
void write_export(const Options& options, const std::string& format, comm::Communicator& comm) {
  data::DatasetReader reader(options.from);
  fs::path target = options.to;
  std::string partial = (target.parent_path() / fmt::format(".partial{}-{}", ::getpid(), target.filename().string())).string();
  comm.broadcast(partial);
  try {
    if (format == "h5") data::write_single_file(reader, comm, partial);
    else export_text(reader, partial, format == "csv");
  } catch (...) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw;
  }
  if (comm.rank() != 0) return;
  std::error_code code;
  fs::rename(partial, target, code);
  if (code) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw system_error("{}: cannot be written: {}", options.to, code.message());
  }
  std::printf("%s: %s rows\n", options.to.c_str(), format_count(uint64_t(reader.manifest().num_rows())).c_str());
}

int export_dataset(const Options& options, const std::vector<std::string>& arguments) {
  std::string format = format_of(options.to);
  if (format != "csv" && format != "jsonl" && format != "h5")
    throw job_error("--to is '{}'; expected a name ending in .csv, .jsonl or .h5 (.csv.gz, .jsonl.zst ...)", options.to);
  if (format != "h5" && !(options.ranks.hosts + options.ranks.hostfile).empty()) throw job_error("a {} file is written by one rank, on this host", format);
  if (format != "h5" && options.ranks.num_ranks > 1)
    throw job_error("--ranks is {}, but a {} file is written by one", options.ranks.num_ranks, format).with_hint("several ranks write one file together as .h5");
  return run_on_ranks(options.ranks, arguments, [&](comm::Communicator& comm) { write_export(options, format, comm); });
}

}  // namespace

void add_export(CLI::App& app, Action& action, const std::vector<std::string>& arguments) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("export", "Write a dataset to one CSV, JSONL or HDF5 file");
  command->add_option("PATH", options->from, "dataset folder")->required();
  command->add_option("--to", options->to, "file to write; its ending says the format: .csv .jsonl .h5, and .gz or .zst after text formats")->required();
  options->ranks.add_to(*command);
  command->footer("Examples:\n  throng export runs/quickstart/steps/trends/data --to trends.csv.gz\n  throng export runs/quickstart/steps/events/data --to events.h5 -n 4");
  command->callback([options, &action, arguments] { action = [options, arguments] { return export_dataset(*options, arguments); }; });
}

}  // namespace throng::cli
