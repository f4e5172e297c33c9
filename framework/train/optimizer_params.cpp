#include "framework/train/optimizer_params.h"

#include "framework/base/suggest.h"
#include "framework/train/safetensors.h"

namespace throng::train {

void OptimizerParams::check(const std::filesystem::path& folder) const {
  if (momentum > 0 && optimizer != "sgd" && optimizer != "rmsprop") throw job_error("'momentum' is of sgd and rmsprop; 'optimizer' is {}", optimizer);
  for (const auto& path : files(folder))
    if (!std::filesystem::exists(path)) throw job_error("'start' is '{}': there is no such file", start);
}

void OptimizerParams::check_sparse() const {
  if (momentum > 0) throw job_error("'sparse' goes without 'momentum', which moves all rows");
  if (weight_decay > 0) throw job_error("'sparse' goes without 'weight_decay', which moves all rows");
  if (optimizer != "sgd" && optimizer != "adagrad" && optimizer != "adam") throw job_error("'sparse' goes with optimizer sgd, adagrad or adam, not {}", optimizer);
}

std::vector<std::filesystem::path> OptimizerParams::files(const std::filesystem::path& folder) const {
  if (start.empty()) return {};
  return {folder / start};
}

void OptimizerParams::apply(TrainerOptions& options, int64_t batches, const nn::Parameters& parameters, const std::filesystem::path& folder) const {
  options.accumulate = accumulate, options.clip = clip;
  options.optimizer.kind = nn::OptimizerOptions::kind_of(optimizer), options.optimizer.lr = lr, options.optimizer.momentum = momentum, options.optimizer.weight_decay = weight_decay;
  const int64_t steps = (batches + accumulate - 1) / accumulate;
  options.schedule.kind = schedule == "cosine" ? nn::Schedule::Kind::kCosine : schedule == "step" ? nn::Schedule::Kind::kStep : nn::Schedule::Kind::kConstant;
  options.schedule.warmup = warmup, options.schedule.factor = decay, options.schedule.first = decay_after * steps, options.schedule.every = steps;
  if (!start.empty()) options.begin = [this, &parameters, folder](std::span<float> weights) { start_from_safetensors(folder / start, parameters, weights); };
}

void OptimizerParams::freeze_in(nn::Parameters& parameters) const {
  for (const auto& prefix : freeze) {
    if (parameters.freeze(prefix) > 0) continue;
    std::vector<std::string> names;
    for (const auto& entry : parameters.entries()) names.push_back(entry.name);
    throw job_error("'freeze' names '{}', and no weights of the model begin so", prefix).with_hint(suggest(prefix, names));
  }
}

}  // namespace throng::train
