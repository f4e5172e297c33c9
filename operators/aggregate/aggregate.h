// operators/aggregate: one row for each group.
#pragma once
#include "framework/graph/params.h"

namespace throng::op {

/// Groups rows by columns or expressions and computes aggregates of each group, as SQL's GROUP BY; without `by` the whole input is one
/// group. Each partition is aggregated before rows travel. Rows are in order of the hash partition of their group, then ascending.
/// Functions:
///   count() count(x) sum(x) mean(x) min(x) max(x) variance(x) stddev(x) variance_pop(x) stddev_pop(x) first(x) last(x)
///   first(x, t) last(x, t) count_distinct(x) approx_distinct(x) quantile(x, q) median(x) top_k(x, k)
/// Arguments are expressions. Nulls are left out, as in SQL; sums of nothing are null. Floats are added in the dataset's order,
/// partition by partition, so that results do not depend on ranks. quantile is within 1 % (DDSketch; infinite values count as
/// 1e300), approx_distinct has a standard error of 1.6 % (HyperLogLog); the others are exact.
struct Aggregate {
  std::vector<std::string> by;
  graph::NameMap aggregates;
  std::string strategy = "auto";

  static constexpr auto kOp = "aggregate";
  static constexpr auto kSummary = "groups rows and computes sums, counts, extremes, quantiles, distinct values of each group";
  static auto fields() {
    return graph::fields(graph::field("by", &Aggregate::by, "columns, or expressions with a name: [action, \"hour(ts) as hour\"]; empty: one group"),
                         graph::field("aggregates", &Aggregate::aggregates, "name: function, such as {total: sum(value), users: count_distinct(user)}").required(),
                         graph::field("strategy", &Aggregate::strategy, "how count_distinct and top_k, which hold every value of a group, go about groups of many rows: together: each group on one rank; spread: the values of each group are dealt out over all ranks, and what is left of them is put together in a second shuffle; auto: spread for groups that by a sample have a million rows. The result is the same")
                             .one_of({"auto", "together", "spread"}));
  }
};

}  // namespace throng::op
