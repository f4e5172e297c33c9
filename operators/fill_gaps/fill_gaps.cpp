#include "operators/fill_gaps/fill_gaps.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "framework/data/row_order.h"
#include "framework/data/time.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Column;
using data::Type;

constexpr size_t kMostTimes = 1'000'000;  // of one key

// What both ways of running share: the grid, and filling the groups of a partition.
class Grid {
 public:
  explicit Grid(FillGaps params) : params_(std::move(params)) {}

 protected:
  data::Schema bind_columns(const data::Schema& input) {
    const auto& ts = input.at(params_.ts);
    if (ts.type != Type::kTimestamp) throw job_error("column '{}' is {}; expected timestamp", ts.name, data::type_name(ts.type));
    if (params_.every.microseconds <= 0) throw job_error("'every' is 0; expected a duration such as 1h");
    zone_ = data::TimeZone(ts.time_zone);
    std::set<std::string> key{ts.name};
    for (const auto& name : params_.by) {
      const auto& field = input.at(name);
      if (is_list(field.type)) throw job_error("column '{}' is {}; rows cannot be grouped by it", name, data::type_name(field.type));
      if (!key.insert(name).second) throw job_error("'{}' is named twice", name);
    }
    start_ = bound("start", params_.start), end_ = bound("end", params_.end);
    if (start_ && slot(*start_) != *start_) throw job_error("'start' is {}, which is no start of {} windows", zone_.format(*start_), format_duration(params_.every)).with_hint(fmt::format("the one before it is {}", zone_.format(slot(*start_))));
    if (start_ && end_ && *start_ >= *end_) throw job_error("'start' is {} and 'end' {}: the grid is empty", zone_.format(*start_), zone_.format(*end_));
    if (start_ && end_) times(*start_, *end_);
    fillers_.clear();
    for (const auto& [name, how] : params_.fill) {
      if (key.count(name)) throw job_error("'fill' names '{}', which is part of the key or the time", name);
      const auto& field = input.at(name);
      if (how != "previous") fillers_.emplace(name, literal(field, how));
    }
    return input;
  }
  graph::Names columns_needed(const data::Schema& schema, const graph::Names& wanted) const {
    graph::Names names = params_.by;
    names.push_back(params_.ts);
    for (const auto& name : wanted)
      if (schema.has(name)) names.push_back(name);
    return names;
  }

  /// The rows with a time on the grid.
  data::Batch rows_on_grid(const data::Batch& batch, graph::Counters& counters) const {
    data::Batch rows = graph::rows_with(batch, {params_.ts}, counters, "rows_without_" + params_.ts);
    auto ts = rows.column(params_.ts).values<int64_t>();
    std::vector<uint8_t> keep(ts.size(), 1);
    int64_t outside = 0, known = 0;
    bool any = false;
    for (size_t r = 0; r < ts.size(); ++r) {
      if ((start_ && ts[r] < *start_) || (end_ && ts[r] >= *end_)) {
        keep[r] = 0, ++outside;
        continue;
      }
      if (any && ts[r] == known) continue;
      if (slot(ts[r]) != ts[r])
        throw data_error("'{}' is {}, which is no start of {} windows", params_.ts, zone_.format(ts[r]), format_duration(params_.every))
            .with_hint("bring times to the grid first: window and aggregate by window_start, or date_trunc")
            .at(-1, batch.origin.partition, int64_t(r));
      known = ts[r], any = true;
    }
    counters.add("rows_outside_range", outside);
    return outside ? rows.filter(keep) : rows;
  }

