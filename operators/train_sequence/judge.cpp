#include "operators/train_sequence/judge.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/base/hash.h"
#include "framework/base/units.h"
#include "framework/data/resampling.h"

namespace throng::op {

using data::Type;
using nlohmann::json;

double Judge::probability(std::span<const float> logits, size_t k) {
  double most = double(*std::max_element(logits.begin(), logits.end())), sum = 0;
  for (float x : logits) sum += std::exp(double(x) - most);
  return std::exp(double(logits[k]) - most) / sum;
}

void Judge::see_training(const EncodedRows& rows) {
  for (size_t r = 0; r < rows.num_rows(); ++r) {
    if (rows.use[r] != EncodedRows::kTrain && rows.use[r] != EncodedRows::kValidation) continue;
    ++training_;
    happened_ += rows.target_number[r] > 0;
    if (e_.task == Task::kCategory && rows.target_class[r] >= 0) ++transitions_[fmt::format("{} {}", rows.current_class[r], rows.target_class[r])].count;
  }
}

void Judge::learn_baselines() {
  training_ = comm_.allreduce(training_);
  happened_ = comm_.allreduce(happened_);
  if (e_.task != Task::kCategory) return;
  auto all = data::Vocabulary::build(comm_, transitions_, 1, 0);
  transitions_.clear();
  next_counts_.assign(e_.classes.size(), 0);
  for (size_t i = 0; i < all.size(); ++i) {
    int current = 0, next = 0;
    std::sscanf(all.word(i).c_str(), "%d %d", &current, &next);
    after_[current].emplace_back(-all.count(i), next);
    after_total_[current] += all.count(i);
    after_count_[{current, next}] = all.count(i);
    next_counts_[size_t(next)] += all.count(i);
  }
  for (auto& [current, list] : after_) std::sort(list.begin(), list.end());
}

int32_t Judge::markov(int32_t current) const {
  auto it = after_.find(current);
  return it == after_.end() ? 0 : it->second[0].second;
}

int32_t Judge::markov_switch(int32_t current) const {
  if (auto it = after_.find(current); it != after_.end())
    for (const auto& [count, next] : it->second)
      if (next != current) return next;
  return popular_switch(current);
}

std::vector<double> Judge::Partition::sums(int64_t number) const {
  std::vector<double> all = sums_;
  all.resize(judge_.num_sums());
  for (size_t s = 0; s < of_sequence_.size(); ++s)
    if (of_sequence_[s][0] > 0) data::add_to_samples(of_sequence_[s], Random(judge_.seed_, mix64(uint64_t(number)), s), std::span(all).subspan(kLosses));
  return all;
}

void Judge::Partition::see(size_t row, std::span<const float> out, double value) {
  const std::array<int64_t, 3> before{counts_[kKnown], counts_[kModel], counts_[kModelAt5]};
  const double loss_before = sums_[0];
  count(row, out, value);
  if (of_sequence_.empty()) return;
  auto& own = of_sequence_[size_t(std::upper_bound(rows_.starts.begin(), rows_.starts.end(), row) - rows_.starts.begin()) - 1];
  own[0] += 1, own[1] += double(counts_[kKnown] - before[0]), own[2] += double(counts_[kModel] - before[1]), own[3] += double(counts_[kModelAt5] - before[2]), own[4] += sums_[0] - loss_before;
}

void Judge::Partition::count(size_t row, std::span<const float> out, double value) {
  const Judge& j = judge_;
  ++counts_[kExamples];
  if (j.e_.task != Task::kCategory) {
    double actual = double(rows_.target_number[row]);
    examples_.push_back({row, 0, value});
    if (j.e_.task == Task::kEvent) {
      auto log_loss = [&](double p) { return -std::log(std::max(1e-12, actual > 0 ? p : 1 - p)); };
      double rate = j.training_ > 0 ? double(j.happened_) / double(j.training_) : 0.5;
      sums_[0] += log_loss(value), sums_[1] += log_loss(rate);
      counts_[kKnown] += actual > 0;
      counts_[kModel] += (value >= 0.5) == (actual > 0);
      counts_[kPopular] += (rate >= 0.5) == (actual > 0);
      counts_[kLast] += (rows_.current_number[row] > 0) == (actual > 0);
      scores_.emplace_back(float(value), actual > 0);
    } else {
      double real = actual * j.e_.target_deviation + j.e_.target_mean, last = double(rows_.current_number[row]) * j.e_.target_deviation + j.e_.target_mean;
      sums_[0] += (value - real) * (value - real);
      sums_[1] += (j.e_.target_mean - real) * (j.e_.target_mean - real);
      sums_[2] += (last - real) * (last - real);
    }
    return;
  }
  const int32_t actual = rows_.target_class[row], current = rows_.current_class[row];
  const int32_t best = int32_t(std::max_element(out.begin(), out.end()) - out.begin());
  const double likelihood = actual >= 0 ? probability(out, size_t(actual)) : std::nan("");
  examples_.push_back({row, best, probability(out, size_t(best)), likelihood});
  counts_[kModel] += best == actual;
  counts_[kPopular] += actual == 0;
  counts_[kLast] += current == actual && actual >= 0;
  counts_[kMarkov] += j.markov(current) == actual;
  if (actual >= 0) {
    ++counts_[kKnown];
    size_t better = 0;
    for (float x : out) better += x >= out[size_t(actual)];
    counts_[kModelAt5] += better <= 5;  // it is one of them itself
    sums_[0] -= std::log(std::max(1e-12, likelihood));
    // Add-one smoothing, so that unseen transitions have a finite loss.
    auto smoothed = [&](int64_t count, int64_t total) { return (double(count) + 1) / (double(total) + double(out.size())); };
    int64_t total = 0;
    for (int64_t c : j.next_counts_) total += c;
    sums_[1] -= std::log(smoothed(j.next_counts_[size_t(actual)], total));
    auto count = j.after_count_.find({current, actual});
    auto after = j.after_total_.find(current);
    sums_[2] -= std::log(smoothed(count == j.after_count_.end() ? 0 : count->second, after == j.after_total_.end() ? 0 : after->second));
  }
  if (actual == current) return;
  ++counts_[kSwitches];
  int32_t other = current == 0 && out.size() > 1 ? 1 : 0;
  for (size_t k = 0; k < out.size(); ++k)
    if (int32_t(k) != current && out[k] > out[size_t(other)]) other = int32_t(k);
  counts_[kModelSwitch] += other == actual;
  counts_[kPopularSwitch] += j.popular_switch(current) == actual;
  counts_[kMarkovSwitch] += j.markov_switch(current) == actual;
}

void Judge::add(const Partition& part) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += part.counts_[i];
  scores_.insert(scores_.end(), part.scores_.begin(), part.scores_.end());
}

