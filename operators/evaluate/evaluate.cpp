#include "operators/evaluate/evaluate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "framework/data/vocabulary.h"
#include "framework/graph/holdout_seen.h"
#include "framework/graph/registry.h"
#include "operators/evaluate/measures.h"

namespace throng::op {
namespace {

using data::Type;
using nlohmann::json;

constexpr int64_t kExactScores = int64_t{1} << 24;
constexpr size_t kMostCells = 1'000'000;

bool is_real(Type t) { return t == Type::kFloat32 || t == Type::kFloat64; }
bool is_class(Type t) { return t == Type::kString || t == Type::kBool || is_integer(t); }
std::string text_of(const data::Column& c, int64_t row) {
  if (c.type() == Type::kString) return std::string(c.string(row));
  return c.type() == Type::kBool ? (c.as_int64(row) ? "true" : "false") : std::to_string(c.as_int64(row));
}
// To 15 bits of the fraction.
double rounded(double score) { return std::bit_cast<double>((std::bit_cast<uint64_t>(score) + (uint64_t{1} << 36)) & ~((uint64_t{1} << 37) - 1)); }

// Sums over the rows of a group in one partition.
enum Field { kRows, kError, kErrorSquared, kErrorFourth, kAbsolute, kLogLoss, kLogLossSquared, kBrier, kBrierSquared, kFields };
using Sums = std::array<double, kFields>;

// Sum of squares around the mean, without the cancellation of sums of squares; portions are put together in one order (Chan et al., 1979).
struct Spread {
  double n = 0, mean = 0, squares = 0;
  void add(const Spread& o) {
    if (o.n == 0) return;
    const double all = n + o.n, off = o.mean - mean;
    squares += o.squares + off * off * n * o.n / all, mean += off * o.n / all, n = all;
  }
};

// The values of a group, each with its length, or null.
using Name = std::string;
void put_value(Name& name, const std::optional<std::string>& value) { name += value ? std::to_string(value->size()) + ":" + *value : "-"; }
std::vector<std::optional<std::string>> values_of(const Name& name) {
  std::vector<std::optional<std::string>> values;
  for (size_t at = 0; at < name.size();) {
    if (name[at] == '-') {
      values.emplace_back(), ++at;
      continue;
    }
    const size_t colon = name.find(':', at), size = std::stoull(name.substr(at, colon - at));
    values.emplace_back(name.substr(colon + 1, size)), at = colon + 1 + size;
  }
  return values;
}

class EvaluateOperator : public graph::CollectiveOperator {
 public:
  explicit EvaluateOperator(Evaluate params) : params_(std::move(params)) {}

  data::Schema bind(const std::vector<data::Schema>& inputs) override {
    const auto& input = inputs[0];
    const bool holdout = std::any_of(input.fields().begin(), input.fields().end(), [](const auto& f) { return f.name == graph::kHoldoutColumn; });
    if (params_.rows == "holdout" && !holdout) throw job_error("'rows' is holdout, but the input has no column '{}'", graph::kHoldoutColumn).with_hint("'split' makes one");
    held_only_ = params_.rows != "all" && holdout;
    scored_ = !params_.score.empty();
    if (scored_ == params_.positive.empty()) throw job_error("'score' and 'positive' go together: the column of probabilities, and the class they are of");
    likely_ = !params_.likelihood.empty();
    if (scored_ && likely_) throw job_error("'score' and 'likelihood' do not go together: the log loss is of '{}' against the rest, or of all classes", params_.positive).with_hint("make it two steps");
    predicted_ = !params_.predicted.empty();
    if (!predicted_ && !scored_ && !likely_) throw job_error("'predicted' is empty; expected a column, or 'score' and 'positive', or 'likelihood'");
    if (held_only_ && input.at(std::string(graph::kHoldoutColumn)).type != Type::kBool)
      throw job_error("column '{}' is {}; expected true and false", graph::kHoldoutColumn, data::type_name(input.at(std::string(graph::kHoldoutColumn)).type));
    const Type actual = input.at(params_.actual).type, predicted = predicted_ ? input.at(params_.predicted).type : actual;
    regression_ = params_.task == "regression" || (params_.task == "auto" && (is_real(actual) || is_real(predicted)));
    if (regression_ && (scored_ || likely_)) throw job_error("'{}' goes with classes, but '{}' is {}", scored_ ? "score" : "likelihood", params_.actual, data::type_name(actual));
    for (const auto& name : predicted_ ? std::vector{params_.actual, params_.predicted} : std::vector{params_.actual}) {
      const Type type = input.at(name).type;
      if (regression_ ? !is_real(type) && !is_integer(type) : !is_class(type))
        throw job_error("column '{}' is {}; expected {}", name, data::type_name(type), regression_ ? "numbers" : "text, whole numbers, or true and false");
    }
    for (const auto& name : {params_.score, params_.likelihood})
      if (!name.empty() && !is_real(input.at(name).type)) throw job_error("column '{}' is {}; expected probabilities", name, data::type_name(input.at(name).type));
    output_ = data::Schema();
    for (const auto& name : params_.by) {
      if (!is_class(input.at(name).type)) throw job_error("column '{}' is {}; expected text, whole numbers, or true and false", name, data::type_name(input.at(name).type));
      output_.add({name, Type::kString});
    }
    for (const char* name : {"measure", "class"}) output_.add({name, Type::kString});
    for (const char* name : {"value", "low", "high"}) output_.add({name, Type::kFloat64});
    output_.add({"rows", Type::kInt64});
    return output_;
  }
  graph::Names needed_columns(size_t, const data::Schema& schema, const graph::Names&) const override {
    graph::Names names = params_.by;
    names.push_back(params_.actual);
    if (predicted_) names.push_back(params_.predicted);
    if (scored_) names.push_back(params_.score);
    if (likely_) names.push_back(params_.likelihood);
    if (held_only_)
      for (const auto& name : graph::holdout_columns(schema)) names.push_back(name);
    return names;
  }

