#include "framework/data/function_call.h"

namespace throng::data {
namespace {

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n"), last = text.find_last_not_of(" \t\n");
  return first == text.npos ? std::string_view() : text.substr(first, last - first + 1);
}

}  // namespace

std::optional<FunctionCall> FunctionCall::parse(std::string_view text) {
  text = trim(text);
  const size_t open = text.find('(');
  if (open == text.npos || text.back() != ')') return {};
  FunctionCall call{std::string(trim(text.substr(0, open))), {}};
  const std::string_view inside = text.substr(open + 1, text.size() - open - 2);
  int depth = 0;
  char quote = 0;
  size_t start = 0;
  for (size_t i = 0; i < inside.size(); ++i) {
    const char c = inside[i];
    if (quote) quote = c == quote ? 0 : quote;
    else if (c == '\'' || c == '"' || c == '`') quote = c;
    else if (c == '(') ++depth;
    else if (c == ')' && --depth < 0) return {};
    if (c == ',' && !quote && depth == 0) call.arguments.emplace_back(trim(inside.substr(start, i - start))), start = i + 1;
  }
  if (quote || depth != 0) return {};
  const std::string_view last = trim(inside.substr(start));
  if (!last.empty() || !call.arguments.empty()) call.arguments.emplace_back(last);
  return call;
}

}  // namespace throng::data
