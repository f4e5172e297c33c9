#include "framework/data/expression.h"

#include <charconv>
#include <cmath>

#include "framework/base/suggest.h"
#include "framework/data/expression_functions.h"
#include "framework/text/unicode.h"

namespace throng::data {
namespace {
using Values = ExpressionValues;
}

struct Expression::Node {
  enum class Kind { kLiteral, kColumn, kUnary, kBinary, kIsNull, kIn, kCall } kind;
  size_t at = 0;     // character in the text
  std::string name;  // column, operator or function
  Type type = Type::kInt64;
  bool is_null = false;  // the literal null
  Values literal;
  const ExpressionFunction* function = nullptr;
  TimeZone zone;
  std::vector<std::unique_ptr<Node>> args;
};

namespace {
using Node = Expression::Node;
using NodePtr = std::unique_ptr<Node>;

// ------------------------------------------------------------------------------------------------ parsing

struct Token {
  enum class Kind { kEnd, kNumber, kText, kName, kQuotedName, kSymbol } kind = Kind::kEnd;
  std::string text;
  size_t at = 0;
};

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) { tokenize(); }

  NodePtr parse() {
    NodePtr node = parse_or();
    if (peek().kind != Token::Kind::kEnd) fail(peek().at, fmt::format("'{}' is not expected here", peek().text));
    return node;
  }
  [[noreturn]] void fail(size_t at, const std::string& what, const std::string& hint = "") const {
    throw job_error("expression `{}`, character {}: {}", text_, text::length(std::string_view(text_).substr(0, at)) + 1, what).with_hint(hint);
  }

