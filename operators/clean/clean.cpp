#include "operators/clean/clean.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "framework/base/suggest.h"
#include "framework/data/array_store.h"
#include "framework/data/expression.h"
#include "framework/data/row_text.h"
#include "framework/data/time.h"
#include "framework/data/vocabulary.h"
#include "framework/graph/registry.h"

namespace throng::op {
namespace {

using data::Type;

// What is learned of a numeric column.
struct Scale {
  double mean = 0, deviation = 1, low = 0, high = 1;
};

class CleanOperator : public graph::CollectiveOperator {
 public:
  explicit CleanOperator(Clean params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    input_ = inputs[0];
    for (const auto& name : params_.required) input_.at(name);
    for (const auto& name : params_.duplicate_key) input_.at(name);
    if (!params_.valid.empty()) {
      valid_.emplace(params_.valid, input_);
      if (valid_->type() != Type::kBool) throw job_error("'valid' gives a {}; expected a condition", data::type_name(valid_->type()));
    }
    for (const auto& [name, how] : params_.fill) {
      const auto& field = input_.at(name);
      if (!is_fixed(field.type) && field.type != Type::kString) throw job_error("column '{}' is {}; it cannot be filled", name, data::type_name(field.type));
      if (is_statistic(how)) {
        need_number(field, "fill");
      } else if (is_number(field.type)) {
        double v = 0;
        auto [p, code] = std::from_chars(how.data(), how.data() + how.size(), v);
        if (code != std::errc() || p != how.data() + how.size())
          throw job_error("'fill' of '{}' is '{}'; expected a number, mean, min or max", name, how);
      } else if (field.type != Type::kString) {
        throw job_error("column '{}' is {}; it can be filled by 'required' only", name, data::type_name(field.type));
      }
    }
    for (const auto& [name, how] : params_.normalize) {
      need_number(input_.at(name), "normalize");
      static const std::vector<std::string> known{"zscore", "minmax", "log1p"};
      if (std::find(known.begin(), known.end(), how) == known.end())
        throw job_error("'normalize' of '{}' is '{}'", name, how).with_hint(suggest(how, known));
    }
    return apply_schema(input_);
  }

  bool learns() const override { return true; }
  data::Schema apply_schema(const data::Schema& input) override {
    data::Schema schema = input;
    for (const auto& [name, how] : params_.normalize) schema.set({name, Type::kFloat64});
    return schema;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names& wanted) const override {
    if (params_.duplicates == "drop" && params_.duplicate_key.empty()) return schema.names();
    graph::Names names = wanted;
    auto add = [&](const graph::Names& more) { names.insert(names.end(), more.begin(), more.end()); };
    add(params_.required);
    add(params_.duplicate_key);
    if (valid_) add(valid_->columns());
    for (const auto& [name, how] : params_.fill) names.push_back(name);
    for (const auto& [name, how] : params_.normalize) names.push_back(name);
    names.push_back(std::string(graph::kHoldoutColumn));
    return names;
  }

  void run(graph::CollectiveContext& context) override {
    find_duplicates(context);
    fit(context);
    if (context.comm().rank() == 0) {
      data::ArrayStore state;
      nlohmann::json shown = nlohmann::json::object();
      for (const auto& [name, s] : scales_) {
        state.put("scale_" + name, std::vector<double>{s.mean, s.deviation, s.low, s.high});
        shown[name] = {{"mean", s.mean}, {"deviation", s.deviation}, {"min", s.low}, {"max", s.high}};
      }
      state.save(context.folder() / "clean.h5");
      if (!shown.empty()) context.metric("scales", shown.dump());
    }
    write(context);
  }
  void replay(graph::CollectiveContext& context) override {
    find_duplicates(context);
    write(context);
  }
  void load(const std::filesystem::path& folder) override {
    auto state = data::ArrayStore::load(folder / "clean.h5");
    for (const auto& name : learned_columns()) {
      const auto& v = state.doubles("scale_" + name);
      scales_[name] = {v.at(0), v.at(1), v.at(2), v.at(3)};
    }
  }

