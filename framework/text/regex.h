// Regular expressions and LIKE patterns. The door to RE2, whose time is linear in the text whatever the pattern.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace throng::text {

/// A compiled pattern in RE2's syntax. Thread-safe.
class Regex {
 public:
  /// A data error where the pattern is wrong; `fault` says it without throwing.
  explicit Regex(const std::string& pattern);
  static std::optional<std::string> fault(const std::string& pattern);
  /// The same pattern compiled once in each thread (the newest few are kept).
  static const Regex& cached(std::string_view pattern);

  /// True where it matches anywhere in the text.
  bool found_in(std::string_view text) const;
  /// The first match, or its group `group`; nullopt where there is none.
  std::optional<std::string> extract(std::string_view text, int group) const;
  /// Every match replaced; `\1` in `fresh` is group 1.
  std::string replace_all(std::string_view text, std::string_view fresh) const;
  int num_groups() const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

/// SQL's LIKE: `%` any text, `_` one character, `\` takes the next character as it is. The whole text must fit.
bool like(std::string_view text, std::string_view pattern);

}  // namespace throng::text
