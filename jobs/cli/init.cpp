#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "jobs/cli/commands.h"
#include "jobs/cli/file_guess.h"

namespace throng::cli {
namespace {

namespace fs = std::filesystem;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return out + "\"";
}

std::string job_text(const FileGuess& g, const std::string& name, const std::string& path) {
  std::string t = fmt::format("# Written by 'throng init' from a look at {}. Read the guesses, change what is wrong, then:\n#   throng run {}.yaml\n", path, name);
  for (const auto& line : g.remarks) t += "# " + line + "\n";
  t += fmt::format("job: {}\nsteps:\n  events:\n    op: read_events\n    path: {}\n    format: {}\n", name, quoted(path), g.format);
  if (g.encoding != "utf-8") t += fmt::format("    encoding: {}\n", g.encoding);
  if (g.delimiter) t += fmt::format("    delimiter: {}\n", quoted(std::string(1, g.delimiter)));
  if (!g.header.empty()) {
    t += "    columns: [";  // the file has no header
    for (size_t i = 0; i < g.header.size(); ++i) t += (i ? ", " : "") + quoted(g.header[i]);
    t += "]\n";
  }
  if (!g.map.empty()) {
    t += "    map:                       # our column: the file's\n";
    for (const auto& [ours, theirs] : g.map) t += fmt::format("      {}: {}\n", ours, quoted(theirs));
  }
  if (!g.time_format.empty()) t += fmt::format("    time_format: {}\n", quoted(g.time_format));
  t += "    on_bad_row: skip           # or fail (stop with file and line), or quarantine (keep aside)\n";
  t += "    # time_zone: Asia/Shanghai # for times without an offset\n";
  t += "  # The newest fifth of the rows is held out: nothing below learns from it.\n  parts:  { op: split, from: events, by: time, fraction: 0.2 }\n";
  t += fmt::format("  clean:  {{ op: clean, from: parts{} }}\n", g.has("user") ? ", required: [user]" : "");
  std::string report = "clean";
  if (g.has("text")) {
    t += "  # Words, topics and what rises. For another number of topics change k.\n  tokens: { op: tokenize, from: clean }\n";
    t += "  topics: { op: topics, from: tokens, k: 10, min_count: 2 }\n  vectors: { op: word2vec, from: tokens, min_count: 2 }\n  trends: { op: trends, from: tokens, window: 1d }\n";
    report += ", topics, trends, vectors";
  } else if (g.has("item") || g.has("action")) {
    t += "  # What rises, by day.\n  trends: { op: trends, from: clean, window: 1d }\n";
    report += ", trends";
  }
  if (g.has("user") && (g.has("action") || g.has("item"))) {
    t += fmt::format("  # What each user does next, judged beside three baselines.\n  next:   {{ op: train_sequence, from: clean, target: {}, model: gru, epochs: 3 }}\n", g.has("action") ? "action" : "item");
    report += ", next";
  }
  t += fmt::format("  report: {{ op: report, from: [{}]{} }}\n", report, g.chinese ? ", language: zh" : "");
  return t;
}

}  // namespace

void add_init(CLI::App& app, Action& action) {
  struct Options {
    std::string file, out;
    bool force = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("init", "Look at a data file and write a commented job file for it");
  command->add_option("FILE", options->file, "JSONL, CSV or TSV file, plain, .gz or .zst")->required();
  command->add_option("-o,--out", options->out, "job file to write (default: the file's name with .yaml, here)");
  command->add_flag("--force", options->force, "replace a job file that exists");
  command->footer("Example:\n  throng init events.csv && throng run events.yaml");
  command->callback([options, &action] {
    action = [options] {
      FileGuess guess = guess_file(options->file);
      std::string name = fs::path(options->file).filename().string();
      name = name.substr(0, name.find('.'));
      for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && static_cast<unsigned char>(c) < 0x80) c = '_';
      fs::path out = options->out.empty() ? fs::path(name + ".yaml") : fs::path(options->out);
      if (fs::exists(out) && !options->force) throw job_error("{}: exists", out.string()).with_hint("name another file with --out, or give --force");
      // Paths in a job file start at its folder.
      fs::path base = fs::absolute(out).parent_path(), data = fs::absolute(options->file).lexically_relative(base);
      write_file_atomically(out, job_text(guess, fs::path(out).stem().string(), data.empty() ? fs::absolute(options->file).string() : data.string()));
      for (const auto& line : guess.remarks) std::printf("%s\n", line.c_str());
      std::printf("wrote %s; run it with: throng run %s\n", out.c_str(), out.c_str());
      return 0;
    };
  });
}

}  // namespace throng::cli
