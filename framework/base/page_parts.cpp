#include "framework/base/page_parts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "framework/base/files.h"
#include "framework/base/shell.h"

namespace throng {
namespace {

namespace fs = std::filesystem;

std::string text_or_nothing(const char* path) { return fs::exists(path) ? read_file(path) : ""; }

}  // namespace

std::string dot_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : static_cast<unsigned char>(c) < 32 ? " " : std::string(1, c);
  return out + "\"";
}

std::string svg_of_dot(const std::string& graph) {
  std::string name = (temporary_folder() / "throng-graph-XXXXXX").string();
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return "";
  std::FILE* file = ::fdopen(fd, "w");
  if (!file) ::close(fd);
  const bool all = file && std::fwrite(graph.data(), 1, graph.size(), file) == graph.size();
  if (!file || std::fclose(file) != 0 || !all) {
    ::unlink(name.c_str());
    return "";
  }
  std::string svg;
  if (std::FILE* pipe = ::popen(("timeout -s KILL 10 dot -Tsvg " + shell_quoted(name) + " 2>/dev/null").c_str(), "r")) {
    char block[4096];
    for (size_t n; (n = std::fread(block, 1, sizeof block, pipe)) > 0;) svg.append(block, n);
    if (::pclose(pipe) != 0) svg.clear();
  }
  ::unlink(name.c_str());
  const size_t at = svg.find("<svg");
  return at == std::string::npos ? "" : svg.substr(at);
}

std::string chart_code() { return text_or_nothing("/usr/share/javascript/chart.js/chart.min.js"); }
std::string chart_licence() { return text_or_nothing("/usr/share/doc/libjs-chart.js/copyright"); }

}  // namespace throng
