#include "operators/over/window_functions.h"

#include <charconv>
#include <cstdlib>

#include "framework/base/suggest.h"
#include "framework/data/function_call.h"
#include "operators/over/sliding.h"

namespace throng::op {

using data::Column;
using data::Type;

// ------------------------------------------------------------------------------------------------------------------ frames

Frame Frame::parse(const std::vector<std::string>& rows) {
  Frame frame;
  if (rows.empty()) return frame;
  const char* hint = "such as rows: [-24, -1], or [unbounded, 0]";
  if (rows.size() != 2) throw job_error("'rows' has {} value{}; expected two, from and to", rows.size(), rows.size() == 1 ? "" : "s").with_hint(hint);
  auto read = [&](const std::string& text) -> std::optional<int64_t> {
    if (text == "unbounded") return {};
    int64_t v = 0;
    auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (code != std::errc() || end != text.data() + text.size()) throw job_error("'rows' names '{}'; expected a whole number or unbounded", text).with_hint(hint);
    return std::clamp(v, -kFar, kFar);
  };
  frame.from = read(rows[0]), frame.to = read(rows[1]), frame.with_ties = false;
  if (frame.from && frame.to && *frame.from > *frame.to) throw job_error("'rows' goes from {} to {}: it ends before it begins", rows[0], rows[1]).with_hint(hint);
  return frame;
}

void OrderedRows::set_frames(const Frame& frame) {
  from.resize(size_t(batch.num_rows())), to.resize(size_t(batch.num_rows()));
  for_each_partition([&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) {
      from[size_t(r)] = frame.from ? std::clamp(r + *frame.from, first, end) : first;
      to[size_t(r)] = frame.to ? std::clamp(r + *frame.to + 1, first, end) : end;
    }
  });
  if (!frame.with_ties) return;
  for (size_t t = 0; t + 1 < ties.size(); ++t) std::fill(to.begin() + ties[t], to.begin() + ties[t + 1], ties[t + 1]);
}

// ------------------------------------------------------------------------------------------------------------------ functions

namespace {

// The rows named; null for kNone.
constexpr int64_t kNone = -1;
Column take(const Column& column, std::vector<int64_t> rows) {
  if (std::find(rows.begin(), rows.end(), kNone) == rows.end()) return column.take(rows);
  Column with_null = column;
  with_null.append_null();
  std::replace(rows.begin(), rows.end(), kNone, column.size());
  return with_null.take(rows);
}

// All values move by as many rows; those at the edge of a partition have none to come from.
Column shifted_fixed(const OrderedRows& rows, const Column& x, int64_t by) {
  const int64_t n = x.size(), distance = std::min(std::abs(by), n);
  Column out = Column::zeros(x.type(), n);
  const size_t edge_bytes = size_t(distance) * data::value_bytes(x.type());
  const auto from = x.values<std::byte>();
  const auto to = out.mutable_values<std::byte>();
  std::copy(from.begin() + ptrdiff_t(by < 0 ? 0 : edge_bytes), from.end() - ptrdiff_t(by < 0 ? edge_bytes : 0), to.begin() + ptrdiff_t(by < 0 ? edge_bytes : 0));
  rows.for_each_partition([&](int64_t first, int64_t end) {
    const int64_t edge = std::min(distance, end - first), begin = by < 0 ? first : end - edge;
    for (int64_t r = begin; r < begin + edge; ++r) out.set_null(r);
  });
  for (int64_t r = 0; x.has_nulls() && r < n; ++r)
    if (r + by >= 0 && r + by < n && !x.is_valid(r + by)) out.set_null(r);
  return out;
}

Column shifted(const OrderedRows& rows, const Column& x, int64_t by) {
  if (data::is_fixed(x.type())) return shifted_fixed(rows, x, by);
  std::vector<int64_t> take_from(size_t(x.size()));
  rows.for_each_partition([&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) take_from[size_t(r)] = r + by >= first && r + by < end ? r + by : kNone;
  });
  return take(x, std::move(take_from));
}

Column frame_ends(const OrderedRows& rows, const Column& x, bool last) {
  std::vector<int64_t> ends(size_t(x.size()));
  for (size_t r = 0; r < ends.size(); ++r) ends[r] = rows.from[r] == rows.to[r] ? kNone : last ? rows.to[r] - 1 : rows.from[r];
  return take(x, std::move(ends));
}

Column numbers(const OrderedRows& rows) { return Column::zeros(Type::kInt64, rows.batch.num_rows()); }

Column row_numbers(const OrderedRows& rows) {
  Column out = numbers(rows);
  auto v = out.mutable_values<int64_t>();
  rows.for_each_partition([&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) v[size_t(r)] = r - first + 1;
  });
  return out;
}

Column ranks(const OrderedRows& rows, bool dense) {
  Column out = numbers(rows);
  auto v = out.mutable_values<int64_t>();
  size_t t = 0;
  rows.for_each_partition([&](int64_t first, int64_t end) {
    for (int64_t dense_rank = 1; rows.ties[t] < end; ++t, ++dense_rank)
      std::fill(v.begin() + rows.ties[t], v.begin() + rows.ties[t + 1], dense ? dense_rank : rows.ties[t] - first + 1);
  });
  return out;
}

// Parts differ by at most one row, the larger ones first.
Column tiles(const OrderedRows& rows, int64_t n) {
  Column out = numbers(rows);
  auto v = out.mutable_values<int64_t>();
  rows.for_each_partition([&](int64_t first, int64_t end) {
    const int64_t size = (end - first) / n, larger = (end - first) % n, in_larger = larger * (size + 1);
    for (int64_t r = first; r < end; ++r) {
      const int64_t at = r - first;
      v[size_t(r)] = 1 + (at < in_larger ? at / (size + 1) : larger + (at - in_larger) / size);
    }
  });
  return out;
}

}  // namespace

