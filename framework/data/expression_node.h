// The tree of an expression, and the passes over it: parse, check, evaluate. Internal to framework/data.
#pragma once
#include "framework/data/expression.h"
#include "framework/data/expression_functions.h"

namespace throng::data {

struct Expression::Node {
  enum class Kind { kLiteral, kColumn, kUnary, kBinary, kIsNull, kIn, kCall } kind;
  size_t at = 0;     // byte in the text
  int depth = 1;     // levels below and with this one
  std::string name;  // column, operator or function
  Type type = Type::kInt64;
  bool is_null = false;  // the literal null
  bool strict = false;   // a call that must give a value where its arguments are there
  ExpressionValues literal;
  const ExpressionFunction* function = nullptr;
  TimeZone zone;
  std::vector<std::unique_ptr<Node>> args;
};

/// Throws a job error that names the expression and the character.
[[noreturn]] void fail_expression(const std::string& text, size_t at, const std::string& what, const std::string& hint = "");

/// Text to tree; types are not known yet.
std::unique_ptr<Expression::Node> parse_expression(const std::string& text);
/// Finds columns and functions, gives every node its type, and reads texts that stand for times.
void check_expression(const std::string& text, Expression::Node& root, const Schema& schema);
/// The values of `count` rows of a batch from `first` on, or one constant.
ExpressionValues evaluate_expression(const Expression::Node& node, const Batch& batch, size_t first, size_t count);
/// The same as codes, and a list of values that may end with a null; nullopt where values are the shorter way.
std::optional<GroupKey> code_expression(const Expression::Node& node, const Batch& batch);

}  // namespace throng::data