  void run(graph::CollectiveContext& context) override {
    auto& comm = context.comm();
    exact_ = context.num_rows(0) <= kExactScores;
    const int64_t first = context.first_owned(0);
    std::vector<std::map<Name, Part>> parts(size_t(context.end_owned(0) - first));
    std::map<std::string, Group> mine;
    graph::HoldoutSeen holdout;
    std::mutex mutex;
    context.pool().parallel_for(parts.size(), [&](size_t i) {
      std::map<std::string, Group> local;
      graph::HoldoutSeen seen;
      const data::Batch batch = context.read(0, first + int64_t(i), {});
      look_at(batch, parts[i], local);
      if (held_only_) seen.see(batch);
      std::lock_guard lock(mutex);
      holdout.add(seen);
      for (auto& [name, group] : local) mine[name].add(group);
    });
    // All ranks' groups, then their sums in the order of partitions, and their counts, which are whole numbers.
    std::map<std::string, size_t> groups;
    json names = json::array();
    for (const auto& part : parts)
      for (const auto& [name, sums] : part) groups[name];
    for (const auto& [name, i] : groups) names.push_back(bytes_of(name));
    for (const auto& text : comm.allgather(names.dump()))
      for (const auto& name : json::parse(text)) groups[text_of_bytes(name)];
    size_t number = 0;
    for (auto& [name, i] : groups) i = number++;
    std::vector<std::vector<double>> vectors(parts.size(), std::vector<double>(groups.size() * kFields));
    for (size_t p = 0; p < parts.size(); ++p)
      for (const auto& [name, one] : parts[p]) std::copy(one.sums.begin(), one.sums.end(), &vectors[p][groups.at(name) * kFields]);
    const auto total = data::sum_over_partitions(comm, vectors, groups.size() * kFields);
    const auto packed = comm.gather(pack(mine, groups));
    std::string spreads;
    for (const auto& part : parts)
      for (const auto& [name, one] : part) {
        const uint64_t group = groups.at(name);
        spreads.append(reinterpret_cast<const char*>(&group), sizeof group), spreads.append(reinterpret_cast<const char*>(&one.spread), sizeof one.spread);
      }
    holdout.add_ranks(comm);
    const auto of_ranks = comm.gather(spreads);  // ranks hold ascending partitions
    auto& output = context.output("", output_, 1);
    if (comm.rank() != 0) return;
    std::vector<Group> all(groups.size());
    for (const auto& text : packed) unpack(text, all);
    for (const auto& text : of_ranks)
      for (size_t at = 0; at < text.size(); at += sizeof(uint64_t) + sizeof(Spread)) {
        uint64_t group;
        Spread spread;
        std::memcpy(&group, &text[at], sizeof group), std::memcpy(&spread, &text[at + sizeof group], sizeof spread);
        all[group].spread.add(spread);
      }
    if (scored_ && !groups.empty()) {
      const bool there = std::any_of(all.begin(), all.end(), [](const Group& g) { return std::any_of(g.scores.begin(), g.scores.end(), [](const auto& s) { return s.second.second > 0; }); });
      if (!there) throw data_error("no row has '{}' in column '{}', whose probability is to be judged", params_.positive, params_.actual);
    }
    write(context, groups, total, all, holdout, output);
  }

