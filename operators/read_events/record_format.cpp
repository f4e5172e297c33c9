#include "operators/read_events/record_format.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "framework/base/suggest.h"
#include "operators/read_events/field_values.h"
#include "operators/read_events/json_values.h"
#include "operators/read_events/record_fields.h"

namespace throng::op {

using data::Type;
namespace {

const std::vector<data::Field>& known_columns() {
  static const std::vector<data::Field> columns{{"user", Type::kString},   {"item", Type::kString}, {"ts", Type::kTimestamp},
                                                {"action", Type::kString}, {"text", Type::kString}, {"value", Type::kFloat64}};
  return columns;
}

// Guesses a type from texts; nulls do not count.
class TypeGuess {
 public:
  void see(std::string_view text) {
    seen_ = true;
    if (!parse_bool(text)) bool_ = false;
    if (!parse_whole(text) || (text.size() > 1 && text[0] == '0')) whole_ = false;  // 007 is a code, not a number
    if (!parse_number(text) || (text.size() > 1 && text[0] == '0' && text[1] != '.')) number_ = false;
  }
  Type type() const { return !seen_ ? Type::kString : bool_ ? Type::kBool : whole_ ? Type::kInt64 : number_ ? Type::kFloat64 : Type::kString; }

 private:
  bool seen_ = false, bool_ = true, whole_ = true, number_ = true;
};

void add_column(RecordFormat& format, const ReadEvents& params, const std::string& name, const std::string& from, int index, Type guessed) {
  ColumnSource c;
  c.field = {name, guessed, ""};
  for (const auto& known : known_columns())
    if (known.name == name) c.field.type = known.type;
  for (const auto& [column, type] : params.types) {
    if (column != name) continue;
    auto named = data::type_from_name(type);
    if (!named) throw job_error("'types' gives '{}' the type '{}'", name, type).with_hint(suggest(type, data::type_names()));
    if (data::is_list(*named) && *named != Type::kListString) throw job_error("'types': a column read from text cannot be {}", type);
    c.field.type = *named;
  }
  if (c.field.type == Type::kTimestamp) c.field.time_zone = params.time_zone == "UTC" ? "" : params.time_zone;
  c.from = from;
  c.index = index;
  format.columns.push_back(std::move(c));
}

}  // namespace

RecordFormat guess_format(const ReadEvents& params, bool json, bool quoting, char delimiter, const std::vector<std::string>& sample) {
  RecordFormat format;
  format.json = json, format.quoting = quoting, format.delimiter = delimiter;
  format.has_header = !json && params.columns.empty();
  std::vector<std::string> names;           // the file's
  std::map<std::string, TypeGuess> guesses;
  std::map<std::string, Type> list_types;
  if (json) {
    simdjson::dom::parser parser;
    for (const auto& line : sample) {
      auto parsed = parser.parse(line);
      if (parsed.error() || !parsed.is_object()) continue;  // reported with its line when it is read
      auto see = [&](const std::string& name, simdjson::dom::element value) {
        if (value.is_null()) return;
        if (value.is_string()) guesses[name].see("text");
        else if (is_list_of_strings(value)) list_types[name] = Type::kListString;
        else guesses[name].see(simdjson::minify(value));
      };
      simdjson::dom::object object(parsed);
      for (auto [key, value] : object) {
        std::string name(key);
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
        see(name, value);
      }
      for (const auto& [ours, theirs] : params.map)
        if (theirs.find('.') != std::string::npos && object[theirs].error())
          if (auto value = find_path(parsed.value_unsafe(), theirs); !value.error()) see(theirs, value.value_unsafe());
    }
    for (const auto& [ours, theirs] : params.map)
      if (theirs.find('.') != std::string::npos && std::find(names.begin(), names.end(), theirs) == names.end()) names.push_back(theirs);
  } else {
    std::vector<std::string> fields;
    size_t first_row = 0;
    names = params.columns;
    if (format.has_header) {
      if (sample.empty()) throw data_error("has no header line");
      split_fields(sample[0], delimiter, quoting, names);
      first_row = 1;
    }
    std::set<std::string> seen;
    for (const auto& name : names)
      if (!seen.insert(name).second) throw data_error("two columns are called '{}'", name).with_hint("name them with 'columns:'");
    for (size_t r = first_row; r < sample.size(); ++r) {
      if (!split_fields(sample[r], delimiter, quoting, fields)) continue;
      for (size_t i = 0; i < std::min(fields.size(), names.size()); ++i)
        if (std::find(params.null_values.begin(), params.null_values.end(), fields[i]) == params.null_values.end()) guesses[names[i]].see(fields[i]);
    }
    format.num_fields = names.size();
  }

  std::set<std::string> used;
  auto index_of = [&](const std::string& name) { return int(std::find(names.begin(), names.end(), name) - names.begin()); };
  auto guessed = [&](const std::string& name) { return guesses.count(name) ? guesses[name].type() : list_types.count(name) ? list_types[name] : Type::kString; };
  auto have = [&](const std::string& ours) {
    return std::any_of(format.columns.begin(), format.columns.end(), [&](const auto& c) { return c.field.name == ours; });
  };
  for (const auto& [ours, theirs] : params.map) {
    if (size_t(index_of(theirs)) == names.size())
      throw job_error("'map' reads '{}' from '{}', which the input does not have", ours, theirs).with_hint(suggest(theirs, names));
    if (have(ours)) throw job_error("'map' names the column '{}' twice", ours);
    add_column(format, params, ours, theirs, index_of(theirs), guessed(theirs));
    used.insert(theirs);
  }
  for (const auto& [name, value] : params.constants) {
    if (have(name)) throw job_error("column '{}' is both mapped and constant", name);
    TypeGuess guess;
    guess.see(value);
    add_column(format, params, name, "", -1, guess.type());
    format.columns.back().is_constant = true, format.columns.back().constant = value;
  }
  for (const auto& name : names)
    if (!used.count(name) && !have(name) && !name.empty()) add_column(format, params, name, name, index_of(name), guessed(name));
  if (!have("ts") && !params.timeless)
    throw job_error("the input has no column 'ts'; its columns are: {}", fmt::join(names, ", "))
        .with_hint("name the time column: map: {ts: ...}");
  for (const auto& [column, type] : params.types)
    if (!have(column)) throw job_error("'types' names '{}', which the input does not have", column).with_hint(suggest(column, names));
  // Known columns first, in their order; then the rest as the file has them.
  std::stable_sort(format.columns.begin(), format.columns.end(), [](const ColumnSource& a, const ColumnSource& b) {
    auto place = [](const ColumnSource& c) {
      for (size_t i = 0; i < known_columns().size(); ++i)
        if (known_columns()[i].name == c.field.name) return i;
      return known_columns().size();
    };
    return place(a) < place(b);
  });
  return format;
}

}  // namespace throng::op
