#include "framework/text/regex.h"

#include <re2/re2.h>

#include <map>

#include "framework/base/error.h"

namespace throng::text {
namespace {

re2::StringPiece piece(std::string_view t) { return {t.data(), t.size()}; }

RE2::Options options() {
  RE2::Options o;
  o.set_log_errors(false);
  return o;
}

size_t character(std::string_view t, size_t at) {  // bytes of the character there
  size_t n = 1;
  while (at + n < t.size() && (static_cast<unsigned char>(t[at + n]) & 0xc0) == 0x80) ++n;
  return n;
}

}  // namespace

struct Regex::Compiled {
  RE2 re;
  explicit Compiled(const std::string& pattern) : re(pattern, options()) {}
};

Regex::Regex(const std::string& pattern) : compiled_(std::make_shared<Compiled>(pattern)) {
  if (!compiled_->re.ok()) throw data_error("'{}' is no regular expression: {}", pattern, compiled_->re.error());
}

std::optional<std::string> Regex::fault(const std::string& pattern) {
  RE2 re(pattern, options());
  if (re.ok()) return {};
  return fmt::format("'{}' is no regular expression: {}", pattern, re.error());
}

const Regex& Regex::cached(std::string_view pattern) {
  constexpr size_t kMost = 64;
  thread_local std::map<std::string, Regex, std::less<>> cache;
  auto it = cache.find(pattern);
  if (it != cache.end()) return it->second;
  if (cache.size() >= kMost) cache.clear();
  return cache.emplace(std::string(pattern), Regex(std::string(pattern))).first->second;
}

bool Regex::found_in(std::string_view text) const { return RE2::PartialMatch(piece(text), compiled_->re); }

int Regex::num_groups() const { return compiled_->re.NumberOfCapturingGroups(); }

std::optional<std::string> Regex::extract(std::string_view text, int group) const {
  if (group < 0 || group > num_groups()) return {};
  std::vector<re2::StringPiece> found(size_t(group) + 1);
  if (!compiled_->re.Match(piece(text), 0, text.size(), RE2::UNANCHORED, found.data(), int(found.size()))) return {};
  const auto& part = found[size_t(group)];
  if (!part.data()) return {};
  return std::string(part.data(), part.size());
}

std::string Regex::replace_all(std::string_view text, std::string_view fresh) const {
  std::string out(text);
  RE2::GlobalReplace(&out, compiled_->re, piece(fresh));
  return out;
}

bool like(std::string_view text, std::string_view pattern) {
  // Greedy with one point of return: the newest `%`.
  size_t t = 0, p = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      star = p++, resume = t;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '_') {
      t += character(text, t), ++p;
      continue;
    }
    const size_t literal = p < pattern.size() && pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
    if (literal < pattern.size() && text[t] == pattern[literal]) {
      ++t, p = literal + 1;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star + 1, resume += character(text, resume), t = resume;
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

}  // namespace throng::text