 private:
  void tokenize() {
    size_t i = 0;
    const std::string& t = text_;
    auto is_name = [](unsigned char c) { return std::isalnum(c) || c == '_' || c >= 0x80; };
    while (i < t.size()) {
      unsigned char c = static_cast<unsigned char>(t[i]);
      if (std::isspace(c)) {
        ++i;
        continue;
      }
      size_t start = i;
      if (std::isdigit(c) || (c == '.' && i + 1 < t.size() && std::isdigit(static_cast<unsigned char>(t[i + 1])))) {
        while (i < t.size() && (std::isalnum(static_cast<unsigned char>(t[i])) || t[i] == '.' ||
                                ((t[i] == '-' || t[i] == '+') && (t[i - 1] == 'e' || t[i - 1] == 'E'))))
          ++i;
        tokens_.push_back({Token::Kind::kNumber, t.substr(start, i - start), start});
      } else if (is_name(c)) {
        while (i < t.size() && is_name(static_cast<unsigned char>(t[i]))) ++i;
        tokens_.push_back({Token::Kind::kName, t.substr(start, i - start), start});
      } else if (c == '\'' || c == '"' || c == '`') {
        std::string value;
        for (++i;; ++i) {
          if (i >= t.size()) fail(start, "a quote that is not closed");
          if (t[i] == char(c)) {
            if (i + 1 < t.size() && t[i + 1] == char(c)) {
              value += t[i++];
              continue;
            }
            break;
          }
          value += t[i];
        }
        ++i;
        tokens_.push_back({c == '`' ? Token::Kind::kQuotedName : Token::Kind::kText, value, start});
      } else {
        static const char* const doubles[] = {"==", "!=", "<>", "<=", ">=", "&&", "||", "//"};
        std::string symbol(1, char(c));
        for (const char* d : doubles)
          if (t.compare(i, 2, d) == 0) symbol = d;
        if (std::string_view("+-*/%()<>=!,").find(char(c)) == std::string_view::npos && symbol.size() == 1)
          fail(start, fmt::format("unexpected character '{}'", symbol));
        i += symbol.size();
        tokens_.push_back({Token::Kind::kSymbol, symbol, start});
      }
    }
    tokens_.push_back({Token::Kind::kEnd, "end", t.size()});
  }

  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(next_ + ahead, tokens_.size() - 1)]; }
  bool is_word(const Token& t, std::string_view word) const {
    if (t.kind != Token::Kind::kName || t.text.size() != word.size()) return false;
    for (size_t i = 0; i < word.size(); ++i)
      if (std::tolower(static_cast<unsigned char>(t.text[i])) != word[i]) return false;
    return true;
  }
  bool take_word(std::string_view word) { return is_word(peek(), word) ? (++next_, true) : false; }
  bool take_symbol(std::string_view symbol) {
    return peek().kind == Token::Kind::kSymbol && peek().text == symbol ? (++next_, true) : false;
  }
  void expect(bool taken, std::string_view what) {
    if (!taken) fail(peek().at, fmt::format("expected {} before '{}'", what, peek().text));
  }

  static NodePtr make(Node::Kind kind, size_t at, std::string name, std::vector<NodePtr> args) {
    auto node = std::make_unique<Node>();
    node->kind = kind, node->at = at, node->name = std::move(name), node->args = std::move(args);
    return node;
  }
  template <class... A>
  static std::vector<NodePtr> list(A... a) {
    std::vector<NodePtr> nodes;
    (nodes.push_back(std::move(a)), ...);
    return nodes;
  }

  NodePtr parse_or() {
    NodePtr left = parse_and();
    for (;;) {
      size_t at = peek().at;
      if (!take_word("or") && !take_symbol("||")) return left;
      left = make(Node::Kind::kBinary, at, "or", list(std::move(left), parse_and()));
    }
  }
  NodePtr parse_and() {
    NodePtr left = parse_not();
    for (;;) {
      size_t at = peek().at;
      if (!take_word("and") && !take_symbol("&&")) return left;
      left = make(Node::Kind::kBinary, at, "and", list(std::move(left), parse_not()));
    }
  }
  NodePtr parse_not() {
    size_t at = peek().at;
    if (take_word("not") || take_symbol("!")) return make(Node::Kind::kUnary, at, "not", list(parse_not()));
    return parse_comparison();
  }
  NodePtr negate_if(bool negate, size_t at, NodePtr node) {
    return negate ? make(Node::Kind::kUnary, at, "not", list(std::move(node))) : std::move(node);
  }
  NodePtr parse_comparison() {
    NodePtr left = parse_sum();
    size_t at = peek().at;
    if (take_word("is")) {
      bool negate = take_word("not");
      expect(take_word("null"), "null");
      return negate_if(negate, at, make(Node::Kind::kIsNull, at, "is null", list(std::move(left))));
    }
    bool negate = is_word(peek(), "not") && (is_word(peek(1), "in") || is_word(peek(1), "between"));
    if (negate) ++next_;
    if (take_word("in")) {
      expect(take_symbol("("), "'('");
      auto args = list(std::move(left));
      do args.push_back(parse_sum());
      while (take_symbol(","));
      expect(take_symbol(")"), "')'");
      return negate_if(negate, at, make(Node::Kind::kIn, at, "in", std::move(args)));
    }
    if (take_word("between")) {
      NodePtr low = parse_sum();
      expect(take_word("and"), "and");
      auto args = list(std::move(left), std::move(low), parse_sum());
      return negate_if(negate, at, make(Node::Kind::kIn, at, "between", std::move(args)));
    }
    for (const char* symbol : {"==", "=", "!=", "<>", "<=", ">=", "<", ">"}) {
      if (!take_symbol(symbol)) continue;
      std::string name = symbol == std::string_view("=") ? "==" : symbol == std::string_view("<>") ? "!=" : symbol;
      return make(Node::Kind::kBinary, at, name, list(std::move(left), parse_sum()));
    }
    return left;
  }
  NodePtr parse_sum() {
    NodePtr left = parse_product();
    for (;;) {
      size_t at = peek().at;
      std::string op = peek().text;
      if (!take_symbol("+") && !take_symbol("-")) return left;
      left = make(Node::Kind::kBinary, at, op, list(std::move(left), parse_product()));
    }
  }
  NodePtr parse_product() {
    NodePtr left = parse_unary();
    for (;;) {
      size_t at = peek().at;
      std::string op = peek().text;
      if (!take_symbol("*") && !take_symbol("/") && !take_symbol("%") && !take_symbol("//")) return left;
      left = make(Node::Kind::kBinary, at, op, list(std::move(left), parse_unary()));
    }
  }
  NodePtr parse_unary() {
    size_t at = peek().at;
    if (++depth_ > 200) fail(at, "nested too deeply");
    NodePtr node = take_symbol("-") ? make(Node::Kind::kUnary, at, "-", list(parse_unary())) : parse_primary();
    --depth_;
    return node;
  }
  NodePtr parse_case(size_t at) {
    // case when a then x [when ..] [else y] end  is  if(a, x, if(.., y))
    std::vector<std::pair<NodePtr, NodePtr>> branches;
    while (take_word("when")) {
      NodePtr condition = parse_or();
      expect(take_word("then"), "then");
      branches.emplace_back(std::move(condition), parse_or());
    }
    if (branches.empty()) fail(at, "case without when");
    NodePtr result;
    if (take_word("else")) result = parse_or();
    if (!result) result = make(Node::Kind::kLiteral, at, "", {}), result->is_null = true;
    expect(take_word("end"), "end");
    for (auto it = branches.rbegin(); it != branches.rend(); ++it)
      result = make(Node::Kind::kCall, at, "if", list(std::move(it->first), std::move(it->second), std::move(result)));
    return result;
  }
  NodePtr parse_primary() {
    Token t = peek();
    if (take_symbol("(")) {
      if (++depth_ > 200) fail(t.at, "nested too deeply");
      NodePtr inner = parse_or();
      --depth_;
      expect(take_symbol(")"), "')'");
      return inner;
    }
    ++next_;
    auto literal = make(Node::Kind::kLiteral, t.at, t.text, {});
    literal->literal.constant = true;
    if (t.kind == Token::Kind::kNumber) {
      const char* end = t.text.data() + t.text.size();
      int64_t whole = 0;
      double number = 0;
      if (auto [p, code] = std::from_chars(t.text.data(), end, whole); code == std::errc() && p == end) {
        literal->literal.type = literal->type = Type::kInt64;
        literal->literal.i.push_back(whole);
      } else if (auto [q, c] = std::from_chars(t.text.data(), end, number); c == std::errc() && q == end) {
        literal->literal.type = literal->type = Type::kFloat64;
        literal->literal.f.push_back(number);
      } else {
        fail(t.at, fmt::format("'{}' is not a number", t.text));
      }
      return literal;
    }
    if (t.kind == Token::Kind::kText) {
      auto column = std::make_shared<Column>(Type::kString);
      column->append_string(t.text);
      literal->literal.type = literal->type = Type::kString;
      literal->literal.s = std::move(column);
      return literal;
    }
    if (t.kind == Token::Kind::kName && (is_word(t, "true") || is_word(t, "false"))) {
      literal->literal.type = literal->type = Type::kBool;
      literal->literal.i.push_back(is_word(t, "true"));
      return literal;
    }
    if (is_word(t, "null")) return literal->is_null = true, std::move(literal);
    if (is_word(t, "case")) return parse_case(t.at);
    if (t.kind == Token::Kind::kName && take_symbol("(")) {
      std::vector<NodePtr> args;
      if (!take_symbol(")")) {
        do args.push_back(parse_or());
        while (take_symbol(","));
        expect(take_symbol(")"), "')'");
      }
      return make(Node::Kind::kCall, t.at, t.text, std::move(args));
    }
    if (t.kind == Token::Kind::kName || t.kind == Token::Kind::kQuotedName) return make(Node::Kind::kColumn, t.at, t.text, {});
    --next_;
    fail(t.at, t.kind == Token::Kind::kEnd ? "ends where a value was expected" : fmt::format("'{}' is not expected here", t.text));
  }

  std::string text_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int depth_ = 0;
};

