#include "framework/graph/job.h"

#include <set>

#include "framework/base/hash.h"

namespace throng::graph {

InputRef Job::parse_ref(const std::string& text, const Place& place) {
  size_t dot = text.find('.');
  if (dot == std::string::npos) return {text, "", place};
  return {text.substr(0, dot), text.substr(dot + 1), place};
}

int Graph::find(const std::string& id) const {
  for (size_t i = 0; i < nodes.size(); ++i)
    if (nodes[i].step.id == id) return int(i);
  return -1;
}

std::string Graph::canonical() const {
  std::string text = fmt::format("job {} seed {}\n", name, seed);
  for (const auto& n : nodes) {
    text += fmt::format("{} = {} {} from", n.step.id, n.step.op, n.info->complete(n.step.params).canonical());
    for (const auto& i : n.step.inputs) text += " " + i.text();
    text += "\n";
  }
  for (const auto& [step, path] : save) text += fmt::format("save {} {}\n", step, path);
  return text;
}

namespace {

void check_inputs(const Step& step, const OperatorInfo& info, Faults& faults) {
  size_t n = step.inputs.size();
  if (n >= info.min_inputs && n <= info.max_inputs) return;
  std::string expected = info.max_inputs == 0                 ? "none"
                         : info.min_inputs == info.max_inputs ? std::to_string(info.min_inputs)
                                                              : fmt::format("{} to {}", info.min_inputs, info.max_inputs);
  faults.add(step.place, fmt::format("step '{}' has {} input{}; op '{}' takes {}", step.id, n, n == 1 ? "" : "s", step.op, expected),
             n == 0 ? "name the step it reads with 'from:'" : "");
}

}  // namespace

Graph build_graph(const Job& job, Faults& faults) {
  std::vector<std::string> ids;
  for (const auto& s : job.steps) ids.push_back(s.id);
  std::set<std::string> seen;
  for (const auto& s : job.steps) {
    if (!seen.insert(s.id).second) faults.add(s.place, fmt::format("step '{}' is defined twice", s.id));
    if (s.id.empty() || s.id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != std::string::npos)
      faults.add(s.place, fmt::format("step name '{}' may hold letters, digits, '_' and '-' only", s.id));
    for (const auto& in : s.inputs)
      if (std::find(ids.begin(), ids.end(), in.step) == ids.end())
        faults.add(in.place, fmt::format("step '{}' reads from '{}', which is no step", s.id, in.step), suggest(in.step, ids));
  }
  for (const auto& [step, path] : job.save)
    if (!seen.count(Job::parse_ref(step, {}).step))
      faults.add(job.save_places.count(step) ? job.save_places.at(step) : Place{}, fmt::format("'save' names '{}', which is no step", step), suggest(step, ids));
  if (job.steps.empty()) faults.add({}, "the job has no steps");

  Graph graph;
  graph.name = job.name;
  graph.seed = job.seed;
  graph.save = job.save;
  std::vector<const Step*> waiting;
  for (const auto& s : job.steps) waiting.push_back(&s);
  std::set<std::string> done;
  bool sound = faults.empty();
  while (!waiting.empty()) {
    size_t before = waiting.size();
    std::vector<const Step*> later;
    for (const Step* s : waiting) {
      bool ready = !sound || std::all_of(s->inputs.begin(), s->inputs.end(), [&](const InputRef& r) { return done.count(r.step) > 0; });
      if (!ready) {
        later.push_back(s);
        continue;
      }
      done.insert(s->id);
      Node node;
      node.step = *s;
      node.info = registry().find(s->op);
      if (!node.info) {
        faults.add(s->op_place, fmt::format("unknown op '{}' of step '{}'", s->op, s->id), suggest(s->op, registry().names()));
        continue;
      }
      const size_t before = faults.size();
      check_inputs(*s, *node.info, faults);
      const bool inputs_fit = faults.size() == before;
      node.op = node.info->make(s->params, s->place, faults);
      if (!inputs_fit) node.op.reset();  // an operator may count on the number of its inputs
      if (node.op) node.op->seed = mix64(job.seed ^ hash64(s->id)), node.op->base_folder = job.folder;
      for (const auto& in : s->inputs) {
        node.inputs.push_back(size_t(std::max(0, graph.find(in.step))));
        node.outputs.push_back(in.output);
      }
      graph.nodes.push_back(std::move(node));
    }
    if (later.size() == before) {
      std::string names;
      for (const Step* s : later) names += (names.empty() ? "" : ", ") + s->id;
      faults.add(later[0]->place, fmt::format("steps wait for each other in a circle: {}", names));
      break;
    }
    waiting = std::move(later);
  }
  return graph;
}

namespace {

std::map<std::string, data::Schema> side_outputs(const Node& node) {
  auto* collective = dynamic_cast<const CollectiveOperator*>(node.op.get());
  return collective ? collective->side_outputs() : std::map<std::string, data::Schema>{};
}

void no_such_output(const Node& node, const std::string& output, const Place& place, Faults& faults) {
  std::vector<std::string> known;
  for (const auto& [name, schema] : side_outputs(node)) known.push_back(name);
  faults.add(place, fmt::format("step '{}' has no output named '{}'", node.step.id, output), known.empty() ? "" : suggest(output, known));
}

/// A copy of the operator of the step that learned, for the one that uses what it learned.
void give_learner(const Graph& graph, Node& node, const Node& from) {
  const auto* original = dynamic_cast<const CollectiveOperator*>(from.op.get());
  if (!original || !original->learns()) throw job_error("step '{}' ({}) learns nothing that could be used", from.step.id, from.step.op);
  std::vector<data::Schema> schemas;
  for (size_t i = 0; i < from.inputs.size(); ++i) schemas.push_back(input_schema(graph, from, i));
  Faults none;
  auto copy = from.info->make(from.step.params, from.step.place, none);
  none.throw_if_any();
  copy->seed = original->seed, copy->base_folder = original->base_folder;
  copy->bind(schemas);
  node.op->take_learner(std::unique_ptr<CollectiveOperator>(static_cast<CollectiveOperator*>(copy.release())), std::move(schemas));
}

}  // namespace

data::Schema input_schema(const Graph& graph, const Node& node, size_t input) {
  const Node& from = graph.nodes[node.inputs.at(input)];
  const std::string& output = node.outputs[input];
  return output.empty() ? from.schema : static_cast<const CollectiveOperator&>(*from.op).side_outputs().at(output);
}

void check_ranks(const Graph& graph, int num_ranks) {
  for (const Node& node : graph.nodes) try {
      node.op->check_ranks(num_ranks);
    } catch (const Error& e) {
      throw job_error("step '{}' ({}): {}", node.step.id, node.step.op, e.message()).with_hint(e.hint());
    }
}

void insert_before(Graph& graph, size_t n, Node node) {
  graph.nodes.insert(graph.nodes.begin() + ptrdiff_t(n), std::move(node));
  for (size_t m = n + 1; m < graph.nodes.size(); ++m)
    for (auto& input : graph.nodes[m].inputs)
      if (input >= n) ++input;
}

void bind_schemas(Graph& graph, Faults& faults, bool replay) {
  for (auto& node : graph.nodes) {
    if (!node.op) continue;
    std::vector<data::Schema> inputs;
    bool ready = true;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Node& from = graph.nodes[node.inputs[i]];
      ready = ready && from.bound;
      inputs.push_back(from.schema);
      if (!ready || node.outputs[i].empty()) continue;
      auto sides = side_outputs(from);
      if (auto side = sides.find(node.outputs[i]); side != sides.end()) {
        inputs.back() = side->second;
        continue;
      }
      no_such_output(from, node.outputs[i], node.step.inputs[i].place, faults);
      ready = false;
    }
    if (!ready) continue;
    try {
      if (const auto input = node.op->learner_input()) give_learner(graph, node, graph.nodes[node.inputs.at(*input)]);
      node.schema = node.op->bind(inputs);
      if (auto* learner = dynamic_cast<CollectiveOperator*>(node.op.get()); replay && learner) node.schema = learner->apply_schema(inputs.at(0));
      node.bound = true;
    } catch (const Error& e) {
      if (e.fault() != Fault::kJob) throw;
      std::string message = node.step.place.file.empty() ? fmt::format("step '{}' ({}): {}", node.step.id, node.step.op, e.message())
                                                         : fmt::format("step '{}': {}", node.step.id, e.message());
      faults.add(node.step.place, message, e.hint());
    }
  }
  for (const auto& [name, path] : graph.save) {
    InputRef saved = Job::parse_ref(name, {});
    int at = graph.find(saved.step);
    if (saved.output.empty() || at < 0 || !graph.nodes[size_t(at)].bound) continue;
    const Node& node = graph.nodes[size_t(at)];
    if (!side_outputs(node).count(saved.output)) no_such_output(node, saved.output, node.step.place, faults);
  }
}

}  // namespace throng::graph
