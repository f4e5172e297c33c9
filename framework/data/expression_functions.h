// The functions of the expression language: names, types and kernels. Internal to framework/data.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "framework/data/expression_array.h"
#include "framework/data/time.h"

namespace throng::data {

/// Values of an expression while it is evaluated: whole numbers, bools and timestamps in `i`, floats in `f`, text in
/// `s` from its row `first_string` on. A constant has one value that stands for every row. A bool that is
/// null is 0.
struct ExpressionValues {
  Type type = Type::kInt64;
  bool constant = false;
  ExpressionArray<int64_t> i;
  ExpressionArray<double> f;
  std::shared_ptr<const Column> s;   // strings and lists
  size_t first_string = 0;
  AlignedVector<uint8_t> valid;      // empty: all valid

  size_t at(size_t row) const { return constant ? 0 : row; }
  bool ok(size_t row) const { return valid.empty() || valid[at(row)]; }
  int64_t whole(size_t row) const { return i[at(row)]; }
  double number(size_t row) const { return is_float(type) ? f[at(row)] : double(i[at(row)]); }
  int64_t row_of_s(size_t row) const { return int64_t(first_string + at(row)); }
  std::string_view text(size_t row) const { return s->string(row_of_s(row)); }
};

/// Whole numbers, bools or timestamps as numbers into a list of them, each of which is there once: row r has values[of_row[r]].
struct ExpressionCodes {
  AlignedVector<uint32_t> of_row;
  AlignedVector<int64_t> values;
};

struct ExpressionFunction {
  std::string name, signature, meaning;
  /// Result type for argument types, or nullopt where they do not fit.
  std::function<std::optional<Type>(const std::vector<Type>&)> result;
  /// Computes one row; called only for rows where all arguments are valid unless `sees_nulls`. Returns false for null.
  struct Row {
    int64_t i = 0;
    double f = 0;
    std::string s;
  };
  std::function<bool(const std::vector<const ExpressionValues*>&, size_t row, const TimeZone&, Row&)> compute;
  bool sees_nulls = false;
  /// All rows at once, for the commonest cases: fills `out` for rows without nulls among the arguments (for all rows, nulls too, where it
  /// `sees_nulls`), or returns false where it is not such a case.
  std::function<bool(const std::vector<const ExpressionValues*>&, size_t rows, const TimeZone&, ExpressionValues& out)> batch = {};
  /// The same as codes, where they are cheaper to make than values. Rows with nulls among the arguments may have any code.
  std::function<bool(const std::vector<const ExpressionValues*>&, size_t rows, const TimeZone&, ExpressionCodes& out)> codes = {};
  /// Looks at the arguments that are constants (the others are null pointers) and says what is wrong with them, if anything.
  std::function<std::optional<std::string>(const std::vector<const ExpressionValues*>&)> check = {};
};

const ExpressionFunction* find_expression_function(const std::string& name);
const std::vector<ExpressionFunction>& expression_functions();

}  // namespace throng::data