// ----------------------------------------------------------------------------------------------- checking

class Checker {
 public:
  Checker(const Parser& parser, const Schema& schema) : parser_(parser), schema_(schema) {
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
        if (i < 0) parser_.fail(n.at, fmt::format("no column '{}'", n.name), suggest(n.name, schema_.names()));
        Type t = schema_[size_t(i)].type;
        n.type = is_integer(t) ? Type::kInt64 : is_float(t) ? Type::kFloat64 : t;
        return;
      }
      case Node::Kind::kUnary:
        give_null(*n.args[0], n.name == "not" ? Type::kBool : Type::kInt64);
        n.type = n.args[0]->type;
        if (n.name == "not" ? n.type != Type::kBool : !is_number(n.type))
          parser_.fail(n.at, fmt::format("'{}' of a {}", n.name, type_name(n.type)));
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
    n.literal = Values();
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
    if (!us) parser_.fail(text.at, fmt::format("'{}' is not a time", text.name), "for example '2024-05-01' or '2024-05-01T12:30:00Z'");
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
      parser_.fail(n.at, fmt::format("'{}' between {} and {}", n.name, type_name(a.type), type_name(b.type)),
                   "convert one side: int(x), float(x), string(x), timestamp(x)");
  }
  void check_binary(Node& n) {
    Node &a = *n.args[0], &b = *n.args[1];
    if (n.name == "and" || n.name == "or") {
      give_null(a, Type::kBool), give_null(b, Type::kBool);
      for (auto& arg : n.args)
        if (arg->type != Type::kBool) parser_.fail(arg->at, fmt::format("'{}' of a {}; expected a condition", n.name, type_name(arg->type)));
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
        parser_.fail(n.at, fmt::format("'{}' between {} and {}", n.name, type_name(a.type), type_name(b.type)));
      else
        n.type = n.name == "/" || is_float(a.type) || is_float(b.type) ? Type::kFloat64 : Type::kInt64;
      if (numbers && n.name == "//" && n.type == Type::kFloat64) parser_.fail(n.at, "'//' needs whole numbers");
    }
  }
  void check_call(Node& n) {
    n.function = find_expression_function(n.name);
    if (!n.function) {
      std::vector<std::string> known;
      for (const auto& f : expression_functions()) known.push_back(f.name);
      parser_.fail(n.at, fmt::format("unknown function '{}'", n.name), suggest(n.name, known));
    }
    Type other = Type::kString;
    for (auto& a : n.args)
      if (!a->is_null) other = a->type;
    for (auto& a : n.args) give_null(*a, other);
    std::vector<Type> types;
    for (auto& a : n.args) types.push_back(a->type);
    auto result = n.function->result(types);
    if (!result) {
      std::string given;
      for (Type t : types) given += (given.empty() ? "" : ", ") + std::string(type_name(t));
      parser_.fail(n.at, fmt::format("{}({}) does not fit", n.name, given), "expected " + n.function->signature);
    }
    n.type = *result;
  }

  const Parser& parser_;
  const Schema& schema_;
  TimeZone zone_;
};

