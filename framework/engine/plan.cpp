#include "framework/engine/plan.h"

#include <algorithm>

#include "framework/base/files.h"
#include "framework/base/hash.h"

namespace throng::engine {

using graph::Names;
using graph::Node;
using graph::Shape;

namespace {

// Brings rows of one key together for a collective operator that asks for it.
class CoLocate : public graph::KeyedOperator {
 public:
  CoLocate(graph::CollectiveOperator::Contract contract, const graph::CollectiveOperator& reader, size_t input)
      : contract_(std::move(contract)), reader_(reader), input_(input) {}
  data::Schema bind(const std::vector<data::Schema>& inputs) override { return prepared_schema(inputs.at(0)); }
  Names needed_columns(size_t, const data::Schema& schema, const Names& wanted) const override {
    if (contract_.prepare) return reader_.needed_columns(input_, schema, wanted);
    Names all = wanted;
    for (const auto* extra : {&contract_.key, &contract_.order})
      for (const auto& name : *extra)
        if (std::find(all.begin(), all.end(), name) == all.end()) all.push_back(name);
    return all;
  }
  data::Batch prepare(const data::Batch& batch) const override { return contract_.prepare ? contract_.prepare(batch) : batch; }
  data::Schema prepared_schema(const data::Schema& input) const override { return contract_.prepare ? contract_.prepared : input; }
  Names key() const override { return contract_.key; }
  Names order() const override { return contract_.order; }
  data::Batch process(const data::Batch& rows, std::span<const int64_t>) const override { return rows; }
  bool takes_portions() const override { return true; }
  bool prepares() const { return bool(contract_.prepare); }
  bool serves(const graph::CollectiveOperator::Contract& other) const {
    return !prepares() && !other.prepare && contract_.key == other.key && contract_.order == other.order;
  }

 private:
  graph::CollectiveOperator::Contract contract_;
  const graph::CollectiveOperator& reader_;
  size_t input_;
};

// True when the node's rows already come grouped and ordered as the contract asks: ranges may cut a group, and falling order is another.
bool already_grouped(const Node& node, const graph::CollectiveOperator::Contract& contract) {
  auto* keyed = dynamic_cast<const graph::KeyedOperator*>(node.op.get());
  if (!keyed || contract.prepare || keyed->placement() == graph::KeyedOperator::Placement::kRange) return false;
  const auto falling = keyed->falling();
  return keyed->key() == contract.key && keyed->order() == contract.order && std::find(falling.begin(), falling.end(), 1) == falling.end();
}

void add_contracts(graph::Graph& graph) {
  static const graph::OperatorInfo info = [] {
    graph::OperatorInfo i;
    i.name = "(co-locate)";
    i.shape = Shape::kKeyed;
    i.complete = [](const graph::Value& v) { return v; };
    return i;
  }();
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    auto* collective = dynamic_cast<graph::CollectiveOperator*>(graph.nodes[n].op.get());
    if (!collective) continue;
    for (size_t i = 0; i < graph.nodes[n].inputs.size(); ++i) {
      auto contract = collective->contract(i);
      size_t from = graph.nodes[n].inputs[i];
      if (contract.key.empty() || already_grouped(graph.nodes[from], contract)) continue;
      // An earlier step that asked for the same shares it.
      auto same = std::find_if(graph.nodes.begin(), graph.nodes.begin() + ptrdiff_t(n), [&](const Node& other) {
        auto* co_locate = dynamic_cast<const CoLocate*>(other.op.get());
        return co_locate && co_locate->serves(contract) && other.inputs[0] == from && other.outputs[0] == graph.nodes[n].outputs[i];
      });
      if (same != graph.nodes.begin() + ptrdiff_t(n)) {
        graph.nodes[n].inputs[i] = size_t(same - graph.nodes.begin());
        graph.nodes[n].outputs[i].clear();
        continue;
      }
      Node node;
      node.step.id = graph.nodes[n].step.id + ".by_" + fmt::format("{}", fmt::join(contract.key, "_"));
      node.step.op = info.name;
      node.step.params.set("key", graph::ParamType<Names>::write(contract.key));
      if (contract.prepare) node.step.params.set("for", graph.nodes[n].info->complete(graph.nodes[n].step.params));
      node.step.params.set("order", graph::ParamType<Names>::write(contract.order));
      node.info = &info;
      auto co_locate = std::make_unique<CoLocate>(contract, *collective, i);
      node.inputs = {from};
      node.outputs = {graph.nodes[n].outputs[i]};
      node.schema = co_locate->prepared_schema(graph::input_schema(graph, graph.nodes[n], i));
      node.op = std::move(co_locate);
      node.bound = true;
      // Inserted right before its consumer, so that inputs still come first.
      graph::insert_before(graph, n++, std::move(node));
      graph.nodes[n].inputs[i] = n - 1;
      graph.nodes[n].outputs[i].clear();
    }
  }
}

void merge_names(Names& into, const Names& more) {
  for (const auto& name : more)
    if (std::find(into.begin(), into.end(), name) == into.end()) into.push_back(name);
}

// Walks up from node `at`, whose output `output` the stage reads, to where rows come from; an exchange on the way cuts the walk, and
// its inputs' stages come first. `own` is true at the node a task writes.
void add_stages(const Plan& plan, size_t at, const std::string& output, bool own, Stage stage, std::vector<Stage>& stages) {
  stage.head_output = output;
  for (;; own = false) {
    const Node& node = plan.graph.nodes[at];
    stage.head_node = at;
    if (!own && plan.materialised[at]) {
      stage.head = Stage::Head::kDataset;
    } else if (node.op->shape() == Shape::kSource) {
      stage.head = Stage::Head::kSource;
    } else if (node.op->shape() == Shape::kMap) {
      stage.maps.insert(stage.maps.begin(), at);
      stage.head_output = node.outputs[0];
      at = node.inputs[0];
      continue;
    } else {
      stage.head = Stage::Head::kExchange;
      for (size_t k = 0; k < node.inputs.size(); ++k) {
        Stage send;
        send.tail = Stage::Tail::kExchange, send.tail_node = at, send.tail_input = k;
        add_stages(plan, node.inputs[k], node.outputs[k], false, send, stages);
      }
    }
    break;
  }
  stages.push_back(std::move(stage));
}

}  // namespace

