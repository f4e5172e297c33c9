// What pages take from the system's packages: graphs laid out by graphviz, and the code of Chart.js (Debian: graphviz, libjs-chart.js).
#pragma once
#include <string>

namespace throng {

/// A name or label of the dot language, in its quotes; control characters become blanks.
std::string dot_quoted(const std::string& text);

/// The <svg> element that `dot` draws of a graph in its language; empty where dot is missing, fails, or takes more than ten seconds.
std::string svg_of_dot(const std::string& graph);

/// Empty where the package is missing.
std::string chart_code();
std::string chart_licence();

}  // namespace throng