 private:
  static bool is_statistic(const std::string& how) { return how == "mean" || how == "min" || how == "max"; }
  static void need_number(const data::Field& field, const char* parameter) {
    if (!is_number(field.type)) throw job_error("column '{}' is {}; '{}' needs a number", field.name, data::type_name(field.type), parameter);
  }
  graph::Names learned_columns() const {
    graph::Names names;
    for (const auto& [name, how] : params_.fill)
      if (is_statistic(how)) names.push_back(name);
    for (const auto& [name, how] : params_.normalize)
      if (how != "log1p" && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    return names;
  }

  // Keeps the first rows of a reason for the report: the whole row, since the fault may be anywhere in it.
  void show(const data::Batch& batch, int64_t row, const std::string& reason) const {
    if (counters().wants_example(reason, batch.origin.partition, row)) counters().add_example(reason, {batch.origin.partition, row, data::row_as_json(batch, row), ""});
  }

  // 1 for rows that are complete and valid; counts the others where `count`.
  std::vector<uint8_t> sound_rows(const data::Batch& batch, bool count) const {
    std::vector<uint8_t> keep(size_t(batch.num_rows()), 1);
    int64_t missing = 0, invalid = 0;
    for (const auto& name : params_.required) {
      const auto& c = batch.column(name);
      for (size_t r = 0; r < keep.size(); ++r) {
        if (!keep[r] || c.is_valid(int64_t(r))) continue;
        keep[r] = 0, ++missing;
        if (count) show(batch, int64_t(r), "dropped_missing");
      }
    }
    if (valid_) {
      auto ok = valid_->evaluate_filter(batch);
      for (size_t r = 0; r < keep.size(); ++r) {
        if (!keep[r] || ok[r]) continue;
        keep[r] = 0, ++invalid;
        if (count) show(batch, int64_t(r), "dropped_invalid");
      }
    }
    if (count) counters().add("dropped_missing", missing), counters().add("dropped_invalid", invalid);
    return keep;
  }

  // Finds, for each partition this rank owns, the rows that repeat one earlier in the dataset. Only 128-bit hashes travel.
  void find_duplicates(graph::CollectiveContext& context) {
    repeated_.clear();
    if (params_.duplicates == "keep") return;
    struct Entry {
      uint64_t hash, second;
      int64_t partition, row;
    };
    auto& comm = context.comm();
    std::vector<std::vector<Entry>> outgoing(static_cast<size_t>(comm.size()));
    std::mutex mutex;
    graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
      graph::Names key = params_.duplicate_key.empty() ? batch.schema().names() : params_.duplicate_key;
      auto keep = sound_rows(batch, false);
      auto hashes = batch.hash_rows(key), seconds = batch.hash_rows(key, 0x5bd1e995);
      std::lock_guard lock(mutex);
      for (size_t r = 0; r < keep.size(); ++r)
        if (keep[r]) outgoing[hashes[r] % outgoing.size()].push_back({hashes[r], seconds[r], batch.origin.partition, int64_t(r)});
    });
    auto pack = [](const auto& entries) {
      Buffer b;
      append_bytes(b, entries.data(), entries.size() * sizeof(entries[0]));
      return b;
    };
    std::vector<Buffer> messages;
    for (auto& o : outgoing) messages.push_back(pack(o)), o = {};
    std::vector<Entry> mine;
    for (const auto& message : comm.alltoall(std::move(messages))) {
      size_t at = mine.size(), n = message.size() / sizeof(Entry);
      mine.resize(at + n);
      if (n) std::memcpy(mine.data() + at, message.data(), n * sizeof(Entry));
    }
    std::sort(mine.begin(), mine.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.hash, a.second, a.partition, a.row) < std::tie(b.hash, b.second, b.partition, b.row);
    });
    std::vector<std::vector<int64_t>> drops(static_cast<size_t>(comm.size()));
    const int64_t partitions = context.num_partitions(0);
    auto owner = [&](int64_t p) {
      int r = 0;
      while (data::first_partition(r + 1, comm.size(), partitions) <= p) ++r;
      return size_t(r);
    };
    for (size_t i = 1; i < mine.size(); ++i)
      if (mine[i].hash == mine[i - 1].hash && mine[i].second == mine[i - 1].second) {
        auto& d = drops[owner(mine[i].partition)];
        d.push_back(mine[i].partition);
        d.push_back(mine[i].row);
      }
    messages.clear();
    for (auto& d : drops) messages.push_back(pack(d));
    for (const auto& message : comm.alltoall(std::move(messages))) {
      std::vector<int64_t> pairs(message.size() / sizeof(int64_t));
      if (!pairs.empty()) std::memcpy(pairs.data(), message.data(), message.size());
      for (size_t i = 0; i + 1 < pairs.size(); i += 2) repeated_[pairs[i]].push_back(pairs[i + 1]);
    }
  }

  std::vector<uint8_t> kept_rows(const data::Batch& batch, bool count) const {
    auto keep = sound_rows(batch, count);
    if (auto it = repeated_.find(batch.origin.partition); it != repeated_.end()) {
      for (int64_t r : it->second) {
        keep[size_t(r)] = 0;
        if (count) show(batch, r, "dropped_duplicates");
      }
      if (count) counters().add("dropped_duplicates", int64_t(it->second.size()));
    }
    return keep;
  }

  // Mean, deviation and range of each column that needs them, over kept training rows; sums in partition order.
  void fit(graph::CollectiveContext& context) {
    const graph::Names names = learned_columns();
    const size_t n = names.size();
    if (n == 0) return;
    const int64_t first = context.first_owned(0);
    std::vector<std::vector<double>> sums(size_t(context.end_owned(0) - first), std::vector<double>(3 * n));
    std::vector<double> low(n, std::numeric_limits<double>::infinity()), high(n, -std::numeric_limits<double>::infinity());
    std::mutex mutex;
    auto pass = [&](bool deviations, const std::vector<double>& means) {
      graph::for_each_partition(context, 0, {}, [&](const data::Batch& batch) {
        auto keep = kept_rows(batch, false), train = graph::training_rows(batch);
        auto& sum = sums[size_t(batch.origin.partition - first)];
        std::fill(sum.begin(), sum.end(), 0.0);
        for (size_t k = 0; k < n; ++k) {
          const auto& c = batch.column(names[k]);
          double least = std::numeric_limits<double>::infinity(), most = -least;
          for (int64_t r = 0; r < batch.num_rows(); ++r) {
            if (!keep[size_t(r)] || !train[size_t(r)] || !c.is_valid(r)) continue;
            double v = c.as_double(r);
            sum[3 * k] += 1;
            sum[3 * k + 1] += deviations ? (v - means[k]) * (v - means[k]) : v;
            least = std::min(least, v), most = std::max(most, v);
          }
          std::lock_guard lock(mutex);
          low[k] = std::min(low[k], least), high[k] = std::max(high[k], most);
        }
      });
      return data::sum_over_partitions(context.comm(), sums, 3 * n);
    };
    std::vector<double> means(n);
    auto total = pass(false, means);
    for (size_t k = 0; k < n; ++k) means[k] = total[3 * k] > 0 ? total[3 * k + 1] / total[3 * k] : 0;
    auto squares = pass(true, means);
    for (size_t k = 0; k < n; ++k) {
      Scale s;
      s.mean = means[k];
      s.deviation = squares[3 * k] > 0 ? std::sqrt(squares[3 * k + 1] / squares[3 * k]) : 0;
      s.low = context.comm().allreduce_extreme(low[k], comm::Op::kMin);
      s.high = context.comm().allreduce_extreme(high[k], comm::Op::kMax);
      if (s.low > s.high) s.low = s.high = 0;
      scales_[names[k]] = s;
    }
  }

  void write(graph::CollectiveContext& context) {
    auto& output = context.output("", apply_schema(context.input_schema(0)), context.num_partitions(0));
    graph::map_partitions(context, 0, {}, output, [this](const data::Batch& batch) { return mend(batch.filter(kept_rows(batch, true))); });
  }

  data::Batch mend(data::Batch batch) const {
    for (const auto& [name, how] : params_.fill) {
      const auto& c = batch.column(name);
      if (!c.has_nulls()) continue;
      data::Column filled(c.type());
      int64_t count = 0;
      double number = 0;
      if (is_statistic(how)) {
        const Scale& s = scales_.at(name);
        number = how == "mean" ? s.mean : how == "min" ? s.low : s.high;
      } else if (is_number(c.type())) {
        std::from_chars(how.data(), how.data() + how.size(), number);
      }
      for (int64_t r = 0; r < c.size(); ++r) {
        if (c.is_valid(r)) {
          filled.append_row(c, r);
          continue;
        }
        ++count;
        if (c.type() == Type::kString) filled.append_string(how);
        else if (c.type() == Type::kFloat64) filled.append(number);
        else if (c.type() == Type::kFloat32) filled.append(float(number));
        else if (c.type() == Type::kInt32) filled.append(int32_t(std::llround(number)));
        else filled.append(int64_t(std::llround(number)));
      }
      counters().add("filled_" + name, count);
      batch = batch.with(batch.schema().at(name), std::move(filled));
    }
    for (const auto& [name, how] : params_.normalize) {
      const auto& c = batch.column(name);
      data::Column scaled(Type::kFloat64);
      for (int64_t r = 0; r < c.size(); ++r) {
        if (!c.is_valid(r)) {
          scaled.append_null();
          continue;
        }
        double v = c.as_double(r);
        if (how == "log1p") {
          v = v >= 0 ? std::log1p(v) : -std::log1p(-v);
        } else {
          const Scale& s = scales_.at(name);
          double width = how == "zscore" ? s.deviation : s.high - s.low;
          v = width > 0 ? (v - (how == "zscore" ? s.mean : s.low)) / width : 0;
        }
        scaled.append(v);
      }
      batch = batch.with({name, Type::kFloat64}, std::move(scaled));
    }
    return batch;
  }

  Clean params_;
  data::Schema input_;
  std::optional<data::Expression> valid_;
  std::map<std::string, Scale> scales_;
  std::map<int64_t, std::vector<int64_t>> repeated_;
};

}  // namespace
}  // namespace throng::op

void register_clean(throng::graph::Registry& registry) { registry.add<throng::op::Clean, throng::op::CleanOperator>(); }