// --------------------------------------------------------------------------------------------- evaluating

Values from_column(ColumnPtr column) {
  Values v;
  const Column& c = *column;
  size_t n = size_t(c.size());
  v.valid = c.valid();
  v.type = is_integer(c.type()) ? Type::kInt64 : is_float(c.type()) ? Type::kFloat64 : c.type();
  if (!is_fixed(c.type())) {
    v.s = std::move(column);
    return v;
  }
  auto copy = [&](auto values, auto& into) { into.assign(values.begin(), values.end()); };
  switch (c.type()) {
    case Type::kBool: copy(c.values<uint8_t>(), v.i); break;
    case Type::kInt32: copy(c.values<int32_t>(), v.i); break;
    case Type::kFloat32: copy(c.values<float>(), v.f); break;
    case Type::kFloat64: copy(c.values<double>(), v.f); break;
    default: copy(c.values<int64_t>(), v.i); break;
  }
  THRONG_CHECK(v.i.size() + v.f.size() == n, "{} values of {}", v.i.size() + v.f.size(), n);
  return v;
}

// Rows where all arguments are valid; empty when every row is.
AlignedVector<uint8_t> both_valid(const Values& a, const Values& b, size_t n) {
  AlignedVector<uint8_t> valid;
  if (a.valid.empty() && b.valid.empty()) return valid;
  valid.resize(n);
  for (size_t r = 0; r < n; ++r) valid[r] = a.ok(r) && b.ok(r);
  return valid;
}

int compare_values(const Values& a, const Values& b, size_t r) {
  auto three_way = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.type == Type::kString) return three_way(a.text(r).compare(b.text(r)), 0);
  if (is_float(a.type) || is_float(b.type)) {
    double x = a.number(r), y = b.number(r);
    if (std::isnan(x) || std::isnan(y)) return int(std::isnan(x)) - int(std::isnan(y));
    return three_way(x, y);
  }
  return three_way(a.whole(r), b.whole(r));
}

bool holds(const std::string& op, int c) {
  if (op == "==") return c == 0;
  if (op == "!=") return c != 0;
  if (op == "<") return c < 0;
  if (op == "<=") return c <= 0;
  if (op == ">") return c > 0;
  return c >= 0;
}

Values logic(const std::string& op, const Values& a, const Values& b, size_t n) {
  Values out;
  out.type = Type::kBool;
  out.i.resize(n);
  AlignedVector<uint8_t> valid(n, 1);
  bool nulls = false, stop = op == "or";  // the value that decides alone
  for (size_t r = 0; r < n; ++r) {
    bool va = a.ok(r), vb = b.ok(r), xa = va && a.whole(r), xb = vb && b.whole(r);
    bool decided = (va && xa == stop) || (vb && xb == stop);
    out.i[r] = decided ? stop : !stop;
    if (!decided && !(va && vb)) valid[r] = 0, out.i[r] = 0, nulls = true;
  }
  if (nulls) out.valid = std::move(valid);
  return out;
}

