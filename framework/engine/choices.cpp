#include "framework/engine/choices.h"

namespace throng::engine {
namespace {

graph::KeyedOperator& keyed(graph::Node& node) {
  auto* op = dynamic_cast<graph::KeyedOperator*>(node.op.get());
  THRONG_CHECK(op, "step '{}' is not keyed", node.step.id);
  return *op;
}

void broadcast(graph::Graph& graph, graph::Node& node) {
  auto variant = keyed(node).broadcast_variant();
  THRONG_CHECK(variant, "step '{}' cannot be given all rows of an input", node.step.id);
  std::vector<data::Schema> inputs;
  for (size_t k = 0; k < node.inputs.size(); ++k) inputs.push_back(graph::input_schema(graph, node, k));
  variant->seed = node.op->seed, variant->base_folder = node.op->base_folder;
  node.schema = variant->bind(inputs);
  node.op = std::move(variant);
}

void spread(graph::Graph& graph, size_t n, const SpreadChoice& choice) {
  static const graph::OperatorInfo info = [] {
    graph::OperatorInfo i;
    i.name = "(spread)";
    i.shape = graph::Shape::kKeyed;
    i.complete = [](const graph::Value& v) { return v; };
    return i;
  }();
  graph::Node& node = graph.nodes[n];
  auto steps = keyed(node).in_two_steps(graph::input_schema(graph, node, 0), choice.hot);
  steps.last->seed = steps.first->seed = node.op->seed;
  graph::Node first;
  first.step.id = node.step.id + ".spread";
  first.step.op = info.name;
  first.step.params.set("for", node.info->complete(node.step.params));
  first.step.params.set("hot", graph::ParamType<std::string>::write(choice.to_json().dump()));
  first.info = &info;
  first.inputs = node.inputs, first.outputs = node.outputs;
  first.schema = std::move(steps.between);
  first.op = std::move(steps.first);
  first.bound = true;
  node.op = std::move(steps.last);
  graph::insert_before(graph, n, std::move(first));
  graph.nodes[n + 1].inputs = {n}, graph.nodes[n + 1].outputs = {""};
}

}  // namespace

Choices choose(const graph::Job& job, const graph::Graph& graph, const std::map<std::string, std::string>& discovered, comm::Communicator& comm) {
  return {choose_broadcasts(job, graph, discovered, comm), choose_spreads(job, graph, discovered, comm)};
}

void apply_choices(graph::Graph& graph, const Choices& choices) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const std::string id = graph.nodes[n].step.id;
    if (auto choice = choices.broadcasts.find(id); choice != choices.broadcasts.end() && choice->second.broadcast) broadcast(graph, graph.nodes[n]);
    if (auto choice = choices.spreads.find(id); choice != choices.spreads.end() && choice->second.spreads()) spread(graph, n++, choice->second);
  }
}

}  // namespace throng::engine