data::Schema Plan::schema_of(size_t node) const { return graph.nodes[node].schema.project(needed[node]); }

bool Plan::may_revise(const Task& task) const {
  for (const auto& stage : task.stages)
    for (size_t m : stage.maps)
      if (auto choice = choices.broadcasts.find(graph.nodes[m].step.id); choice != choices.broadcasts.end() && choice->second.broadcast) return true;
  return false;
}

std::string Plan::revise(const Task& task, const std::function<int64_t(size_t, const std::string&)>& rows_of) {
  for (const auto& stage : task.stages)
    for (size_t m : stage.maps) {
      const Node& node = graph.nodes[m];
      auto choice = choices.broadcasts.find(node.step.id);
      if (choice == choices.broadcasts.end() || !choice->second.broadcast) continue;
      const int64_t rows = rows_of(node.inputs.at(1), node.outputs.at(1));
      if (choice->second.fits(double(rows))) continue;
      choice->second.broadcast = false, choice->second.revised = true, choice->second.rows = double(rows);
      return node.step.id;
    }
  return {};
}

Plan make_plan(graph::Graph graph, Choices choices, bool replay) {
  add_contracts(graph);
  Plan plan;
  plan.replay = replay;
  plan.choices = std::move(choices);
  plan.graph = std::move(graph);
  auto& nodes = plan.graph.nodes;
  const size_t n = nodes.size();

  // Who reads what.
  std::vector<std::vector<std::pair<size_t, size_t>>> readers(n);  // (node, input)
  for (size_t i = 0; i < n; ++i)
    for (size_t k = 0; k < nodes[i].inputs.size(); ++k) readers[nodes[i].inputs[k]].emplace_back(i, k);

  plan.materialised.assign(n, 0);
  plan.needed.resize(n);
  plan.num_partitions.assign(n, -1);
  for (size_t i = n; i-- > 0;) {
    const Node& node = nodes[i];
    bool saved = plan.graph.save.count(node.step.id) > 0;
    bool collective = node.op->shape() == Shape::kCollective;
    // A sort looks at a sample of its input before it sends anything; a map is given its side inputs whole.
    auto* source = dynamic_cast<const graph::SourceOperator*>(node.op.get());
    const bool rereads = source && source->rereads();
    bool read_twice = std::any_of(readers[i].begin(), readers[i].end(), [&](auto r) {
      auto* keyed = dynamic_cast<const graph::KeyedOperator*>(nodes[r.first].op.get());
      if (nodes[r.first].op->shape() == Shape::kMap && r.second > 0) return true;
      return keyed && !rereads && keyed->placement() == graph::KeyedOperator::Placement::kRange;
    });
    bool read_by_collective = std::any_of(readers[i].begin(), readers[i].end(), [&](auto r) { return nodes[r.first].op->shape() == Shape::kCollective; });
    const bool shared = readers[i].size() != 1 && !(rereads && !readers[i].empty());
    // What was stored before it turned out too large to be given to all ranks is not made again.
    read_twice = read_twice || std::any_of(readers[i].begin(), readers[i].end(), [&](auto r) {
      auto choice = plan.choices.broadcasts.find(nodes[r.first].step.id);
      return choice != plan.choices.broadcasts.end() && choice->second.revised && r.second == 1;
    });
    plan.materialised[i] = saved || collective || shared || read_by_collective || read_twice;
    if (saved || readers[i].empty() || collective) merge_names(plan.needed[i], node.schema.names());
    for (auto [reader, input] : readers[i]) {
      const auto& wanted = plan.needed[reader];
      auto* co_locate = dynamic_cast<const CoLocate*>(node.op.get());
      bool prepared = co_locate && co_locate->prepares();  // its columns are the reader's own
      merge_names(plan.needed[i], prepared ? node.schema.names() : nodes[reader].op->needed_columns(input, node.schema, wanted));
    }
    Names existing;  // in schema order; operators may name columns that are optional
    for (const auto& name : node.schema.names())
      if (std::find(plan.needed[i].begin(), plan.needed[i].end(), name) != plan.needed[i].end()) existing.push_back(name);
    if (existing.empty() && node.schema.size() > 0) existing.push_back(node.schema[0].name);  // rows must be counted by something
    plan.needed[i] = std::move(existing);
    nodes[i].op->wanted = plan.needed[i];
  }

  for (size_t i = 0; i < n; ++i) {
    const Node& node = nodes[i];
    if (auto* source = dynamic_cast<const graph::SourceOperator*>(node.op.get())) {
      plan.num_partitions[i] = source->num_partitions();
    } else if (node.op->shape() != Shape::kCollective) {
      for (size_t k = 0; k < (node.op->shape() == Shape::kMap ? 1 : node.inputs.size()); ++k) {
        const int64_t n = node.outputs[k].empty() ? plan.num_partitions[node.inputs[k]] : -1;
        plan.num_partitions[i] = n < 0 || (k > 0 && plan.num_partitions[i] < 0) ? -1 : std::max(plan.num_partitions[i], n);
      }
    }
  }

  // Keys: operator, version, parameters, seed, inputs, and for sources what they read.
  for (size_t i = 0; i < n; ++i) {
    const Node& node = nodes[i];
    std::string text = fmt::format("{} v{} {} seed {} replay {}", node.step.op, node.info->version,
                                   node.info->complete(node.step.params).canonical(), node.op->seed, replay);
    if (auto choice = plan.choices.broadcasts.find(node.step.id); choice != plan.choices.broadcasts.end()) text += choice->second.broadcast ? " broadcast" : " shuffle";
    if (auto* source = dynamic_cast<const graph::SourceOperator*>(node.op.get())) text += " reads " + source->fingerprint();
    for (const auto& file : node.op->files()) text += " file " + hash128_hex(read_file(file));
    for (size_t k = 0; k < node.inputs.size(); ++k) text += " from " + plan.keys[node.inputs[k]] + "." + node.outputs[k];
    plan.keys.push_back(hash128_hex(text));
  }

  for (size_t i = 0; i < n; ++i) {
    if (!plan.materialised[i]) continue;
    Task task;
    task.node = i;
    task.key = hash128_hex(plan.keys[i] + " columns " + fmt::format("{}", fmt::join(plan.needed[i], ",")));
    if (nodes[i].op->shape() != Shape::kCollective) {
      Stage last;
      last.tail_node = i;
      add_stages(plan, i, "", true, last, task.stages);
    }
    plan.tasks.push_back(std::move(task));
  }
  return plan;
}