data::Batch Judge::Partition::predictions(const data::Batch& batch, const data::Schema& schema, const Attended* attended) const {
  auto examples = examples_;
  std::sort(examples.begin(), examples.end(), [](const Example& a, const Example& b) { return a.row < b.row; });
  std::vector<int64_t> chosen;
  for (const auto& x : examples) chosen.push_back(int64_t(x.row));
  data::Batch kept = batch.take(chosen);
  const auto& e = judge_.e_;
  const bool category = e.task == Task::kCategory;
  Type type = category ? Type::kString : Type::kFloat64;
  data::Column actual(type), predicted(type), last(type), probability(Type::kFloat64), likelihood(Type::kFloat64);
  auto word = [&](data::Column& c, int32_t k) { k >= 0 ? c.append_string(e.classes.word(size_t(k))) : c.append_null(); };
  auto number = [&](float x) { return e.task == Task::kEvent ? double(x) : double(x) * e.target_deviation + e.target_mean; };
  for (const auto& x : examples) {
    if (category) {
      word(actual, rows_.target_class[x.row]), word(predicted, x.predicted), word(last, rows_.current_class[x.row]);
      probability.append(x.value);
      std::isnan(x.likelihood) ? likelihood.append_null() : likelihood.append(x.likelihood);
    } else {
      actual.append(number(rows_.target_number[x.row])), predicted.append(x.value), last.append(number(rows_.current_number[x.row]));
    }
  }
  kept = kept.with({"actual", type}, std::move(actual)).with({"predicted", type}, std::move(predicted)).with({"last", type}, std::move(last));
  if (category) kept = kept.with({"probability", Type::kFloat64}, std::move(probability)).with({"likelihood", Type::kFloat64}, std::move(likelihood));
  if (attended) kept = attended->with_columns(kept, chosen);
  std::vector<data::ColumnPtr> ordered;
  for (const auto& f : schema.fields()) ordered.push_back(kept.column_ptr(size_t(kept.schema().find(f.name))));
  return data::Batch(std::make_shared<data::Schema>(schema), std::move(ordered), batch.origin);
}

