#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "framework/data/text_input.h"
#include "jobs/cli/behaviour_generator.h"
#include "jobs/cli/commands.h"

namespace throng::cli {

void add_generate(CLI::App& app, Action& action) {
  struct Options : BehaviourOptions {
    std::string kind, out;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("generate", "Make events with planted truth, to try things out");
  command->add_option("KIND", options->kind, "behaviour: posts and actions")->required()->check(CLI::IsMember({"behaviour"}));
  command->add_option("--users", options->users, "users (default 1000)")->check(CLI::Range(int64_t{4}, int64_t{1} << 31));
  command->add_option("--events", options->events, "events (default 100000)")->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--days", options->days, "days they are spread over (default 30)")->check(CLI::Range(1, 3650));
  command->add_option("--seed", options->seed, "seed (default 1)");
  command->add_option("-o,--out", options->out, "file to write: .jsonl, .jsonl.gz or .jsonl.zst; the truth goes to FILE.truth.json")->required();
  command->footer("Example:\n  throng generate behaviour --users 1000 --events 100000 --seed 7 --out events.jsonl");
  command->callback([options, &action] {
    action = [options] {
      // Written beside and renamed, so that a full disk leaves no half file behind.
      std::filesystem::path out = options->out, partial = out.parent_path() / fmt::format(".partial{}-{}", ::getpid(), out.filename().string());
      std::string truth;
      try {
        data::TextOutput file(partial);
        std::string block;
        truth = generate_behaviour(*options, [&](const std::string& line) {
          block += line;
          if (block.size() > (1 << 16)) file.write(block), block.clear();
        });
        file.write(block);
        file.close();
      } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(partial, ignored);
        throw;
      }
      std::error_code code;
      std::filesystem::rename(partial, out, code);
      if (code) throw system_error("{}: cannot be written: {}", out.string(), code.message());
      write_file_atomically(out.string() + ".truth.json", truth);
      std::printf("%s: %lld events of %lld users; the planted truth: %s.truth.json\n", out.c_str(), (long long)options->events, (long long)options->users, out.c_str());
      return 0;
    };
  });
}

}  // namespace throng::cli
