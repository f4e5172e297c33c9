#include "operators/read_events/record_reader.h"

#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <deque>
#include <set>

#include "framework/base/suggest.h"
#include "framework/text/unicode.h"

namespace throng::op {

using data::Type;
namespace {

const std::vector<data::Field>& known_columns() {
  static const std::vector<data::Field> columns{{"user", Type::kString},   {"item", Type::kString}, {"ts", Type::kTimestamp},
                                                {"action", Type::kString}, {"text", Type::kString}, {"value", Type::kFloat64}};
  return columns;
}

std::optional<int64_t> parse_whole(std::string_view text) {
  int64_t value = 0;
  auto [p, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || p != text.data() + text.size()) return {};
  return value;
}
std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  auto [p, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || p != text.data() + text.size()) return {};
  return value;
}
std::optional<bool> parse_bool(std::string_view text) {
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  return {};
}

std::string_view trimmed(std::string_view t) {
  while (!t.empty() && (t.front() == ' ' || t.front() == '\t')) t.remove_prefix(1);
  while (!t.empty() && (t.back() == ' ' || t.back() == '\t')) t.remove_suffix(1);
  return t;
}

// Shortened for a message.
std::string shown(std::string_view text) {
  return text.size() <= 60 ? std::string(text) : std::string(text::substring(text::repair_utf8(text), 0, 50)) + "...";
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

simdjson::simdjson_result<simdjson::dom::element> find_path(simdjson::dom::element root, std::string_view path) {
  auto direct = root[path];  // a key may hold dots itself
  if (direct.error() == simdjson::SUCCESS) return direct;
  auto at = simdjson::simdjson_result<simdjson::dom::element>(std::move(root));
  while (!path.empty()) {
    size_t dot = path.find('.');
    at = at[path.substr(0, dot)];
    if (at.error()) return at;
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return at;
}

bool is_list_of_strings(simdjson::dom::element e) {
  if (!e.is_array()) return false;
  for (auto x : simdjson::dom::array(e))
    if (!x.is_string()) return false;
  return true;
}

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

namespace {

/// The fields of one record, as views of it; what had to be put together otherwise is kept here until the next.
class Fields {
 public:
  bool split(std::string_view record, char delimiter, bool quoting) {
    views_.clear();
    made_ = 0;
    for (size_t at = 0;;) {
      std::string_view field;
      if (quoting && at < record.size() && record[at] == '"') {
        if (!take_quoted(record, delimiter, at, field)) return false;
      } else {
        const size_t end = std::min(record.find(delimiter, at), record.size());
        field = record.substr(at, end - at);
        at = end;
      }
      views_.push_back(field);
      if (at == record.size()) return true;
      ++at;
    }
  }
  const std::vector<std::string_view>& views() const { return views_; }

 private:
  // From the opening quote at `at` to the delimiter, or the end, where it leaves `at`.
  bool take_quoted(std::string_view record, char delimiter, size_t& at, std::string_view& field) {
    const size_t first = at + 1, close = record.find('"', first);
    if (close == std::string_view::npos) return false;
    if (close + 1 == record.size() || record[close + 1] == delimiter) {
      field = record.substr(first, close - first);
      at = close + 1;
      return true;
    }
    if (made_ == strings_.size()) strings_.emplace_back();
    std::string& whole = strings_[made_++];
    whole.clear();
    for (++at;;) {
      const size_t quote = record.find('"', at);
      if (quote == std::string_view::npos) return false;
      whole.append(record.substr(at, quote - at));
      at = quote + 1;
      if (at >= record.size() || record[at] != '"') break;
      whole += '"';
      ++at;
    }
    const size_t end = std::min(record.find(delimiter, at), record.size());
    whole.append(record.substr(at, end - at));
    field = whole;
    at = end;
    return true;
  }

  std::vector<std::string_view> views_;
  std::deque<std::string> strings_;
  size_t made_ = 0;
};

}  // namespace

bool split_fields(std::string_view record, char delimiter, bool quoting, std::vector<std::string>& fields) {
  Fields split;
  if (!split.split(record, delimiter, quoting)) return false;
  fields.assign(split.views().begin(), split.views().end());
  return true;
}

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

// ----------------------------------------------------------------------------------------------------- reading

struct RecordReader::State {
  struct Cell {
    bool null = false;
    int64_t whole = 0;
    double number = 0;
    std::string_view text;  // of the record, or of what was made of it
    std::vector<std::string> list;
  };
  const ReadEvents& params;
  const RecordFormat& format;
  std::vector<ColumnSource> columns;
  std::shared_ptr<data::Schema> schema = std::make_shared<data::Schema>();
  std::vector<data::Column> built;
  std::vector<Cell> cells;
  std::vector<uint8_t> wanted;  // by column: it is read for the output, not only to be checked
  Fields fields;
  size_t longest_null = 0;
  std::optional<text::Decoder> decoder;
  data::TimeZone zone;
  std::string decoded;
  simdjson::dom::parser parser;
  std::deque<std::string> minified;  // values of this record that are not strings
  bool check_utf8;

  State(const ReadEvents& p, const RecordFormat& f) : params(p), format(f), zone(p.time_zone) {
    std::string name = text::to_lower(p.encoding);
    check_utf8 = name == "utf-8" || name == "utf8";
    for (const auto& null : p.null_values) longest_null = std::max(longest_null, null.size());
    if (!check_utf8) decoder.emplace(p.encoding);
  }

  std::optional<int64_t> read_time(std::string_view text) const {
    if (!params.time_format.empty()) return zone.parse_as(text, params.time_format);
    if (params.time_unit != "auto") {
      if (auto number = parse_number(text)) {
        double scale = params.time_unit == "s" ? 1e6 : params.time_unit == "ms" ? 1e3 : 1;
        if (auto whole = parse_whole(text)) {
          int64_t us = 0;
          if (__builtin_mul_overflow(*whole, int64_t(scale), &us)) return {};
          return us;
        }
        if (std::fabs(*number) * scale < 9e18) return int64_t(std::llround(*number * scale));
        return {};
      }
    }
    return data::parse_time(text, zone);
  }

  bool is_null(std::string_view text) const {
    return text.size() <= longest_null && std::find(params.null_values.begin(), params.null_values.end(), text) != params.null_values.end();
  }

  // Reads one value's text; returns "" or what is wrong.
  std::string read_text(const ColumnSource& c, std::string_view text, Cell& cell) {
    std::string_view bare = trimmed(text);
    switch (c.field.type) {
      case Type::kString: return cell.text = text, "";
      case Type::kTimestamp: {
        auto us = read_time(bare);
        if (us) return cell.whole = *us, "";
        std::string expected = params.time_format.empty() ? "an epoch number, RFC 3339 or a date" : params.time_format;
        return fmt::format("'{}' is not a time: \"{}\"; expected {}", c.field.name, shown(text), expected);
      }
      case Type::kBool:
        if (auto v = parse_bool(bare)) return cell.whole = *v, "";
        return fmt::format("'{}' is not true or false: \"{}\"", c.field.name, shown(text));
      case Type::kInt32:
      case Type::kInt64:
        if (auto v = parse_whole(bare); v && (c.field.type == Type::kInt64 || (*v >= INT32_MIN && *v <= INT32_MAX))) return cell.whole = *v, "";
        return fmt::format("'{}' is not a whole number: \"{}\"", c.field.name, shown(text));
      case Type::kFloat32:
      case Type::kFloat64:
        if (auto v = parse_number(bare)) return cell.number = *v, "";
        return fmt::format("'{}' is not a number: \"{}\"", c.field.name, shown(text));
      default:
        cell.list.clear();
        for (size_t at = 0; at <= text.size();) {  // words of a CSV field, separated by spaces
          size_t end = std::min(text.find(' ', at), text.size());
          if (end > at) cell.list.emplace_back(text.substr(at, end - at));
          at = end + 1;
        }
        return "";
    }
  }

  std::string read_json(const ColumnSource& c, simdjson::dom::element e, Cell& cell) {
    if (e.is_null()) return cell.null = true, "";
    if (e.is_string()) return read_text(c, std::string_view(e), cell);
    if (c.field.type == Type::kListString && is_list_of_strings(e)) {
      cell.list.clear();
      for (auto x : simdjson::dom::array(e)) cell.list.emplace_back(std::string_view(x));
      return "";
    }
    if (is_float(c.field.type) && e.is_number()) {
      double v = 0;
      if (e.get(v) == simdjson::SUCCESS) return cell.number = v, "";
    }
    std::string& text = minified.emplace_back(simdjson::minify(e));  // a string column keeps a view of it
    if (c.field.type == Type::kInt64 && e.is_double()) {
      double v = 0;
      if (e.get(v) == simdjson::SUCCESS && v == std::floor(v) && std::fabs(v) < 9e15) return cell.whole = int64_t(v), "";
    }
    return read_text(c, text, cell);
  }

  std::string read_cells(std::string_view record) {
    simdjson::dom::element root;
    if (format.json) {
      minified.clear();
      auto error = parser.parse(record.data(), record.size()).get(root);
      if (error) return fmt::format("not valid JSON ({}): {}", simdjson::error_message(error), shown(record));
      if (!root.is_object()) return fmt::format("not a JSON object: {}", shown(record));
    } else {
      if (!fields.split(record, format.delimiter, format.quoting)) return "a quote is not closed";
      if (fields.views().size() != format.num_fields)
        return fmt::format("{} fields where {} were expected: {}", fields.views().size(), format.num_fields, shown(record));
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      const ColumnSource& c = columns[i];
      Cell& cell = cells[i];
      cell.null = false;
      std::string fault;
      if (c.is_constant) {
        fault = read_text(c, c.constant, cell);
      } else if (format.json) {
        auto found = find_path(root, c.from);
        if (found.error())
          cell.null = true;
        else
          fault = read_json(c, found.value_unsafe(), cell);
      } else {
        const std::string_view text = fields.views()[size_t(c.index)];
        if (is_null(text))
          cell.null = true;
        else
          fault = read_text(c, text, cell);
      }
      if (!fault.empty()) return fault;
      if (cell.null && c.field.name == "ts") return "'ts' is missing";
    }
    return "";
  }
};

RecordReader::RecordReader(const ReadEvents& params, const RecordFormat& format, const std::vector<std::string>& wanted)
    : state_(std::make_unique<State>(params, format)) {
  for (const auto& c : format.columns) {
    bool needed = std::find(wanted.begin(), wanted.end(), c.field.name) != wanted.end();
    if (!needed && c.field.name != "ts") continue;  // ts is read in any case: rows without a time are bad rows in every job
    state_->columns.push_back(c);
    state_->wanted.push_back(needed);
    if (needed) state_->schema->add(c.field);
  }
  state_->cells.resize(state_->columns.size());
  take();
}
RecordReader::~RecordReader() = default;

std::string RecordReader::add(std::string_view record) {
  auto& s = *state_;
  if (s.decoder) {
    if (!s.decoder->decode(record, s.decoded)) return fmt::format("not valid {}", s.params.encoding);
    record = s.decoded;
  } else if (s.check_utf8 && !text::is_valid_utf8(record)) {
    return fmt::format("not valid UTF-8: {}", text::repair_utf8(record.substr(0, 50)));
  }
  std::string fault = s.read_cells(record);
  if (!fault.empty()) return fault;
  size_t out = 0;
  for (size_t i = 0; i < s.columns.size(); ++i) {
    if (!s.wanted[i]) continue;
    data::Column& column = s.built[out++];
    const auto& cell = s.cells[i];
    if (cell.null) {
      column.append_null();
      continue;
    }
    switch (column.type()) {
      case Type::kBool: column.append(uint8_t(cell.whole)); break;
      case Type::kInt32: column.append(int32_t(cell.whole)); break;
      case Type::kFloat32: column.append(float(cell.number)); break;
      case Type::kFloat64: column.append(cell.number); break;
      case Type::kString: column.append_string(cell.text); break;
      case Type::kListString:
        for (const auto& word : cell.list) column.add_list_string(word);
        column.end_list();
        break;
      default: column.append(cell.whole); break;
    }
  }
  return "";
}

int64_t RecordReader::num_rows() const { return state_->built.empty() ? 0 : state_->built[0].size(); }

data::Batch RecordReader::take() {
  auto& s = *state_;
  std::vector<data::ColumnPtr> columns;
  for (auto& c : s.built) columns.push_back(std::make_shared<data::Column>(std::move(c)));
  s.built.clear();
  for (const auto& f : s.schema->fields()) s.built.emplace_back(f.type);
  if (columns.empty()) return data::Batch::empty(*s.schema);
  return data::Batch(s.schema, std::move(columns));
}

}  // namespace throng::op