void Judge::add_intervals(const std::vector<double>& sums, json& j) const {
  // What a sample's sums come to; nothing where it has no such rows.
  const auto interval = [&](const auto& value) -> json {
    std::vector<double> values;
    for (size_t b = 0; b < samples_; ++b)
      if (const double v = value(&sums[kLosses + b * kOfSequence]); std::isfinite(v)) values.push_back(v);
    if (values.empty()) return nullptr;
    const auto [low, high] = data::interval95(std::move(values));
    return {low, high};
  };
  const auto rate = [&](size_t at, size_t of) { return interval([=](const double* s) { return s[at] / s[of]; }); };
  const std::string which = e_.task == Task::kEvent ? "foretold after each held-out row whose whole wait lies within the data, from it and those of its '{}' before it; held out: {}; "
                                                    : "each held-out row that has one before it is foretold from those of its '{}' before it; held out: {}; ";
  std::string protocol = fmt::format(fmt::runtime(which), e_.by,
                                     e_.marked ? fmt::format("rows that are marked{}", e_.holdout.when()) : fmt::format("a tenth of the values of '{}', by hash", e_.by));
  switch (e_.task) {
    case Task::kNumber: protocol += "square errors of the column's own numbers"; break;
    case Task::kEvent: protocol += fmt::format("does '{}' come within {}; accuracy at 0.5, equal scores count half in the AUC", e_.event, format_duration(Duration{e_.within_us})); break;
    case Task::kCategory: protocol += fmt::format("values that are none of the {} classes count as misses and have no log loss; hit rate: equal scores count as misses", e_.classes.size());
  }
  protocol += "; popular, repeat_last, markov and the rest learn from training rows";
  if (samples_ > 0 && j["holdout_examples"].get<int64_t>() > 0) {
    protocol += fmt::format("; intervals: percentiles of {} Poisson bootstrap samples of sequences", samples_);
    json& to = j["interval95"];
    if (e_.task == Task::kNumber) to["rmse"] = interval([](const double* s) { return std::sqrt(s[4] / s[0]); });
    else to["accuracy"] = rate(2, 0), to["log_loss"] = rate(4, e_.task == Task::kCategory ? 1 : 0);
    if (e_.task == Task::kCategory) to["hit_rate_at_5"] = rate(3, 0);
  }
  j["protocol"] = protocol;
}

json Judge::result(const std::vector<double>& sums) {
  json j = measures(sums);
  add_intervals(sums, j);
  return j;
}

json Judge::measures(const std::vector<double>& sums) {
  auto counts = counts_;
  comm_.allreduce(std::span(counts));
  const double n = double(std::max<int64_t>(1, counts[kExamples])), known = double(std::max<int64_t>(1, counts[kKnown]));
  const double switches = double(std::max<int64_t>(1, counts[kSwitches]));
  json j{{"holdout_examples", counts[kExamples]}};
  if (e_.task == Task::kNumber) {
    j["task"] = "number";
    j["rmse"] = {{"model", std::sqrt(sums[0] / n)}, {"mean", std::sqrt(sums[1] / n)}, {"repeat_last", std::sqrt(sums[2] / n)}};
    return j;
  }
  if (e_.task == Task::kEvent) {
    // Every rank gets all scores; the rank sum with ties at half gives the AUC.
    std::string packed(reinterpret_cast<const char*>(scores_.data()), scores_.size() * sizeof(scores_[0]));
    std::vector<std::pair<float, uint8_t>> all;
    for (const auto& part : comm_.allgather(packed)) {
      size_t at = all.size();
      all.resize(at + part.size() / sizeof(all[0]));
      if (!part.empty()) std::memcpy(static_cast<void*>(all.data() + at), part.data(), part.size());
    }
    std::sort(all.begin(), all.end());
    double wins = 0, positives = 0, negatives = 0;
    for (size_t i = 0; i < all.size();) {
      size_t end = i;
      double p = 0, q = 0;
      for (; end < all.size() && all[end].first == all[i].first; ++end) (all[end].second ? p : q) += 1;
      wins += p * negatives + 0.5 * p * q;
      positives += p, negatives += q;
      i = end;
    }
    j["task"] = "event";
    j["base_rate"] = positives / n;
    j["auc"] = positives > 0 && negatives > 0 ? json(wins / (positives * negatives)) : json(nullptr);
    j["log_loss"] = {{"model", sums[0] / n}, {"base_rate", sums[1] / n}};
    j["accuracy"] = {{"model", double(counts[kModel]) / n}, {"popular", double(counts[kPopular]) / n}, {"repeat_last", double(counts[kLast]) / n}};
    return j;
  }
  j["task"] = "category";
  j["unknown_targets"] = counts[kExamples] - counts[kKnown];
  j["accuracy"] = {{"model", double(counts[kModel]) / n}, {"popular", double(counts[kPopular]) / n}, {"repeat_last", double(counts[kLast]) / n}, {"markov", double(counts[kMarkov]) / n}};
  j["hit_rate_at_5"] = double(counts[kModelAt5]) / n;
  j["log_loss"] = {{"model", sums[0] / known}, {"popular", sums[1] / known}, {"markov", sums[2] / known}};
  j["switches"] = counts[kSwitches];
  j["switch_accuracy"] = {{"model", double(counts[kModelSwitch]) / switches}, {"popular", double(counts[kPopularSwitch]) / switches}, {"markov", double(counts[kMarkovSwitch]) / switches}};
  return j;
}

}  // namespace throng::op
