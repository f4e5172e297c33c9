// Runs another program to its end, with a limit on its time, and keeps what it wrote.
#pragma once
#include <functional>
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

/// Starts `words` (found on PATH) without input, and without the descriptors of this process. After `timeout_seconds` it and its children get KILL. Where `given_up` becomes
/// true, it is left to itself, and the result is that of one that took too long.
CommandResult run_command(const std::vector<std::string>& words, double timeout_seconds, const std::function<bool()>& given_up = {});

}  // namespace throng::launch
