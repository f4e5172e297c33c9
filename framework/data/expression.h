// Expressions over columns: parsed and type-checked once, evaluated on whole batches. SQL's rules for nulls.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "framework/data/batch.h"
#include "framework/data/column_range.h"
#include "framework/data/group_key.h"

namespace throng::data {

/// For example `action == 'buy' and value > 10`, `hour(ts)`, `lower(text)`, `if(value is null, 0, value * 1.2)`.
///
/// Operators: + - * / // (whole division) %, == = != <> < <= > >=, and or not (also && || !), is [not] null,
/// [not] in (..), [not] between a and b, [not] like 'a%_', [not] ilike .., case when .. then .. else .. end, cast(x as int) (an error
/// where the value does not fit), try_cast (null). Numbers, 'text', "text", true, false, null; `column` in backquotes.
/// Comparing a timestamp with text reads the text as a time. timestamp - timestamp is seconds; timestamp + number adds
/// seconds. Whole numbers overflow to a data error; x / 0 is null. `functions()` lists the functions.
class Expression {
 public:
  /// A job error with the character's position for syntax, unknown names and wrong types.
  Expression(const std::string& text, const Schema& schema);
  ~Expression();
  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;

  Type type() const;
  /// The columns it reads.
  std::vector<std::string> columns() const;
  /// One value per row. Thread-safe.
  Column evaluate(const Batch& batch) const;
  /// The same; where the expression is a column of the batch, that column itself, whose numbers may be narrower than type().
  ColumnPtr evaluate_shared(const Batch& batch) const;
  /// The same to group by: codes where they are cheaper to make, as for the day of a time.
  GroupKey evaluate_key(const Batch& batch) const;
  /// For bool expressions: 1 where true, 0 where false or null.
  std::vector<uint8_t> evaluate_filter(const Batch& batch) const;

  /// For bool expressions: false where no row with such statistics can make it true. Looks at comparisons of columns with constants,
  /// in, between, is null, and at what and and or make of them; anything else may hold.
  bool may_hold(const StatisticsOf& statistics) const;

  /// Signatures and meanings of all functions, for the reference page.
  static std::vector<std::pair<std::string, std::string>> functions();

  struct Node;

 private:
  int column_of(const Batch& batch) const;  // -1: not just a column

  std::unique_ptr<Node> root_;
  std::string text_;
};

}  // namespace throng::data
