// Names and types, before any row is read.
#include "framework/base/suggest.h"
#include "framework/data/expression_node.h"

namespace throng::data {
namespace {
using Node = Expression::Node;

class Checker {
 public:
  Checker(const std::string& text, const Schema& schema) : text_(text), schema_(schema) {
    for (const Field& f : schema.fields())
      if (f.type == Type::kTimestamp && !f.time_zone.empty()) zone_ = TimeZone(f.time_zone);
  }

  void check(Node& n) {
    n.zone = zone_;
    for (auto& a : n.args) check(*a);
    switch (n.kind) {
      case Node::Kind::kLiteral: return;
      case Node::Kind::kColumn: {
        int i = schema_.find(n.name);
        if (i < 0) fail_expression(text_, n.at, fmt::format("no column '{}'", n.name), suggest(n.name, schema_.names()));
        Type t = schema_[size_t(i)].type;
        n.type = is_integer(t) ? Type::kInt64 : is_float(t) ? Type::kFloat64 : t;
        return;
      }
      case Node::Kind::kUnary:
        give_null(*n.args[0], n.name == "not" ? Type::kBool : Type::kInt64);
        n.type = n.args[0]->type;
        if (n.name == "not" ? n.type != Type::kBool : !is_number(n.type))
          fail_expression(text_, n.at, fmt::format("'{}' of a {}", n.name, type_name(n.type)));
        return;
      case Node::Kind::kIsNull:
        give_null(*n.args[0], Type::kInt64);
        n.type = Type::kBool;
        return;
      case Node::Kind::kIn:
        for (size_t i = 1; i < n.args.size(); ++i) comparable(n, *n.args[0], *n.args[i]);
        n.type = Type::kBool;
        return;
      case Node::Kind::kBinary: return check_binary(n);
      case Node::Kind::kCall: return check_call(n);
    }
  }

 private:
  static void give_null(Node& n, Type type) {
    if (!n.is_null) return;
    n.type = type;
    n.literal = ExpressionValues();
    n.literal.type = type, n.literal.constant = true, n.literal.valid.push_back(0);
    if (type == Type::kString || is_list(type)) {
      auto c = std::make_shared<Column>(type);
      c->append_null();
      n.literal.s = c;
    } else if (is_float(type)) {
      n.literal.f.push_back(0);
    } else {
      n.literal.i.push_back(0);
    }
  }
  // Text that stands beside a timestamp is read as a time, once.
  void time_literal(Node& text) {
    auto us = parse_time(text.literal.s->string(0), zone_);
    if (!us) fail_expression(text_, text.at, fmt::format("'{}' is not a time", text.name), "for example '2024-05-01' or '2024-05-01T12:30:00Z'");
    text.type = text.literal.type = Type::kTimestamp;
    text.literal.i.push_back(*us);
    text.literal.s.reset();
  }
  void comparable(const Node& n, Node& a, Node& b) {
    give_null(a, b.type), give_null(b, a.type);
    auto is_text_literal = [](const Node& x) { return x.kind == Node::Kind::kLiteral && x.type == Type::kString && !x.is_null; };
    if (a.type == Type::kTimestamp && is_text_literal(b)) time_literal(b);
    if (b.type == Type::kTimestamp && is_text_literal(a)) time_literal(a);
    bool fits = (a.type == b.type || (is_number(a.type) && is_number(b.type))) && !is_list(a.type);
    if (!fits)
      fail_expression(text_, n.at, fmt::format("'{}' between {} and {}", n.name, type_name(a.type), type_name(b.type)),
                   "convert one side: int(x), float(x), string(x), timestamp(x)");
  }
  void check_binary(Node& n) {
    Node &a = *n.args[0], &b = *n.args[1];
    if (n.name == "and" || n.name == "or") {
      give_null(a, Type::kBool), give_null(b, Type::kBool);
      for (auto& arg : n.args)
        if (arg->type != Type::kBool) fail_expression(text_, arg->at, fmt::format("'{}' of a {}; expected a condition", n.name, type_name(arg->type)));
      n.type = Type::kBool;
    } else if (n.name == "==" || n.name == "!=" || n.name[0] == '<' || n.name[0] == '>') {
      comparable(n, a, b);
      n.type = Type::kBool;
    } else {
      give_null(a, b.type == Type::kTimestamp ? Type::kInt64 : b.type), give_null(b, a.type == Type::kTimestamp ? Type::kInt64 : a.type);
      bool numbers = is_number(a.type) && is_number(b.type);
      bool ta = a.type == Type::kTimestamp, tb = b.type == Type::kTimestamp;
      if (n.name == "-" && ta && tb)
        n.type = Type::kFloat64;
      else if ((n.name == "+" || n.name == "-") && ta && is_number(b.type))
        n.type = Type::kTimestamp;
      else if (n.name == "+" && a.type == Type::kString && b.type == Type::kString)
        n.kind = Node::Kind::kCall, n.name = "concat", check_call(n);
      else if (!numbers)
        fail_expression(text_, n.at, fmt::format("'{}' between {} and {}", n.name, type_name(a.type), type_name(b.type)));
      else
        n.type = n.name == "/" || is_float(a.type) || is_float(b.type) ? Type::kFloat64 : Type::kInt64;
      if (numbers && n.name == "//" && n.type == Type::kFloat64) fail_expression(text_, n.at, "'//' needs whole numbers");
    }
  }
  void check_call(Node& n) {
    n.function = find_expression_function(n.name);
    if (!n.function) {
      std::vector<std::string> known;
      for (const auto& f : expression_functions()) known.push_back(f.name);
      fail_expression(text_, n.at, fmt::format("unknown function '{}'", n.name), suggest(n.name, known));
    }
    // A null takes the type of an argument beside it.
    Type other = Type::kString;
    for (size_t k = n.name == "if" ? 1 : 0; k < n.args.size(); ++k)
      if (!n.args[k]->is_null) other = n.args[k]->type;
    for (size_t k = 0; k < n.args.size(); ++k) give_null(*n.args[k], n.name == "if" && k == 0 ? Type::kBool : other);
    std::vector<Type> types;
    for (auto& a : n.args) types.push_back(a->type);
    auto result = n.function->result(types);
    if (!result) {
      std::string given;
      for (Type t : types) given += (given.empty() ? "" : ", ") + std::string(type_name(t));
      fail_expression(text_, n.at, fmt::format("{}({}) does not fit", n.name, given), "expected " + n.function->signature);
    }
    n.type = *result;
    if (!n.function->check) return;
    std::vector<const ExpressionValues*> constants;
    for (auto& a : n.args) constants.push_back(a->kind == Node::Kind::kLiteral && !a->is_null ? &a->literal : nullptr);
    if (auto fault = n.function->check(constants)) fail_expression(text_, n.at, n.name + ": " + *fault);
  }

  const std::string& text_;
  const Schema& schema_;
  TimeZone zone_;
};

}  // namespace

void check_expression(const std::string& text, Expression::Node& root, const Schema& schema) { Checker(text, schema).check(root); }

}  // namespace throng::data