 private:
  struct Group {
    Confusion confusion;
    ScoreCounts scores;
    Spread spread;  // of the actual numbers
    void add(const Group& o) {
      for (const auto& [cell, n] : o.confusion) confusion[cell] += n;
      for (const auto& [score, n] : o.scores) scores[score].first += n.first, scores[score].second += n.second;
    }
  };
  struct Part {
    Sums sums{};
    Spread spread;
  };
  // JSON holds UTF-8 only; a column of bytes may not be.
  static json bytes_of(const std::string& text) { return json(std::vector<uint8_t>(text.begin(), text.end())); }
  static std::string text_of_bytes(const json& j) {
    std::string text;
    for (uint8_t byte : j.get<std::vector<uint8_t>>()) text += char(byte);
    return text;
  }

  void look_at(const data::Batch& batch, std::map<Name, Part>& part, std::map<std::string, Group>& groups) const {
    const auto train = graph::training_rows(batch);
    const auto& actual = batch.column(params_.actual);
    const data::Column *predicted = predicted_ ? &batch.column(params_.predicted) : nullptr, *score = scored_ ? &batch.column(params_.score) : nullptr,
                       *likelihood = likely_ ? &batch.column(params_.likelihood) : nullptr;
    int64_t left_out = 0;
    for (int64_t r = 0; r < batch.num_rows(); ++r) {
      if (held_only_ && train[size_t(r)]) continue;
      if (!actual.is_valid(r) || (predicted && !predicted->is_valid(r)) || (score && !score->is_valid(r)) || (likelihood && !likelihood->is_valid(r))) {
        ++left_out;
        continue;
      }
      std::string name;
      for (const auto& by : params_.by) put_value(name, batch.column(by).is_valid(r) ? std::optional(text_of(batch.column(by), r)) : std::nullopt);
      Part& of_group = part[name];
      Sums& sums = of_group.sums;
      sums[kRows] += 1;
      if (regression_) {
        const double y = actual.as_double(r), error = predicted->as_double(r) - y, square = error * error;
        sums[kError] += error, sums[kErrorSquared] += square, sums[kErrorFourth] += square * square, sums[kAbsolute] += std::abs(error);
        of_group.spread.add({1, y, 0});
        continue;
      }
      Group& group = groups[name];
      if (predicted) {
        ++group.confusion[{text_of(actual, r), text_of(*predicted, r)}];
        if (group.confusion.size() > kMostCells) throw data_error("columns '{}' and '{}' have more than {} pairs of classes", params_.actual, params_.predicted, kMostCells).with_hint("are they classes?");
      }
      if (likelihood) {
        const double loss = -std::log(std::max(1e-15, probability(*likelihood, params_.likelihood, r)));
        sums[kLogLoss] += loss, sums[kLogLossSquared] += loss * loss;
      }
      if (!score) continue;
      const double p = probability(*score, params_.score, r);
      const bool positive = text_of(actual, r) == params_.positive;
      auto& counts = group.scores[exact_ ? p : rounded(p)];
      ++(positive ? counts.second : counts.first);
      const double kept = std::clamp(p, 1e-15, 1 - 1e-15), loss = -std::log(positive ? kept : 1 - kept), off = p - double(positive), brier = off * off;
      sums[kLogLoss] += loss, sums[kLogLossSquared] += loss * loss, sums[kBrier] += brier, sums[kBrierSquared] += brier * brier;
    }
    counters().add("rows_without_a_value", left_out);
  }

  static double probability(const data::Column& column, const std::string& name, int64_t row) {
    const double p = column.as_double(row);
    if (!(p >= 0 && p <= 1)) throw data_error("column '{}' has {}; expected probabilities from 0 to 1", name, p);
    return p;
  }

  static std::string pack(const std::map<std::string, Group>& groups, const std::map<std::string, size_t>& numbers) {
    std::string text;
    auto put = [&](const auto& value) { text.append(reinterpret_cast<const char*>(&value), sizeof value); };
    auto put_text = [&](const std::string& s) { put(uint64_t(s.size())), text += s; };
    for (const auto& [name, group] : groups) {
      put(uint64_t(numbers.at(name))), put(uint64_t(group.confusion.size())), put(uint64_t(group.scores.size()));
      for (const auto& [cell, n] : group.confusion) put_text(cell.first), put_text(cell.second), put(n);
      for (const auto& [score, n] : group.scores) put(score), put(n.first), put(n.second);
    }
    return text;
  }
  static void unpack(const std::string& text, std::vector<Group>& groups) {
    size_t at = 0;
    auto get = [&](auto& value) { std::memcpy(&value, &text[at], sizeof value), at += sizeof value; };
    auto get_text = [&] {
      uint64_t size;
      get(size);
      at += size;
      return text.substr(at - size, size);
    };
    while (at < text.size()) {
      uint64_t number, cells, scores;
      get(number), get(cells), get(scores);
      for (uint64_t i = 0; i < cells; ++i) {
        std::string actual = get_text(), predicted = get_text();
        int64_t n;
        get(n);
        groups[number].confusion[{std::move(actual), std::move(predicted)}] += n;
        if (groups[number].confusion.size() > kMostCells) throw data_error("there are more than {} pairs of classes", kMostCells).with_hint("are they classes?");
      }
      for (uint64_t i = 0; i < scores; ++i) {
        double score;
        std::pair<int64_t, int64_t> n;
        get(score), get(n.first), get(n.second);
        groups[number].scores[score].first += n.first, groups[number].scores[score].second += n.second;
      }
    }
  }

