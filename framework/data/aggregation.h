// Aggregate functions over groups of rows: sums, extremes, sketches. In two steps: rows to states, states to results.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/data/expression.h"

namespace throng::data {

/// States of one aggregate for many groups. Nulls are left out, as in SQL. Not shared between threads.
///
/// Results do not depend on how rows are cut: integers and sketches are exact in any order; sums of floats depend on the order of
/// `add` and `merge`, which the caller keeps.
class Accumulator {
 public:
  virtual ~Accumulator() = default;
  /// Takes rows; row r belongs to group group_of[r], and group g has sizes[g] of them (Groups::sizes).
  virtual void add(const Batch& rows, std::span<const uint32_t> group_of, std::span<const int64_t> sizes) = 0;
  /// Takes states, of group_of[r] < num_groups, which `rows` holds under the aggregate's state columns.
  virtual void merge(const Batch& rows, std::span<const uint32_t> group_of, size_t num_groups) = 0;
  /// The state columns, a row for each group.
  virtual std::vector<Column> states(size_t num_groups) = 0;
  /// The columns of the settled state (Aggregate::settled), where none of a group's values comes again in another state.
  virtual std::vector<Column> settled_states(size_t num_groups) { return states(num_groups); }
  virtual Column results(size_t num_groups) = 0;
};

/// One aggregate of a job: a name and `function(expression, ..)`, checked against the rows' schema.
class Aggregate {
 public:
  /// A job error for an unknown function, a wrong number or type of arguments.
  Aggregate(std::string name, const std::string& text, const Schema& input);
  ~Aggregate();
  Aggregate(Aggregate&&) noexcept;

  const Field& result() const { return result_; }
  const std::vector<Field>& state() const { return state_; }
  /// Columns of the rows that it reads.
  std::vector<std::string> columns() const;
  std::unique_ptr<Accumulator> accumulator() const { return make_(); }

  /// True where the state holds every value of its group.
  bool grows() const { return grows_; }
  /// Hashes of the values that the state would hold, by which rows may be dealt out; only where it grows.
  std::vector<uint64_t> hash_values(const Batch& rows) const;
  /// The aggregate that puts settled states together: states of one group that have no value in common, each small. Its own states are
  /// such, too; it takes no rows.
  Aggregate settled() const;

  /// Signatures and meanings, for the reference page.
  static std::vector<std::pair<std::string, std::string>> functions();

 private:
  friend class AggregateBinder;
  Aggregate() = default;
  std::string name_;
  Field result_;
  std::vector<Field> state_, settled_state_;
  bool grows_ = false;
  std::shared_ptr<std::vector<Expression>> arguments_;
  std::function<std::unique_ptr<Accumulator>()> make_, make_settled_;
};

/// Column or "expression as name", as in `by: [action, "hour(ts) as hour"]`.
struct NamedExpression {
  std::string name;
  std::string text;
  static NamedExpression parse(const std::string& item);
};

}  // namespace throng::data
