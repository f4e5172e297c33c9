// The one exception type: who is at fault decides the exit code, the message names file, line, value and hint.
#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace throng {

/// Whose fault a failure is; the value is the process's exit code.
enum class Fault : int {
  kJob = 2,       ///< the user's job file or flags
  kData = 3,      ///< the input data
  kSystem = 4,    ///< disk, memory, MPI
  kBug = 70,      ///< ours
  kStopped = 75,  ///< stopped at a checkpoint, can be resumed
};

/// A failure with its cause. Copyable, so that it can travel between ranks.
class Error : public std::exception {
 public:
  Error(Fault fault, std::string message) : fault_(fault), message_(std::move(message)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  Fault fault() const { return fault_; }
  int exit_code() const { return static_cast<int>(fault_); }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }

  /// Adds the line that tells the user how to mend it.
  Error with_hint(std::string hint) && {
    hint_ = std::move(hint);
    return std::move(*this);
  }
  /// Says where in the run it happened; lower (step, partition, row) wins when several ranks fail.
  Error& at(int64_t step, int64_t partition, int64_t row) {
    if (step_ < 0) step_ = step;
    if (partition_ < 0) partition_ = partition, row_ = row;
    return *this;
  }
  void prefix(const std::string& where) { message_ = where + message_; }
  int64_t step() const { return step_; }
  int64_t partition() const { return partition_; }
  int64_t row() const { return row_; }

  /// Message and hint as printed on a terminal.
  std::string text() const { return hint_.empty() ? message_ : message_ + "\n  hint: " + hint_; }

  /// Packs the error for another rank; `unpack` reads it back.
  std::string pack() const;
  static Error unpack(const std::string& packed);
  /// True when this error comes before `other` in (step, partition, row); unknown places come last.
  bool before(const Error& other) const;

 private:
  Fault fault_;
  std::string message_;
  std::string hint_;
  int64_t step_ = -1, partition_ = -1, row_ = -1;
};

template <class... Args>
Error job_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Fault::kJob, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error data_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Fault::kData, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error system_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Fault::kSystem, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
Error bug(fmt::format_string<Args...> format, Args&&... args) {
  return Error(Fault::kBug, fmt::format(format, std::forward<Args>(args)...));
}

/// The current exception as an Error: ours as it is, bad_alloc as a system fault, anything else as a bug.
Error current_error();

/// Holds in every build; a breach is our bug, never the user's.
#define THRONG_CHECK(condition, ...)                                                       \
  do {                                                                                     \
    if (!(condition))                                                                      \
      throw ::throng::bug("{}:{}: '{}' does not hold: {}", __FILE__, __LINE__, #condition, \
                          ::fmt::format(__VA_ARGS__));                                     \
  } while (0)

}  // namespace throng
