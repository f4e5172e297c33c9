// Text to tree, by recursive descent.
#include <charconv>

#include "framework/data/expression_node.h"
#include "framework/text/unicode.h"

namespace throng::data {
namespace {
using Node = Expression::Node;
using NodePtr = std::unique_ptr<Node>;

// Every pass over the tree is recursive: these keep it within any thread's stack.
constexpr int kDeepest = 2000, kDeepestBrackets = 200;

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
 private:
  [[noreturn]] void fail(size_t at, const std::string& what) const { fail_expression(text_, at, what); }
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

  NodePtr make(Node::Kind kind, size_t at, std::string name, std::vector<NodePtr> args) const {
    auto node = std::make_unique<Node>();
    for (const auto& arg : args) node->depth = std::max(node->depth, arg->depth + 1);
    if (node->depth > kDeepest) fail(at, "nested too deeply");
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
    bool negate = is_word(peek(), "not") && (is_word(peek(1), "in") || is_word(peek(1), "between") || is_word(peek(1), "like") || is_word(peek(1), "ilike"));
    if (negate) ++next_;
    for (const char* word : {"like", "ilike"})
      if (take_word(word)) return negate_if(negate, at, make(Node::Kind::kCall, at, word, list(std::move(left), parse_sum())));
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
    if (++depth_ > kDeepestBrackets) fail(at, "nested too deeply");
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
  // cast(x as int) is int(x), and an error where that finds no value in one that is there; try_cast gives null.
  NodePtr parse_cast(size_t at, bool strict) {
    ++next_;
    NodePtr value = parse_or();
    expect(take_word("as"), "as");
    const Token type = peek();
    static const std::pair<const char*, const char*> types[] = {{"int", "int"}, {"bigint", "int"}, {"integer", "int"}, {"float", "float"}, {"double", "float"}, {"string", "string"},
                                                                {"text", "string"}, {"varchar", "string"}, {"timestamp", "timestamp"}, {"bool", "bool"}, {"boolean", "bool"}};
    const char* function = nullptr;
    for (const auto& [word, name] : types)
      if (is_word(type, word)) function = name;
    if (!function) fail(type.at, fmt::format("cast to '{}'; expected int, float, string, timestamp or bool", type.text));
    ++next_;
    expect(take_symbol(")"), "')'");
    NodePtr node = make(Node::Kind::kCall, at, function, list(std::move(value)));
    node->strict = strict;
    return node;
  }
  NodePtr parse_primary() {
    Token t = peek();
    if (take_symbol("(")) {
      if (++depth_ > kDeepestBrackets) fail(t.at, "nested too deeply");
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
    if ((is_word(t, "cast") || is_word(t, "try_cast")) && peek().text == "(") return parse_cast(t.at, is_word(t, "cast"));
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

  const std::string& text_;
  std::vector<Token> tokens_;
  size_t next_ = 0;
  int depth_ = 0;
};

}  // namespace

void fail_expression(const std::string& text, size_t at, const std::string& what, const std::string& hint) {
  throw job_error("expression `{}`, character {}: {}", text, text::length(std::string_view(text).substr(0, at)) + 1, what).with_hint(hint);
}

NodePtr parse_expression(const std::string& text) { return Parser(text).parse(); }

}  // namespace throng::data
