// A job's graph as a picture, laid out by graphviz.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace throng::service {

/// `steps`: [{"id", "op", "inputs", "stored"}]. SVG in which a step's group has the id "step-" + its own, and a last line of text that is left for what it is doing;
/// empty where graphviz is missing.
std::string drawing_of(const nlohmann::json& steps);

}  // namespace throng::service
