// What the operators of an expression make of their arguments. Internal to framework/data.
#pragma once
#include "framework/data/expression_node.h"

namespace throng::data::expression {

/// Less than, equal to or greater than zero: row r of a against that of b, of types that compare. NaN is above all numbers.
int compare_values(const ExpressionValues& a, const ExpressionValues& b, size_t r);
/// == != < <= > >=
ExpressionValues compare(const std::string& op, ExpressionValues a, ExpressionValues b, size_t n);
/// and, or
ExpressionValues logic(const std::string& op, const ExpressionValues& a, const ExpressionValues& b, size_t n);
/// + - * / // %; a data error where a whole number does not fit.
ExpressionValues arithmetic(const Expression::Node& node, const ExpressionValues& a, const ExpressionValues& b, size_t n);
/// not, -
ExpressionValues unary(const Expression::Node& node, const ExpressionValues& a, size_t n);

}  // namespace throng::data::expression