std::string Plan::text() const {
  auto id = [&](size_t node) { return graph.nodes[node].step.id; };
  auto op = [&](size_t node) { return fmt::format("{} ({})", id(node), graph.nodes[node].step.op); };
  std::string text = fmt::format("job {}: {} steps, {} tasks, seed {}\n", graph.name, graph.nodes.size(), tasks.size(), graph.seed);
  int number = 0;
  for (const auto& task : tasks) {
    if (task.stages.empty()) {
      std::string inputs;
      for (size_t k : graph.nodes[task.node].inputs) inputs += (inputs.empty() ? "" : ", ") + id(k);
      text += fmt::format("{:3}. {}: collective on all ranks, reads {}\n", ++number, op(task.node), inputs);
    }
    for (const auto& s : task.stages) {
      std::string head = s.head == Stage::Head::kSource     ? "read " + op(s.head_node)
                         : s.head == Stage::Head::kDataset  ? "dataset " + id(s.head_node) + (s.head_output.empty() ? "" : "." + s.head_output)
                                                            : "group " + op(s.head_node);
      std::string maps;
      for (size_t m : s.maps) {
        maps += " -> " + op(m);
        for (size_t k = 1; k < graph.nodes[m].inputs.size(); ++k) maps += " with all of " + id(graph.nodes[m].inputs[k]);
      }
      std::string tail;
      if (s.tail == Stage::Tail::kDataset) {
        tail = fmt::format("write [{}]", fmt::join(needed[s.tail_node], ", "));
      } else {
        auto* keyed = static_cast<const graph::KeyedOperator*>(graph.nodes[s.tail_node].op.get());
        const bool ranged = keyed->placement() == graph::KeyedOperator::Placement::kRange;
        tail = fmt::format("{} by [{}]", ranged ? "range shuffle" : "shuffle", fmt::join(keyed->key_of(s.tail_input), ", "));
      }
      std::string columns;
      if (s.head == Stage::Head::kSource) columns = fmt::format(" columns [{}]", fmt::join(needed[s.head_node], ", "));
      text += fmt::format("{:3}. {}{}{} -> {}\n", ++number, head, columns, maps, tail);
    }
  }
  for (const auto& [step, choice] : choices.broadcasts) text += fmt::format("     {} is a {}\n", step, choice.text());
  for (const auto& [step, choice] : choices.spreads)
    if (choice.spreads()) text += fmt::format("     {} {}\n", step, choice.text());
  return text;
}