Values arithmetic(const Node& node, const Values& a, const Values& b, size_t n) {
  Values out;
  out.type = node.type;
  out.valid = both_valid(a, b, n);
  auto make_null = [&](size_t r) {
    if (out.valid.empty()) out.valid.assign(n, 1);
    out.valid[r] = 0;
  };
  const char op = node.name == "//" ? 'd' : node.name[0];
  if (a.type == Type::kTimestamp && b.type == Type::kTimestamp) {
    out.f.resize(n);
    for (size_t r = 0; r < n; ++r) out.f[r] = double(a.whole(r) - b.whole(r)) / 1e6;
  } else if (a.type == Type::kTimestamp) {
    out.i.resize(n);
    for (size_t r = 0; r < n; ++r) {
      if (!out.valid.empty() && !out.valid[r]) {
        out.i[r] = 0;
        continue;
      }
      double shift = (op == '-' ? -1 : 1) * b.number(r) * 1e6;
      if (!(std::fabs(shift) < 9e18) || __builtin_add_overflow(a.whole(r), int64_t(std::llround(shift)), &out.i[r]))
        throw data_error("a time {} {} seconds is out of range", op, b.number(r));
    }
  } else if (out.type == Type::kFloat64) {
    out.f.resize(n);
    for (size_t r = 0; r < n; ++r) {
      double x = a.number(r), y = b.number(r);
      if ((op == '/' || op == '%') && y == 0) {
        make_null(r);
        out.f[r] = 0;
        continue;
      }
      out.f[r] = op == '+' ? x + y : op == '-' ? x - y : op == '*' ? x * y : op == '/' ? x / y : std::fmod(x, y);
    }
  } else {
    out.i.resize(n);
    for (size_t r = 0; r < n; ++r) {
      int64_t x = a.whole(r), y = b.whole(r), z = 0;
      bool overflow = false;
      if (op == '+') overflow = __builtin_add_overflow(x, y, &z);
      if (op == '-') overflow = __builtin_sub_overflow(x, y, &z);
      if (op == '*') overflow = __builtin_mul_overflow(x, y, &z);
      if (op == 'd' || op == '%') {
        if (y == 0)
          make_null(r);
        else if (y == -1)
          overflow = op == 'd' && __builtin_sub_overflow(int64_t{0}, x, &z);
        else
          z = op == 'd' ? x / y : x % y;
      }
      if (overflow && (out.valid.empty() || out.valid[r])) throw data_error("{} {} {} does not fit a 64-bit whole number", x, node.name, y);
      out.i[r] = z;
    }
  }
  return out;
}

Values call(const Node& node, const std::vector<Values>& args, size_t n) {
  Values out;
  out.type = node.type;
  const auto& f = *node.function;
  std::vector<const Values*> pointers;
  for (const auto& a : args) pointers.push_back(&a);
  std::shared_ptr<Column> strings;
  if (node.type == Type::kString) strings = std::make_shared<Column>(Type::kString);
  else if (is_float(node.type)) out.f.resize(n);
  else out.i.resize(n);
  out.valid.assign(n, 1);
  bool nulls = false;
  ExpressionFunction::Row row;
  for (size_t r = 0; r < n; ++r) {
    bool ok = true;
    if (!f.sees_nulls)
      for (const auto& a : args) ok = ok && a.ok(r);
    ok = ok && f.compute(pointers, r, node.zone, row);
    nulls = nulls || !ok;
    out.valid[r] = ok;
    if (strings)
      ok ? strings->append_string(row.s) : strings->append_null();
    else if (is_float(node.type))
      out.f[r] = ok ? row.f : 0;
    else
      out.i[r] = ok ? row.i : 0;
  }
  if (!nulls) out.valid.clear();
  out.s = std::move(strings);
  return out;
}

