#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "framework/base/units.h"
#include "framework/data/array_store.h"
#include "framework/data/dataset.h"
#include "framework/data/row_text.h"
#include "framework/engine/run_directory.h"
#include "jobs/cli/commands.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Nulls, least and greatest value of each column, and how many of its pieces are codes of a dictionary.
json column_statistics(const data::Manifest& m) {
  json all = json::array();
  for (size_t c = 0; c < m.schema.size(); ++c) {
    data::ColumnRange range;
    int64_t nulls = 0, coded = 0;
    uint64_t largest = 0;
    bool first = true;
    for (const auto& partition : m.partitions)
      for (const auto& piece : partition.pieces) {
        const auto& place = piece.columns[c];
        nulls += place.null_count;
        if (place.codes) ++coded, largest = std::max(largest, place.codes->dictionary_size);
        if (place.null_count == piece.num_rows) continue;
        if (first) range = place.range;
        else range.merge(place.range);
        first = false;
      }
    json one{{"name", m.schema[c].name}, {"nulls", nulls}, {"range", range.to_json()}};
    if (coded > 0) one["dictionary"] = {{"pieces", coded}, {"most_strings", largest}};
    all.push_back(std::move(one));
  }
  return all;
}

// One end of a column's range, as rows show it.
std::string shown(const data::Field& field, const json& value) {
  data::Column c(field.type);
  if (field.type == data::Type::kTimestamp) c.append(value.get<int64_t>());
  else return value.dump();
  const json row = json::parse(data::row_as_json(data::Batch(data::Schema{field}, {c}), 0));
  return row.begin().value().get<std::string>();
}

uint64_t bytes_on_disk(const fs::path& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

json describe_dataset(const fs::path& folder) {
  data::DatasetReader reader(folder);
  const auto& m = reader.manifest();
  return {{"kind", "dataset"},          {"path", folder.string()},           {"rows", m.num_rows()},
          {"bytes", m.num_bytes()},     {"partitions", m.partitions.size()}, {"schema", json::parse(m.schema.to_json())},
          {"content_hash", m.content_hash()}, {"step_key", m.step_key}, {"columns", column_statistics(m)},
          {"compression", m.gzip ? "gzip" : "none"}, {"bytes_on_disk", bytes_on_disk(folder)}};
}

// Hashes of the learned arrays of a step, by file.
json describe_state(const fs::path& folder) {
  json files = json::object();
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".h5") files[entry.path().filename().string()] = data::ArrayStore::load(entry.path()).content_hash();
  return files;
}

json describe_run(const fs::path& folder) {
  engine::RunDirectory run(folder);
  json state = run.state(), steps = json::object();
  for (const auto& [id, r] : run.records()) {
    json step{{"op", r.op}, {"rows", r.rows}, {"seconds", r.seconds}, {"content_hash", r.content_hash}, {"outputs", r.outputs}, {"metrics", r.metrics}, {"nodes", r.nodes},
              {"bytes_shuffled", r.bytes_shuffled}, {"bytes_spilled", r.bytes_spilled}, {"peak_memory_bytes", r.peak_memory_bytes}};
    json learned = describe_state(run.state(id));
    if (!learned.empty()) step["state"] = learned;
    steps[id] = step;
  }
  return {{"kind", "run"}, {"path", folder.string()}, {"job", state.is_object() ? state.value("job", "") : ""}, {"state", state.is_object() ? state.value("state", "unknown") : "unknown"}, {"steps", steps}};
}

void print_rows(const data::DatasetReader& reader, int64_t wanted) {
  for (int64_t p = 0; p < reader.num_partitions() && wanted > 0; ++p) {
    if (reader.manifest().partitions[size_t(p)].num_rows() == 0) continue;
    auto batch = reader.read(p);
    for (int64_t r = 0; r < batch.num_rows() && wanted > 0; ++r, --wanted) std::printf("%s\n", data::row_as_json(batch, r).c_str());
  }
}

int inspect(const std::string& path, int64_t rows, bool as_json) {
  if (!fs::exists(path)) throw data_error("{}: no such file or folder", path);
  if (fs::is_regular_file(path) && fs::path(path).extension() == ".h5") {
    auto store = data::ArrayStore::load(path);
    json arrays = json::object();
    for (const auto& [name, a] : store.arrays) arrays[name] = a.shape;
    std::printf("%s\n", json{{"kind", "arrays"}, {"path", path}, {"arrays", arrays}, {"content_hash", store.content_hash()}}.dump(1).c_str());
    return 0;
  }
  if (fs::exists(fs::path(path) / "job.yaml")) {
    json run = describe_run(path);
    if (as_json) {
      std::printf("%s\n", run.dump(1).c_str());
      return 0;
    }
    std::printf("run of job %s: %s\n", run["job"].get<std::string>().c_str(), run["state"].get<std::string>().c_str());
    for (const auto& [id, step] : run["steps"].items())
      std::printf("  %-16s %-16s %12s rows  %10s  %s\n", id.c_str(), step["op"].get<std::string>().c_str(), format_count(uint64_t(step["rows"].get<int64_t>())).c_str(),
                  format_seconds(step["seconds"].get<double>()).c_str(), step["content_hash"].get<std::string>().c_str());
    std::printf("datasets: %s/steps/STEP/data; report: %s/report.html\n", path.c_str(), path.c_str());
    return 0;
  }
  json dataset = describe_dataset(path);
  if (as_json) {
    std::printf("%s\n", dataset.dump(1).c_str());
    return 0;
  }
  std::printf("dataset %s: %s rows, %s (%s on disk%s), %zu partitions\ncontent hash %s\n", path.c_str(), format_count(dataset["rows"].get<uint64_t>()).c_str(),
              format_bytes(dataset["bytes"].get<uint64_t>()).c_str(), format_bytes(dataset["bytes_on_disk"].get<uint64_t>()).c_str(),
              dataset["compression"] == "gzip" ? ", gzip" : "", dataset["partitions"].get<size_t>(), dataset["content_hash"].get<std::string>().c_str());
  const data::DatasetReader reader(path);
  for (size_t i = 0; i < reader.schema().size(); ++i) {
    const data::Field& f = reader.schema()[i];
    const json& statistics = dataset["columns"][i];
    std::string known;
    if (!statistics["range"].is_null()) known = fmt::format("  {} to {}", shown(f, statistics["range"][1]), shown(f, statistics["range"][2]));
    if (statistics["nulls"] > 0) known += fmt::format("  {} nulls", format_count(statistics["nulls"].get<uint64_t>()));
    if (statistics.contains("dictionary")) known += fmt::format("  dictionary of at most {}", format_count(statistics["dictionary"]["most_strings"].get<uint64_t>()));
    std::printf("  %-20s %-14s%s%s\n", f.name.c_str(), std::string(data::type_name(f.type)).c_str(), f.time_zone.empty() ? "" : (" " + f.time_zone).c_str(), known.c_str());
  }
  print_rows(reader, rows);
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  struct Options {
    std::string path;
    int64_t rows = 5;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("inspect", "Show a run, a dataset (schema, rows, content hash, first rows) or learned arrays");
  command->add_option("PATH", options->path, "run directory, dataset folder, or .h5 file of learned state")->required();
  command->add_option("--rows", options->rows, "rows of a dataset to print (default 5)")->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  command->add_flag("--json", options->json, "as JSON");
  command->footer("Examples:\n  throng inspect runs/quickstart\n  throng inspect runs/quickstart/steps/trends/risers --rows 20");
  command->callback([options, &action] { action = [options] { return inspect(options->path, options->rows, options->json); }; });
}

}  // namespace throng::cli
