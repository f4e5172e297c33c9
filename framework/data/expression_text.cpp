// Expression functions on text and lists.
#include "framework/data/expression_helpers.h"
#include "framework/text/regex.h"
#include "framework/text/unicode.h"

namespace throng::data::expression {
namespace {

// A pattern that is a constant is checked before any row is read.
std::optional<std::string> pattern_fault(const Args& a) { return a.size() > 1 && a[1] ? text::Regex::fault(std::string(a[1]->text(0))) : std::nullopt; }

}  // namespace

void add_text_functions(std::vector<ExpressionFunction>& f) {
  const Adder add{f};
  add("lower", "lower(text)", "lower case (Unicode)", takes("s", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.s = text::to_lower(a[0]->text(r)), true;
  });
  add("upper", "upper(text)", "upper case (Unicode)", takes("s", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.s = text::to_upper(a[0]->text(r)), true;
  });
  add("trim", "trim(text)", "without white space at both ends", takes("s", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    auto t = a[0]->text(r);
    size_t b = t.find_first_not_of(" \t\r\n"), e = t.find_last_not_of(" \t\r\n");
    return out.s = b == t.npos ? "" : std::string(t.substr(b, e - b + 1)), true;
  });
  add("length", "length(text or list)", "number of characters, or of elements", takes("l", I),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        out.i = is_list(a[0]->type) ? a[0]->s->list_size(a[0]->row_of_s(r)) : text::length(a[0]->text(r));
        return true;
      });
  add("substr", "substr(text, first [, count])", "characters from position `first` (1 is the first)", takes("snn", S, 1),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        int64_t count = a.size() > 2 ? clamped(a[2]->number(r)) : INT32_MAX;
        return out.s = text::substring(a[0]->text(r), clamped(a[1]->number(r)) - 1, count), true;
      });
  add("contains", "contains(text, part)", "true where `part` occurs", takes("ss", B), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    return out.i = a[0]->text(r).find(a[1]->text(r)) != std::string_view::npos, true;
  });
  add("starts_with", "starts_with(text, part)", "true where the text begins so", takes("ss", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.i = a[0]->text(r).starts_with(a[1]->text(r)), true; });
  add("ends_with", "ends_with(text, part)", "true where the text ends so", takes("ss", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.i = a[0]->text(r).ends_with(a[1]->text(r)), true; });
  add("replace", "replace(text, old, new)", "with every `old` replaced", takes("sss", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    auto t = a[0]->text(r), old = a[1]->text(r), fresh = a[2]->text(r);
    out.s.clear();
    size_t at = 0;
    for (size_t hit; !old.empty() && (hit = t.find(old, at)) != t.npos; at = hit + old.size())
      out.s.append(t.substr(at, hit - at)).append(fresh);
    return out.s.append(t.substr(at)), true;
  });
  add("split_part", "split_part(text, separator, n)", "the n-th part (1 is the first), \"\" where there is none", takes("ssn", S),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        auto t = a[0]->text(r), sep = a[1]->text(r);
        int64_t n = clamped(a[2]->number(r));
        size_t at = 0;
        for (int64_t k = 1; !sep.empty(); ++k) {
          size_t hit = t.find(sep, at);
          if (k == n) return out.s = t.substr(at, hit == t.npos ? t.npos : hit - at), true;
          if (hit == t.npos) break;
          at = hit + sep.size();
        }
        return out.s = sep.empty() && n == 1 ? std::string(t) : "", true;
      });
  add("concat", "concat(a, b, ..)", "texts one after the other",
      [](const Types& t) -> std::optional<Type> {
        for (Type x : t)
          if (x != Type::kString) return {};
        return t.empty() ? std::nullopt : std::optional(Type::kString);
      },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        out.s.clear();
        for (const auto* v : a) out.s += v->text(r);
        return true;
      });
  add("like", "like(text, pattern)", "also written `text like 'a%_'`: % any text, _ one character, \\ takes the next as it is", takes("ss", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.i = text::like(a[0]->text(r), a[1]->text(r)), true; });
  add("ilike", "ilike(text, pattern)", "like, whatever the case", takes("ss", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.i = text::like(text::to_lower(a[0]->text(r)), text::to_lower(a[1]->text(r))), true; });
  add("matches", "matches(text, pattern)", "true where the regular expression (RE2) is found in the text", takes("ss", B),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.i = text::Regex::cached(a[1]->text(r)).found_in(a[0]->text(r)), true; });
  f.back().check = pattern_fault;
  add("regexp_extract", "regexp_extract(text, pattern [, group])", "the first match, or its group; null where there is none", takes("ssn", S, 1),
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        auto found = text::Regex::cached(a[1]->text(r)).extract(a[0]->text(r), a.size() > 2 ? int(clamped(a[2]->number(r))) : 0);
        if (found) out.s = *found;
        return found.has_value();
      });
  f.back().check = pattern_fault;
  add("regexp_replace", "regexp_replace(text, pattern, new)", "with every match replaced; \\1 in `new` is group 1", takes("sss", S),
      [](const Args& a, size_t r, const TimeZone&, Row& out) { return out.s = text::Regex::cached(a[1]->text(r)).replace_all(a[0]->text(r), a[2]->text(r)), true; });
  f.back().check = pattern_fault;
  add("repeat", "repeat(text, count)", "the text so many times", takes("sn", S), [](const Args& a, size_t r, const TimeZone&, Row& out) {
    const int64_t n = clamped(a[1]->number(r));
    if (n > 0 && int64_t(a[0]->text(r).size()) * n > (int64_t{16} << 20)) throw data_error("repeat({}) makes a text of more than 16 MiB", n);
    out.s.clear();
    for (int64_t i = 0; i < n; ++i) out.s += a[0]->text(r);
    return true;
  });
  add("element", "element(list, n)", "the n-th element of a list of texts (1 is the first, -1 the last); null where there is none",
      [](const Types& t) -> std::optional<Type> { return t.size() == 2 && t[0] == Type::kListString && is_number(t[1]) ? std::optional(S) : std::nullopt; },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        const int64_t row = a[0]->row_of_s(r), size = a[0]->s->list_size(row);
        int64_t n = clamped(a[1]->number(r));
        n = n < 0 ? size + n : n - 1;
        if (n < 0 || n >= size) return false;
        return out.s = a[0]->s->list_string(row, n), true;
      });
  add("list_contains", "list_contains(list, text)", "true where an element of a list of texts is equal",
      [](const Types& t) -> std::optional<Type> { return t.size() == 2 && t[0] == Type::kListString && t[1] == S ? std::optional(B) : std::nullopt; },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        const int64_t row = a[0]->row_of_s(r);
        out.i = 0;
        for (int64_t i = 0; i < a[0]->s->list_size(row) && !out.i; ++i) out.i = a[0]->s->list_string(row, i) == a[1]->text(r);
        return true;
      });
  add("list_join", "list_join(list, separator)", "the elements of a list of texts as one text",
      [](const Types& t) -> std::optional<Type> { return t.size() == 2 && t[0] == Type::kListString && t[1] == S ? std::optional(S) : std::nullopt; },
      [](const Args& a, size_t r, const TimeZone&, Row& out) {
        const int64_t row = a[0]->row_of_s(r);
        out.s.clear();
        for (int64_t i = 0; i < a[0]->s->list_size(row); ++i) out.s.append(i ? a[1]->text(r) : "").append(a[0]->s->list_string(row, i));
        return true;
      });
}

}  // namespace throng::data::expression