std::string Plan::dot() const {
  auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    return out + "\"";
  };
  std::string text = fmt::format("digraph {} {{\n  rankdir=LR; node [shape=box, fontname=\"sans-serif\"]; edge [fontname=\"sans-serif\", fontsize=10];\n", quoted(graph.name));
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const std::string name = quoted(node.step.id);
    text += fmt::format("  n{} [label={}\\n{}\"{}];\n", i, name.substr(0, name.size() - 1), node.step.op, materialised[i] ? ", style=bold" : "");
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      std::string label;
      if (auto* keyed = dynamic_cast<const graph::KeyedOperator*>(node.op.get()))
        label = fmt::format("{}by {}", keyed->placement() == graph::KeyedOperator::Placement::kRange ? "ranges " : "", keyed->key_of(k).empty() ? "nothing" : fmt::format("{}", fmt::join(keyed->key_of(k), ", ")));
      else if (node.op->shape() == Shape::kMap && k > 0) label = "to all ranks";
      text += fmt::format("  n{} -> n{}{};\n", node.inputs[k], i, label.empty() ? "" : fmt::format(" [label={}, color=\"#c05020\"]", quoted(label)));
    }
  }
  return text + "}\n";
}

std::string Plan::hash() const {
  std::string all = text();
  for (const auto& t : tasks) all += t.key;
  return hash128_hex(all);
}

}  // namespace throng::engine