  /// Completes each group, whose rows ascend by time. Where a border is not given, it is `first` (`last`), or the group's own.
  data::Batch complete(const data::Batch& rows, std::span<const int64_t> starts, std::optional<int64_t> first, std::optional<int64_t> last) const {
    Rows out;
    auto ts = rows.column(params_.ts).values<int64_t>();
    std::vector<int64_t> shared;
    const bool own = !(start_ || first) || !(end_ || last);
    if (!own) shared = times(start_.value_or(first.value_or(0)), end_.value_or(last.value_or(0) + 1));
    for (size_t g = 0; g + 1 < starts.size(); ++g) {
      const int64_t begin = starts[g], end = starts[g + 1];
      std::vector<int64_t> own_times;
      if (own) own_times = times(start_.value_or(first.value_or(ts[size_t(begin)])), end_.value_or(last.value_or(ts[size_t(end - 1)]) + 1));
      int64_t r = begin;
      for (int64_t t : own ? own_times : shared) {
        if (r == end || ts[size_t(r)] != t) out.add_gap(begin, r > begin ? r - 1 : kNone, t);
        for (; r < end && ts[size_t(r)] == t; ++r) out.add(begin, r, t);
      }
    }
    // One series without rows: nothing but gaps.
    if (params_.by.empty() && rows.num_rows() == 0 && rows.origin.partition == 0 && start_ && end_)
      for (int64_t t : times(*start_, *end_)) out.add_gap(kNone, kNone, t);
    return assemble(rows, std::move(out));
  }

  FillGaps params_;
  data::TimeZone zone_;
  std::optional<int64_t> start_, end_;

 private:
  static constexpr int64_t kNone = -1;
  // For each row of the result: one that has its key, the row itself or none, the one to take previous values from, and the time.
  struct Rows {
    std::vector<int64_t> key, row, previous, time;
    void add(int64_t k, int64_t r, int64_t t) { key.push_back(k), row.push_back(r), previous.push_back(r), time.push_back(t); }
    void add_gap(int64_t k, int64_t before, int64_t t) { key.push_back(k), row.push_back(kNone), previous.push_back(before), time.push_back(t); }
  };

  std::optional<int64_t> bound(const char* name, const std::string& text) const {
    if (text.empty()) return {};
    auto t = data::parse_time(text, zone_);
    if (!t) throw job_error("'{}' is not a time: '{}'", name, text).with_hint("such as 2024-01-01 or 2024-01-01T06:00:00Z");
    return t;
  }
  int64_t slot(int64_t t) const { return zone_.window_start(t, params_.every.microseconds); }
  // A slot may be shorter than `every`, before midnight, and at a change of clocks longer, too.
  int64_t slot_after(int64_t start) const {
    const int64_t width = params_.every.microseconds, next = slot(start + width);
    return next > start ? next : slot(start + width + width / 2);
  }
  std::vector<int64_t> times(int64_t from, int64_t end) const {
    std::vector<int64_t> list;
    for (int64_t t = from; t < end; t = slot_after(t)) {
      if (list.size() == kMostTimes)
        throw job_error("'every' of {} makes more than a million times from {} to {}", format_duration(params_.every), zone_.format(from), zone_.format(end))
            .with_hint("choose a longer step, or set start and end; or are there wrong times in the data?");
      list.push_back(t);
    }
    return list;
  }

  // One row with the value that `text` names.
  Column literal(const data::Field& field, const std::string& text) const {
    Column c(field.type);
    auto number = [&]<class T>(T value) {
      auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (code != std::errc() || end != text.data() + text.size())
        throw job_error("'fill' of '{}' is '{}'; expected {} or previous", field.name, text, std::is_integral_v<T> ? fmt::format("a whole number ({})", data::type_name(field.type)) : "a number");
      c.append(value);
    };
    switch (field.type) {
      case Type::kInt32: number(int32_t{}); break;
      case Type::kInt64: number(int64_t{}); break;
      case Type::kFloat32: number(float{}); break;
      case Type::kFloat64: number(double{}); break;
      case Type::kString: c.append_string(text); break;
      case Type::kBool:
        if (text != "true" && text != "false") throw job_error("'fill' of '{}' is '{}'; expected true, false or previous", field.name, text);
        c.append(uint8_t(text == "true"));
        break;
      case Type::kTimestamp:
        if (auto t = data::parse_time(text, data::TimeZone(field.time_zone))) c.append(*t);
        else throw job_error("'fill' of '{}' is not a time: '{}'", field.name, text);
        break;
      default: throw job_error("column '{}' is {}; it can be filled by 'previous' only", field.name, data::type_name(field.type));
    }
    return c;
  }

