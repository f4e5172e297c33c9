#include "framework/data/aggregation.h"

#include <charconv>
#include <cmath>

#include "framework/base/suggest.h"
#include "framework/data/accumulators.h"
#include "framework/data/function_call.h"

namespace throng::data {

using namespace accumulators;  // NOLINT: the states of this door

std::vector<std::pair<std::string, std::string>> Aggregate::functions() {
  return {{"count()", "rows"},
          {"count(x)", "rows where x is not null"},
          {"sum(x)", "whole numbers exactly, floats in the dataset's order"},
          {"mean(x)", "arithmetic mean"},
          {"min(x)", "smallest number, text, time"},
          {"max(x)", "largest number, text, time"},
          {"variance(x)", "of the sample (n - 1)"},
          {"stddev(x)", "of the sample"},
          {"variance_pop(x)", "of the population (n)"},
          {"stddev_pop(x)", "of the population"},
          {"quantile(x, q)", "value at share q (0 to 1), within 1 % (DDSketch, Masson et al., VLDB 2019)"},
          {"median(x)", "quantile(x, 0.5)"},
          {"count_distinct(x)", "distinct values, exactly"},
          {"approx_distinct(x)", "distinct values, with a standard error of 1.6 % (HyperLogLog, Flajolet et al., 2007)"},
          {"top_k(x, k)", "list of the k most frequent values, ties by text"},
          {"first(x)", "value at the smallest ts; first(x, t) at the smallest t"},
          {"last(x)", "value at the largest ts; last(x, t) at the largest t"}};
}

class AggregateBinder {
 public:
  AggregateBinder(Aggregate& a, const std::string& text, const Schema& input) : a_(a), text_(text), input_(input) {}

  void bind() {
    auto call = FunctionCall::parse(text_);
    if (!call) fail("expected function(column or expression), such as sum(value)");
    name_ = call->name;
    args_ = call->arguments;
    b_.arguments = a_.arguments_ = std::make_shared<std::vector<Expression>>();
    if (name_ == "count") return bind_count();
    if (name_ == "sum" || name_ == "mean") return bind_sum();
    if (name_ == "variance" || name_ == "stddev" || name_ == "variance_pop" || name_ == "stddev_pop") return bind_variance();
    if (name_ == "min" || name_ == "max" || name_ == "first" || name_ == "last") return bind_extreme();
    if (name_ == "count_distinct" || name_ == "approx_distinct") return bind_distinct();
    if (name_ == "quantile" || name_ == "median") return bind_quantile();
    if (name_ == "top_k") return bind_top_k();
    std::vector<std::string> known;
    for (const auto& [signature, meaning] : Aggregate::functions()) known.push_back(signature.substr(0, signature.find('(')));
    throw job_error("aggregate '{}': unknown function '{}'", a_.name_, name_).with_hint(suggest(name_, known));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw job_error("aggregate '{}' is '{}': {}", a_.name_, text_, what); }
  void take(size_t most) {
    if (args_.empty() || args_.size() > most) fail(fmt::format("{} takes {} argument{}", name_, most == 1 ? "1" : "1 or 2", most == 1 ? "" : "s"));
    for (size_t i = 0; i < args_.size(); ++i) b_.arguments->emplace_back(args_[i], input_);
  }
  Type type(size_t i) const { return (*b_.arguments)[i].type(); }
  void need_number(size_t i) const {
    if (!is_number(type(i))) fail(fmt::format("{} of a {}; expected a number", name_, type_name(type(i))));
  }
  double constant(size_t i, const char* what) {
    double v = 0;
    auto [p, code] = std::from_chars(args_[i].data(), args_[i].data() + args_[i].size(), v);
    if (code != std::errc() || p != args_[i].data() + args_[i].size()) fail(fmt::format("'{}' is no {}", args_[i], what));
    args_.resize(i);
    return v;
  }
  std::string zone() const {
    for (const auto& e : *b_.arguments)
      for (const auto& c : e.columns())
        if (input_.at(c).type == Type::kTimestamp) return input_.at(c).time_zone;
    return "";
  }
  // Names the state columns and keeps the maker.
  template <class Make, class... Args>
  void finish(Type result, std::vector<Type> state, Make make, Args... args) {
    a_.result_ = {a_.name_, result, result == Type::kTimestamp ? zone() : ""};
    for (size_t i = 0; i < state.size(); ++i) a_.state_.push_back({a_.name_ + "." + std::to_string(i), state[i], state[i] == Type::kTimestamp ? zone() : ""});
    b_.result = a_.result_, b_.state = a_.state_;
    a_.make_settled_ = a_.make_ = [b = b_, make, args...] { return make(b, args...); };
    a_.settled_state_ = a_.state_;
  }