  std::vector<Measure> measures(const double* sums, const Group& group) const {
    const bool interval = params_.bootstrap > 0;
    const double n = sums[kRows];
    if (regression_) {
      std::vector<Measure> result{mean("mse", n, sums[kErrorSquared], sums[kErrorFourth], interval)};
      const Measure& mse = result[0];
      result.push_back({"rmse", "", std::sqrt(mse.value), std::sqrt(std::max(0.0, mse.low)), std::sqrt(mse.high)});
      result.push_back(mean("mae", n, sums[kAbsolute], sums[kErrorSquared], interval));
      result.push_back(mean("bias", n, sums[kError], sums[kErrorSquared], interval));
      const double r2 = group.spread.squares > 0 ? 1 - sums[kErrorSquared] / group.spread.squares : std::nan("");
      result.push_back({"r2", "", r2, std::nan(""), std::nan("")});
      return result;
    }
    std::vector<Measure> result;
    if (predicted_) result = classification(group.confusion, params_.bootstrap, seed);
    if (likely_) {
      result.push_back(mean("log_loss", n, sums[kLogLoss], sums[kLogLossSquared], interval));
      const Measure& loss = result.back();
      result.push_back({"perplexity", "", std::exp(loss.value), std::exp(loss.low), std::exp(loss.high)});
    }
    if (scored_) {
      result.push_back(area_under_curve(group.scores, interval));
      result.push_back(mean("log_loss", n, sums[kLogLoss], sums[kLogLossSquared], interval));
      result.push_back(mean("brier", n, sums[kBrier], sums[kBrierSquared], interval));
    }
    return result;
  }

  void write(graph::CollectiveContext& context, const std::map<std::string, size_t>& groups, const std::vector<double>& total, const std::vector<Group>& all, const graph::HoldoutSeen& holdout, data::DatasetWriter& output) const {
    std::vector<data::Column> columns;
    for (const auto& field : output_.fields()) columns.emplace_back(field.type);
    const size_t by = params_.by.size();
    auto put = [](data::Column& column, double value) {
      if (std::isnan(value)) column.append_null();
      else column.append(value);
    };
    json result = json::object();
    for (const auto& [name, i] : groups)
      for (const auto& m : measures(&total[i * kFields], all[i])) {
        const auto values = values_of(name);
        for (size_t k = 0; k < by; ++k)
          if (values[k]) columns[k].append_string(*values[k]);
          else columns[k].append_null();
        columns[by].append_string(m.name);
        if (m.of_all) columns[by + 1].append_null();
        else columns[by + 1].append_string(m.of_class);
        put(columns[by + 2], m.value);
        const bool with = params_.bootstrap > 0;
        put(columns[by + 3], with ? m.low : std::nan("")), put(columns[by + 4], with ? m.high : std::nan(""));
        columns[by + 5].append(int64_t(total[i * kFields + kRows]));
        if (by > 0 || std::isnan(m.value)) continue;
        if (m.of_all) result[m.name] = m.value;
        if (m.of_all && with && !std::isnan(m.low)) result["interval95"][m.name] = {m.low, m.high};
      }
    const int64_t rows = [&] {
      double n = 0;
      for (const auto& [name, i] : groups) n += total[i * kFields + kRows];
      return int64_t(n);
    }();
    result["rows"] = rows;
    result["protocol"] = fmt::format("{}; {}{}", held_only_ ? fmt::format("held-out rows: those that are marked{}", holdout.when()) : "all rows", regression_ ? "numbers" : "classes",
                                     params_.bootstrap > 0 ? fmt::format("; intervals: 95 %, of counts from {} bootstrap samples of rows, of means by their variance{}", params_.bootstrap, scored_ ? ", of AUC by DeLong's" : "") : "");
    if (scored_ && !exact_) result["protocol"] = result["protocol"].get<std::string>() + "; scores rounded to 15 bits of their fraction for the AUC";
    output.write(0, data::Batch(output_, std::move(columns)));
    context.metric("result", result.dump());
  }

  Evaluate params_;
  bool held_only_ = false, scored_ = false, likely_ = false, predicted_ = true, regression_ = false, exact_ = true;
  data::Schema output_;
};

}  // namespace
}  // namespace throng::op

void register_evaluate(throng::graph::Registry& registry) { registry.add<throng::op::Evaluate, throng::op::EvaluateOperator>(); }
