// A job: named steps and how they hang together. Built from YAML (jobs/spec) or in C++; both give the same graph.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/graph/registry.h"

namespace throng::graph {

/// A step's input: another step's main output, or a named one ("topics.words").
struct InputRef {
  std::string step, output;
  Place place;
  std::string text() const { return output.empty() ? step : step + "." + output; }
};

struct Step {
  std::string id, op;
  Value params;  ///< as given, without `op` and `from`
  std::vector<InputRef> inputs;
  Place place, op_place;
};

/// Handle of a step for use as an input.
struct StepRef {
  std::string id;
  /// A named output of this step.
  StepRef output(const std::string& name) const { return {id + "." + name}; }
};

class Job {
 public:
  explicit Job(std::string name = "job") : name(std::move(name)) {}

  std::string name;
  uint64_t seed = 1;
  std::vector<Step> steps;
  std::map<std::string, std::string> save;  ///< step -> folder
  std::map<std::string, Place> save_places;
  std::string folder;  ///< relative paths in parameters start here
  std::vector<std::string> overrides;  ///< "step.param=value" given beside the file
  std::string text;  ///< the job file as written; kept in the run directory
  Value reproduces;  ///< the section of a recipe, which a run has no use for

  /// Adds a step: job.step("tokens", op::Tokenize{.language = "zh"}, clean).
  template <class P, class... Inputs>
  StepRef step(const std::string& id, const P& params, const Inputs&... inputs) {
    Step s{id, P::kOp, write_params(params), {}, {}, {}};
    (s.inputs.push_back(parse_ref(inputs.id, {})), ...);
    steps.push_back(std::move(s));
    return {id};
  }
  static InputRef parse_ref(const std::string& text, const Place& place);
};

/// A step with its operator, in an order where inputs come first.
struct Node {
  Step step;
  const OperatorInfo* info = nullptr;
  std::unique_ptr<Operator> op;
  std::vector<size_t> inputs;         ///< nodes
  std::vector<std::string> outputs;   ///< the output of each input node that is read
  data::Schema schema;                ///< of the main output, once bound
  bool bound = false;
};

/// A checked graph. Every rank builds the same one.
struct Graph {
  std::string name;
  uint64_t seed = 1;
  std::vector<Node> nodes;
  std::map<std::string, std::string> save;
  int find(const std::string& id) const;
  /// One line per step with complete parameters: equal graphs have equal texts.
  std::string canonical() const;
};

/// A job error where a step cannot give work to so many ranks.
void check_ranks(const Graph& graph, int num_ranks);

/// The schema of what a bound graph's node reads as an input.
data::Schema input_schema(const Graph& graph, const Node& node, size_t input);

/// A node in front of another: numbers of inputs follow.
void insert_before(Graph& graph, size_t n, Node node);

/// Makes the operators and orders the steps; faults (unknown operator, parameter, input; cycles) are added.
Graph build_graph(const Job& job, Faults& faults);

/// Binds schemas from sources down; sources must have been adopted. Steps below a faulty one are left unbound.
/// With `replay`, a step that learns gives what its `apply` gives.
void bind_schemas(Graph& graph, Faults& faults, bool replay = false);

}  // namespace throng::graph