  void bind_count() {
    if (!args_.empty()) take(1);
    finish(Type::kInt64, {Type::kInt64}, make_count);
  }
  void bind_sum() {
    take(1);
    need_number(0);
    const bool mean = name_ == "mean";
    if (is_float(type(0)) || mean) finish(Type::kFloat64, {Type::kFloat64, Type::kInt64}, make_sum, false, mean);
    else finish(Type::kInt64, {Type::kInt64, Type::kInt64}, make_sum, true, false);
  }
  void bind_variance() {
    take(1);
    need_number(0);
    finish(Type::kFloat64, {Type::kInt64, Type::kFloat64, Type::kFloat64}, make_variance, name_.ends_with("_pop"), name_.starts_with("stddev"));
  }
  void bind_extreme() {
    const bool by_time = name_ == "first" || name_ == "last", largest = name_ == "max" || name_ == "last";
    if (by_time && args_.size() == 1) args_.push_back("ts");
    take(by_time ? 2 : 1);
    if (by_time && type(1) != Type::kTimestamp && !is_integer(type(1))) fail(fmt::format("ordered by a {}; expected a time", type_name(type(1))));
    if (is_list(type(0))) fail(fmt::format("{} of a {}", name_, type_name(type(0))));
    std::vector<Type> state{type(0)};
    if (by_time) state.push_back(Type::kInt64);
    finish(type(0), state, make_extreme, largest, by_time);
  }
  void bind_distinct() {
    take(1);
    finish(Type::kInt64, {Type::kListInt32}, name_ == "count_distinct" ? make_count_distinct : make_approx_distinct);
    if (name_ != "count_distinct") return;
    a_.grows_ = true;
    Bound counts = b_;  // of values that no other state has: they add up
    counts.state[0].type = Type::kInt64;
    a_.settled_state_ = counts.state;
    a_.make_settled_ = [counts] { return make_count(counts); };
  }
  void bind_quantile() {
    b_.number = 0.5;
    if (name_ == "quantile") {
      if (args_.size() != 2) fail("quantile takes a number and a share, such as quantile(value, 0.9)");
      b_.number = constant(1, "share from 0 to 1");
      if (!(b_.number >= 0 && b_.number <= 1)) fail("the share must lie between 0 and 1");
    }
    take(1);
    need_number(0);
    finish(Type::kFloat64, {Type::kListInt32}, make_quantile);
  }
  void bind_top_k() {
    if (args_.size() != 2) fail("top_k takes a value and a number, such as top_k(item, 3)");
    b_.number = constant(1, "whole number above 0");
    if (!(b_.number >= 1) || b_.number != std::floor(b_.number) || b_.number > 1e6) fail("the number must be a whole one from 1 to 1,000,000");
    take(1);
    if (type(0) != Type::kString && !is_integer(type(0))) fail(fmt::format("top_k of a {}; expected text or whole numbers", type_name(type(0))));
    finish(Type::kListString, {Type::kListString, Type::kListInt32}, make_top_k);
    a_.grows_ = true;
  }

  Aggregate& a_;
  const std::string& text_;
  const Schema& input_;
  std::string name_;
  std::vector<std::string> args_;
  Bound b_;
};

Aggregate::Aggregate(std::string name, const std::string& text, const Schema& input) : name_(std::move(name)) { AggregateBinder(*this, text, input).bind(); }
Aggregate::~Aggregate() = default;
Aggregate::Aggregate(Aggregate&&) noexcept = default;

Aggregate Aggregate::settled() const {
  Aggregate a;
  a.name_ = name_, a.result_ = result_, a.state_ = a.settled_state_ = settled_state_;
  a.arguments_ = std::make_shared<std::vector<Expression>>();
  a.make_ = a.make_settled_ = make_settled_;
  return a;
}

std::vector<uint64_t> Aggregate::hash_values(const Batch& rows) const {
  std::vector<uint64_t> hashes(size_t(rows.num_rows()), 0x7fb5d329728ea185);
  (*arguments_)[0].evaluate_shared(rows)->hash_rows(hashes);
  return hashes;
}

std::vector<std::string> Aggregate::columns() const {
  std::vector<std::string> names;
  for (const auto& e : *arguments_)
    for (const auto& c : e.columns()) names.push_back(c);
  return names;
}

NamedExpression NamedExpression::parse(const std::string& item) {
  size_t as = item.rfind(" as ");
  if (as == std::string::npos) return {item, ""};
  std::string name = item.substr(as + 4);
  name.erase(0, name.find_first_not_of(' '));
  name.erase(name.find_last_not_of(' ') + 1);
  return {name, item.substr(0, as)};
}

}  // namespace throng::data
