#include "operators/read_events/record_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "framework/text/unicode.h"
#include "operators/read_events/field_block.h"
#include "operators/read_events/field_values.h"
#include "operators/read_events/json_values.h"
#include "operators/read_events/record_fields.h"
#include "operators/read_events/record_scan.h"

namespace throng::op {

using data::Type;

std::string_view without_line_break(std::string_view record) {
  if (!record.empty() && record.back() == '\n') record.remove_suffix(1);
  if (!record.empty() && record.back() == '\r') record.remove_suffix(1);
  return record;
}

struct RecordReader::State {
  const ReadEvents& params;
  const RecordFormat& format;
  FieldValues values;
  std::vector<ColumnSource> columns;
  std::shared_ptr<data::Schema> schema = std::make_shared<data::Schema>();
  std::vector<data::Column> built;
  std::vector<Cell> cells;
  std::vector<uint8_t> wanted;  // by column: it is read for the output, not only to be checked
  Fields fields;
  std::optional<text::Decoder> decoder;
  std::string decoded;
  simdjson::dom::parser parser;
  std::deque<std::string> minified;  // values of this record that are not strings
  RecordScan marks;
  std::optional<FieldBlock> block;
  std::vector<std::string_view> block_records;

  State(const ReadEvents& p, const RecordFormat& f) : params(p), format(f), values(p) {
    const std::string name = text::to_lower(p.encoding);
    if (name != "utf-8" && name != "utf8") decoder.emplace(p.encoding);
  }

  std::string read_json(const ColumnSource& c, simdjson::dom::element e, Cell& cell) {
    if (e.is_null()) return cell.null = true, "";
    if (e.is_string()) return values.read(c.field, std::string_view(e), cell);
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
    return values.read(c.field, text, cell);
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
        fault = values.read(c.field, c.constant, cell);
      } else if (format.json) {
        auto found = find_path(root, c.from);
        if (found.error())
          cell.null = true;
        else
          fault = read_json(c, found.value_unsafe(), cell);
      } else {
        const std::string_view text = fields.views()[size_t(c.index)];
        if (values.is_null(text))
          cell.null = true;
        else
          fault = values.read(c.field, text, cell);
      }
      if (!fault.empty()) return fault;
      if (cell.null && c.field.name == "ts") return "'ts' is missing";
    }
    return "";
  }

  void append_cells() {
    size_t out = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (!wanted[i]) continue;
      data::Column& column = built[out++];
      const Cell& cell = cells[i];
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
  }

  void append_block(size_t begin, size_t end) {
    size_t out = 0;
    for (size_t i = 0; i < columns.size(); ++i)
      if (wanted[i]) block->append(i, begin, end, built[out++]);
  }
};

RecordReader::RecordReader(const ReadEvents& params, const RecordFormat& format, const std::vector<std::string>& wanted)
    : state_(std::make_unique<State>(params, format)) {
  auto& s = *state_;
  for (const auto& c : format.columns) {
    bool needed = std::find(wanted.begin(), wanted.end(), c.field.name) != wanted.end();
    if (!needed && c.field.name != "ts") continue;  // ts is read in any case: rows without a time are bad rows in every job
    s.columns.push_back(c);
    s.wanted.push_back(needed);
    if (needed) s.schema->add(c.field);
  }
  s.cells.resize(s.columns.size());
  if (reads_blocks() && std::all_of(s.columns.begin(), s.columns.end(), FieldBlock::reads)) s.block.emplace(s.values, s.columns);
  take();
}
RecordReader::~RecordReader() = default;

std::string RecordReader::add(std::string_view record) {
  auto& s = *state_;
  if (s.decoder) {
    if (!s.decoder->decode(record, s.decoded)) return fmt::format("not valid {}", s.params.encoding);
    record = s.decoded;
  } else if (!simdjson::validate_utf8(record)) {
    return fmt::format("not valid UTF-8: {}", text::repair_utf8(record.substr(0, 50)));
  }
  std::string fault = s.read_cells(record);
  if (fault.empty()) s.append_cells();
  return fault;
}

bool RecordReader::reads_blocks() const { return !state_->format.json && !state_->decoder; }

size_t RecordReader::add_whole(std::string_view text, const Bad& bad) {
  auto& s = *state_;
  s.marks.scan(text, s.format.delimiter, s.format.quoting);
  const auto lines = s.marks.lines(), ends = s.marks.ends(), quotes = s.marks.quotes();
  if (lines.empty()) return 0;
  const size_t whole = lines.back() + size_t{1}, num_fields = s.format.num_fields;
  const bool in_blocks = s.block && simdjson::validate_utf8(text.substr(0, whole));

  auto add_one = [&](std::string_view record) {
    if (record.empty()) return;
    if (const std::string fault = add(record); !fault.empty()) bad(size_t(record.data() - text.data()), record, fault);
  };
  auto flush = [&] {
    if (!s.block || s.block->size() == 0) return;
    s.block->read();
    for (size_t i = 0; i < s.block_records.size();) {
      const size_t begin = i;
      while (i < s.block_records.size() && s.block->is_read(i)) ++i;
      if (i > begin) s.append_block(begin, i);
      else add_one(s.block_records[i++]);
    }
    s.block->clear();
    s.block_records.clear();
  };

  std::vector<std::string_view> fields(num_fields);
  size_t begin = 0, end = 0, quote = 0;  // the record's first byte, and what comes next in `ends` and `quotes`
  for (const uint32_t line : lines) {
    const std::string_view record = without_line_break(text.substr(begin, line + size_t{1} - begin));
    const size_t first_end = end, stop = begin + record.size();
    if (first_end + num_fields <= ends.size() && ends[first_end + num_fields - 1] == line) end += num_fields;
    else
      while (ends[end++] != line) {
      }
    bool plain = in_blocks && !record.empty() && end - first_end == num_fields;
    const size_t first_quote = quote;
    while (quote < quotes.size() && quotes[quote] < line) ++quote;
    // A field within quotes that holds none is what lies between them.
    size_t q = first_quote;
    for (size_t k = 0, at = begin; plain && quote > first_quote && k < num_fields; ++k) {
      const size_t field_end = k + 1 == num_fields ? stop : ends[first_end + k];
      fields[k] = text.substr(at, field_end - at);
      at = ends[first_end + k] + size_t{1};
      size_t inside = 0;
      while (q < quote && quotes[q] < field_end) ++q, ++inside;
      if (inside == 0) continue;
      plain = inside == 2 && fields[k].size() >= 2 && fields[k].front() == '"' && fields[k].back() == '"';
      if (plain) fields[k] = fields[k].substr(1, fields[k].size() - 2);
    }
    if (plain && quote > first_quote) {
      s.block->add([&](size_t k) { return fields[k]; });
    } else if (plain) {
      s.block->add([&](size_t k) {
        const size_t from = k == 0 ? begin : ends[first_end + k - 1] + size_t{1};
        return text.substr(from, (k + 1 == num_fields ? stop : ends[first_end + k]) - from);
      });
    }
    if (plain) s.block_records.push_back(record);
    else flush(), add_one(record);
    if (s.block && s.block->full()) flush();
    begin = line + size_t{1};
  }
  flush();
  return whole;
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