Values evaluate_node(const Node& node, const Batch& batch) {
  const size_t n = size_t(batch.num_rows());
  if (node.kind == Node::Kind::kLiteral) return node.literal;
  if (node.kind == Node::Kind::kColumn) {
    int i = batch.schema().find(node.name);
    THRONG_CHECK(i >= 0, "column '{}' was pruned away", node.name);
    return from_column(batch.column_ptr(size_t(i)));
  }
  std::vector<Values> args;
  for (const auto& a : node.args) args.push_back(evaluate_node(*a, batch));
  Values out;
  out.type = node.type;
  switch (node.kind) {
    case Node::Kind::kUnary:
      out.valid = both_valid(args[0], args[0], n);
      if (is_float(node.type)) {
        out.f.resize(n);
        for (size_t r = 0; r < n; ++r) out.f[r] = -args[0].number(r);
      } else {
        out.i.resize(n);
        for (size_t r = 0; r < n; ++r) {
          int64_t x = args[0].whole(r);
          if (node.name == "-" && x == INT64_MIN) throw data_error("-({}) does not fit a 64-bit whole number", x);
          out.i[r] = node.name == "not" ? !x : -x;
        }
      }
      return out;
    case Node::Kind::kIsNull:
      out.i.resize(n);
      for (size_t r = 0; r < n; ++r) out.i[r] = !args[0].ok(r);
      return out;
    case Node::Kind::kIn: {
      out.i.resize(n);
      AlignedVector<uint8_t> valid(n, 1);
      bool nulls = false;
      for (size_t r = 0; r < n; ++r) {
        bool hit = false, unknown = !args[0].ok(r);
        if (node.name == "between") {
          bool outside = !unknown && ((args[1].ok(r) && compare_values(args[0], args[1], r) < 0) ||
                                      (args[2].ok(r) && compare_values(args[0], args[2], r) > 0));
          unknown = !outside && (unknown || !args[1].ok(r) || !args[2].ok(r));
          hit = !outside && !unknown;
        } else if (!unknown) {
          for (size_t k = 1; k < args.size() && !hit; ++k) {
            if (!args[k].ok(r)) unknown = true;
            else hit = compare_values(args[0], args[k], r) == 0;
          }
          unknown = unknown && !hit;
        }
        out.i[r] = hit;
        if (unknown) valid[r] = 0, nulls = true;
      }
      if (nulls) out.valid = std::move(valid);
      return out;
    }
    case Node::Kind::kCall: return call(node, args, n);
    default: break;
  }
  if (node.name == "and" || node.name == "or") return logic(node.name, args[0], args[1], n);
  if (node.type != Type::kBool) return arithmetic(node, args[0], args[1], n);
  out.valid = both_valid(args[0], args[1], n);
  out.i.resize(n);
  for (size_t r = 0; r < n; ++r)
    if (out.valid.empty() || out.valid[r]) out.i[r] = holds(node.name, compare_values(args[0], args[1], r));
    else out.i[r] = 0;
  return out;
}

Column to_column(const Values& v, size_t n) {
  if (v.s) {
    if (!v.constant) return *v.s;
    Column c(v.type);
    for (size_t r = 0; r < n; ++r) c.append_row(*v.s, 0);
    return c;
  }
  Column c = Column::zeros(v.type, int64_t(n));
  for (size_t r = 0; r < n; ++r) {
    if (!v.ok(r)) {
      c.set_null(int64_t(r));
      continue;
    }
    if (v.type == Type::kBool) c.mutable_values<uint8_t>()[r] = uint8_t(v.whole(r));
    else if (is_float(v.type)) c.mutable_values<double>()[r] = v.number(r);
    else c.mutable_values<int64_t>()[r] = v.whole(r);
  }
  return c;
}

void collect_columns(const Node& node, std::vector<std::string>& names) {
  if (node.kind == Node::Kind::kColumn && std::find(names.begin(), names.end(), node.name) == names.end()) names.push_back(node.name);
  for (const auto& a : node.args) collect_columns(*a, names);
}

}  // namespace

Expression::Expression(const std::string& text, const Schema& schema) : text_(text) {
  Parser parser(text);
  root_ = parser.parse();
  if (root_->is_null) throw job_error("expression `{}`: null has no type", text).with_hint("write for example float(null)");
  Checker(parser, schema).check(*root_);
}
Expression::~Expression() = default;
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;

Type Expression::type() const { return root_->type; }

std::vector<std::string> Expression::columns() const {
  std::vector<std::string> names;
  collect_columns(*root_, names);
  return names;
}

Column Expression::evaluate(const Batch& batch) const {
  try {
    return to_column(evaluate_node(*root_, batch), size_t(batch.num_rows()));
  } catch (Error& e) {
    e.prefix(fmt::format("expression `{}`: ", text_));
    throw;
  }
}

std::vector<uint8_t> Expression::evaluate_filter(const Batch& batch) const {
  Column c = evaluate(batch);
  auto values = c.values<uint8_t>();
  return {values.begin(), values.end()};  // null rows hold zero
}

std::vector<std::pair<std::string, std::string>> Expression::functions() {
  std::vector<std::pair<std::string, std::string>> list;
  for (const auto& f : expression_functions()) list.emplace_back(f.signature, f.meaning);
  return list;
}

}  // namespace throng::data
