#include "framework/engine/step_context.h"

namespace throng::engine {

using nlohmann::json;

StepContext::StepContext(Rank rank, const Plan& plan, size_t node, StepRecord& record) : rank_(std::move(rank)), plan_(plan), node_(plan.graph.nodes[node]), record_(record) {
  for (size_t i = 0; i < node_.inputs.size(); ++i) readers_.push_back(&rank_.reader(node_.inputs[i], node_.outputs[i]));
}

data::DatasetWriter& StepContext::output(const std::string& name, data::Schema schema, int64_t num_partitions) {
  auto& out = outputs_[name];
  THRONG_CHECK(!out.writer, "output '{}' of step '{}' is opened twice", name, node_.step.id);
  out.partitions = num_partitions;
  out.writer = std::make_unique<data::DatasetWriter>(rank_.directory.dataset(node_.step.id, name), std::move(schema), rank_.comm);
  return *out.writer;
}

void StepContext::metric(const std::string& name, const std::string& text) { record_.metrics[name] = json::parse(text); }

bool StepContext::stop_agreed() { return rank_.comm.allreduce(rank_.stop_wished() ? 1 : 0, comm::Op::kMax) != 0; }

void StepContext::commit(const std::string& key) {
  for (auto& [name, out] : outputs_) {
    const auto manifest = out.writer->commit(out.partitions, key);
    if (name.empty()) record_.rows = manifest.num_rows(), record_.bytes = manifest.num_bytes(), record_.content_hash = manifest.content_hash();
    else record_.outputs[name] = json{{"rows", manifest.num_rows()}, {"bytes", manifest.num_bytes()}, {"content_hash", manifest.content_hash()}};
  }
}

}  // namespace throng::engine
