// Graphs by graphviz, and names that have quotes in them.
#include "framework/base/page_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "framework/base/files.h"
#include "tests/support/batches.h"

namespace throng {
namespace {
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(PageParts, NamesOfTheDotLanguage) {
  EXPECT_EQ(dot_quoted("a"), "\"a\"");
  EXPECT_EQ(dot_quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c d\"");
}

TEST(PageParts, AGraphIsDrawn) {
  if (std::system("command -v dot >/dev/null") != 0) GTEST_SKIP() << "graphviz is not installed";
  const std::string svg = svg_of_dot("digraph g { " + dot_quoted("say \"hi\"") + " -> b; }");
  EXPECT_THAT(svg, StartsWith("<svg"));
  EXPECT_THAT(svg, EndsWith("</svg>\n"));
  EXPECT_THAT(svg, HasSubstr("say &quot;hi&quot;"));
  EXPECT_EQ(svg_of_dot("digraph g { a -> "), "") << "no graph";
}

TEST(PageParts, NothingIsLeftInTheTemporaryFolder) {
  testing::TemporaryFolder folder;
  const std::filesystem::path odd = folder / "it's here";
  make_folder(odd);
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before ? before : "";
  ::setenv("TMPDIR", odd.c_str(), 1);
  const std::string svg = svg_of_dot("digraph g { a; }");
  before ? ::setenv("TMPDIR", kept.c_str(), 1) : ::unsetenv("TMPDIR");
  EXPECT_EQ(svg.empty(), std::system("command -v dot >/dev/null") != 0);
  EXPECT_TRUE(std::filesystem::is_empty(odd));
}

}  // namespace
}  // namespace throng