// ------------------------------------------------------------------------------------------------------------------ one column

WindowFunction::WindowFunction(std::string name, std::string text, const data::Schema& input) : name_(std::move(name)), text_(std::move(text)) {
  parse();
  bind(input);
}

void WindowFunction::fail(const std::string& what) const { throw job_error("column '{}' is '{}': {}", name_, text_, what); }

void WindowFunction::parse() {
  auto call = data::FunctionCall::parse(text_);
  if (!call) fail("expected function(column or expression), such as lag(action)");
  function_ = call->name, arguments_ = call->arguments;
  if (std::find(arguments_.begin(), arguments_.end(), "") != arguments_.end()) fail("an argument is empty");
}

int64_t WindowFunction::whole_argument(size_t i, int64_t least) const {
  const std::string& text = arguments_[i];
  int64_t v = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (code != std::errc() || end != text.data() + text.size() || v < least) fail(fmt::format("'{}' is no whole number from {}", text, least));
  return std::min(v, Frame::kFar);
}

void WindowFunction::bind_argument(const data::Schema& input) {
  std::string_view name = arguments_[0];
  if (name.size() > 2 && name.front() == '`' && name.find('`', 1) == name.size() - 1) name = name.substr(1, name.size() - 2);
  if (input.has(name)) {
    column_ = name;
    argument_field_ = input.at(name);
    return;
  }
  try {
    expression_.emplace(arguments_[0], input);
  } catch (Error& e) {
    e.prefix(fmt::format("column '{}': ", name_));
    throw;
  }
  argument_field_ = {name_, expression_->type()};
  if (expression_->type() != Type::kTimestamp) return;
  for (const auto& c : expression_->columns())
    if (input.at(c).type == Type::kTimestamp) argument_field_.time_zone = input.at(c).time_zone;
}

void WindowFunction::need_number() const {
  if (!is_number(argument_field_.type)) fail(fmt::format("{} of a {}; expected a number", function_, data::type_name(argument_field_.type)));
}

void WindowFunction::bind(const data::Schema& input) {
  const std::string& f = function_;
  static const std::vector<std::string> known{"lag", "lead", "row_number", "rank", "dense_rank", "ntile", "first", "last", "count", "sum", "mean", "min", "max", "variance", "stddev", "variance_pop", "stddev_pop"};
  if (std::find(known.begin(), known.end(), f) == known.end()) throw job_error("column '{}': unknown function '{}'", name_, f).with_hint(suggest(f, known));
  const size_t n = arguments_.size();
  auto takes = [&](size_t least, size_t most, const char* what) {
    if (n < least || n > most) fail(fmt::format("{} takes {}", f, what));
  };
  result_ = {name_, Type::kInt64};
  if (f == "row_number" || f == "rank" || f == "dense_rank") {
    takes(0, 0, "no argument");
    needs_ties_ = f != "row_number";
    values_ = [f](const OrderedRows& rows, const Column&) { return f == "row_number" ? row_numbers(rows) : ranks(rows, f == "dense_rank"); };
    return;
  }
  if (f == "ntile") {
    takes(1, 1, "a number of parts");
    values_ = [parts = whole_argument(0, 1)](const OrderedRows& rows, const Column&) { return tiles(rows, parts); };
    return;
  }
  if (f == "lag" || f == "lead") {
    takes(1, 2, "a value and how many rows, such as lag(action, 2)");
    const int64_t by = n == 2 ? whole_argument(1, 0) : 1;
    bind_argument(input);
    values_ = [by = f == "lag" ? -by : by](const OrderedRows& rows, const Column& x) { return shifted(rows, x, by); };
    result_.type = argument_field_.type, result_.time_zone = argument_field_.time_zone;
    return;
  }
  needs_frames_ = true;
  takes(f == "count" ? 0 : 1, 1, f == "count" ? "1 argument or none" : "1 argument");
  if (n == 1) bind_argument(input);
  const Type type = argument_field_.type;
  if (f == "count") {
    values_ = [n](const OrderedRows& rows, const Column& x) { return n == 0 ? frame_sizes(rows) : frame_counts(rows, x); };
  } else if (f == "first" || f == "last" || f == "min" || f == "max") {
    const bool extreme = f == "min" || f == "max";
    if (extreme && is_list(type)) fail(fmt::format("{} of a {}", f, data::type_name(type)));
    result_.type = type, result_.time_zone = argument_field_.time_zone;
    values_ = [f, extreme](const OrderedRows& rows, const Column& x) {
      return extreme ? take(x, frame_extremes(rows, x, f == "max")) : frame_ends(rows, x, f == "last");
    };
  } else {
    need_number();
    const bool mean = f == "mean";
    if (is_float(type) || (f != "sum")) result_.type = Type::kFloat64;
    if (mean || f == "sum") values_ = [mean](const OrderedRows& rows, const Column& x) { return frame_sums(rows, x, mean); };
    else values_ = [population = f.ends_with("_pop"), root = f.starts_with("stddev")](const OrderedRows& rows, const Column& x) { return frame_variances(rows, x, population, root); };
  }
}

std::vector<std::string> WindowFunction::columns() const {
  if (expression_) return expression_->columns();
  return column_.empty() ? std::vector<std::string>{} : std::vector<std::string>{column_};
}

Column WindowFunction::evaluate(const OrderedRows& rows) const {
  try {
    if (!column_.empty()) return values_(rows, rows.batch.column(column_));
    return values_(rows, expression_ ? expression_->evaluate(rows.batch) : Column(Type::kInt64));
  } catch (Error& e) {
    e.prefix(fmt::format("column '{}': ", name_));
    throw;
  }
}

}  // namespace throng::op
