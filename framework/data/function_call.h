// Calls written as text in jobs, such as lag(action, 2).
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace throng::data {

/// `name(argument, ..)`, cut but not understood: an argument is an expression's text, and may hold calls and quoted commas itself.
struct FunctionCall {
  std::string name;
  std::vector<std::string> arguments;  ///< without blanks around; empty where nothing stands between two commas
  /// nullopt where the text is no call.
  static std::optional<FunctionCall> parse(std::string_view text);
};

}  // namespace throng::data
