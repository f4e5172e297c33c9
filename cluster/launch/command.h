// Runs another program to its end, with a limit on its time, and keeps what it wrote.
#pragma once
#include <string>
#include <vector>

namespace throng::launch {

struct CommandResult {
  int code = -1;           ///< its exit code; 128 + signal where one ended it; 127 where it could not be started
  bool timed_out = false;  ///< it was ended after the limit; it may have done its work all the same
  std::string output, errors;  ///< the first 4 MiB of each
  bool ok() const { return code == 0 && !timed_out; }
  /// What it wrote to stderr, or else how it ended: for messages.
  std::string trouble() const;
};

/// Starts `words` (found on PATH) without input. After `timeout_seconds` it and its children get KILL.
CommandResult run_command(const std::vector<std::string>& words, double timeout_seconds);

}  // namespace throng::launch