  // The rows named; the filler's value, or null, for kNone.
  static Column take(const Column& column, const std::vector<int64_t>& rows, const Column* filler) {
    if (std::find(rows.begin(), rows.end(), kNone) == rows.end()) return column.take(rows);
    Column extended = column;
    if (filler) extended.append_row(*filler, 0);
    else extended.append_null();
    std::vector<int64_t> found = rows;
    std::replace(found.begin(), found.end(), kNone, column.size());
    return extended.take(found);
  }
  data::Batch assemble(const data::Batch& rows, Rows out) const {
    std::vector<Column> columns;
    for (const auto& field : rows.schema().fields()) {
      const Column& column = rows.column(field.name);
      const auto fill = std::find_if(params_.fill.begin(), params_.fill.end(), [&](const auto& f) { return f.first == field.name; });
      const auto filler = fillers_.find(field.name);
      if (field.name == params_.ts) {
        columns.push_back(Column::zeros(Type::kTimestamp, int64_t(out.time.size())));
        std::copy(out.time.begin(), out.time.end(), columns.back().mutable_values<int64_t>().begin());
      } else if (std::find(params_.by.begin(), params_.by.end(), field.name) != params_.by.end()) {
        columns.push_back(column.take(out.key));
      } else if (fill != params_.fill.end() && filler == fillers_.end()) {
        columns.push_back(take(column, out.previous, nullptr));
      } else {
        columns.push_back(take(column, out.row, filler == fillers_.end() ? nullptr : &filler->second));
      }
    }
    return data::Batch(rows.schema(), std::move(columns), rows.origin);
  }

  std::map<std::string, Column> fillers_;
};

// Each key by itself: the grid is given, or the key's own.
class FillKeys : public graph::KeyedOperator, private Grid {
 public:
  using Grid::Grid;
  data::Schema bind(const std::vector<data::Schema>& inputs) override { return bind_columns(inputs[0]); }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override { return columns_needed(schema, wanted); }
  graph::Names key() const override { return params_.by; }
  graph::Names order() const override { return {params_.ts}; }
  data::Batch prepare(const data::Batch& batch) const override { return rows_on_grid(batch, counters()); }
  data::Batch process(const data::Batch& rows, std::span<const int64_t> starts) const override { return complete(rows, starts, {}, {}); }
};

// The grid goes from the least to the greatest time of all keys, on which the ranks agree first.
class FillTogether : public graph::CollectiveOperator, private Grid {
 public:
  using Grid::Grid;
  data::Schema bind(const std::vector<data::Schema>& inputs) override { return schema_ = bind_columns(inputs[0]); }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override { return columns_needed(schema, wanted); }
  Contract contract(size_t) const override { return {params_.by, {params_.ts}, {}, {}}; }

  void run(graph::CollectiveContext& context) override {
    int64_t first = INT64_MAX, last = INT64_MIN;
    std::mutex mutex;
    graph::Counters ignored;  // the second pass counts
    graph::for_each_partition(context, 0, {params_.ts}, [&](const data::Batch& batch) {
      const data::Batch rows = rows_on_grid(batch, ignored);
      if (rows.num_rows() == 0) return;
      auto ts = rows.column(params_.ts).values<int64_t>();
      auto [low, high] = std::minmax_element(ts.begin(), ts.end());
      std::lock_guard lock(mutex);
      first = std::min(first, *low), last = std::max(last, *high);
    });
    first = context.comm().allreduce(first, comm::Op::kMin), last = context.comm().allreduce(last, comm::Op::kMax);
    auto& output = context.output("", schema_, context.num_partitions(0));
    graph::map_partitions(context, 0, {}, output, [&](const data::Batch& batch) {
      const data::Batch rows = rows_on_grid(batch, counters());
      return complete(rows, data::group_starts(rows, params_.by), first, last);
    });
  }
  void replay(graph::CollectiveContext& context) override { run(context); }

 private:
  data::Schema schema_;
};

}  // namespace
}  // namespace throng::op

void register_fill_gaps(throng::graph::Registry& registry) {
  using namespace throng::op;  // NOLINT
  registry.add_variants<FillGaps>(throng::graph::Shape::kKeyed, [](FillGaps params) -> std::unique_ptr<throng::graph::Operator> {
    const bool given = !params.start.empty() && !params.end.empty();
    if (given || params.range == "key" || params.by.empty()) return std::make_unique<FillKeys>(std::move(params));
    return std::make_unique<FillTogether>(std::move(params));
  });
}
