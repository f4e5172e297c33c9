// Calls cut into a name and arguments.
#include "framework/data/function_call.h"

#include <gtest/gtest.h>

namespace throng::data {
namespace {

TEST(FunctionCall, CutsNameAndArguments) {
  const std::pair<const char*, std::vector<std::string>> calls[] = {
      {"count()", {"count"}},
      {" count ( ) ", {"count"}},
      {"sum(value)", {"sum", "value"}},
      {"lag( action ,\n2)", {"lag", "action", "2"}},
      {"f(a, g(b, 'c,d'), `e,f`)", {"f", "a", "g(b, 'c,d')", "`e,f`"}},
      {"f(\"it's\", ')')", {"f", "\"it's\"", "')'"}},
      {"f(,a)", {"f", "", "a"}},
      {"f(a,)", {"f", "a", ""}},
      {"(a)", {"", "a"}},
  };
  for (const auto& [text, parts] : calls) {
    const auto call = FunctionCall::parse(text);
    ASSERT_TRUE(call) << text;
    EXPECT_EQ(call->name, parts[0]) << text;
    EXPECT_EQ(call->arguments, std::vector<std::string>(parts.begin() + 1, parts.end())) << text;
  }
  for (const char* text : {"", " ", "value", "sum(value", "sum)", "(", ")", "f(a))", "f(')", "f(a) + 1", "f(a)(b", "f(a)(b))"}) EXPECT_FALSE(FunctionCall::parse(text)) << text;
}

}  // namespace
}  // namespace throng::data
