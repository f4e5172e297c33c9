#include "framework/train/optimizer_params.h"

#include "framework/base/suggest.h"
#include "framework/train/safetensors.h"

namespace throng::train {

void OptimizerParams::check(const std::filesystem::path& folder) const {
  if (momentum > 0 && optimizer != "sgd" && optimizer != "rmsprop") throw job_error("'momentum' is of sgd and rmsprop; 'optimizer' is {}", optimizer);
  for (const auto& path : files(folder))
    if (!std::filesystem::exists(path)) throw job_error("'start' is '{}': there is no such file", start);
  if (!start_names.empty() && start.empty()) throw job_error("'start_names' says what to take from a file, and there is no 'start'");
  for (const auto& [name, from] : start_names) check_taken_from(name, from);
  for (const auto& [what, groups] : {std::pair("lr_factors", &lr_factors), {"weight_decays", &weight_decays}})
    for (const auto& [prefix, number] : *groups)
      if (number < 0) throw job_error("'{}' of '{}' is {}; expected at least 0", what, prefix, number);
}

void OptimizerParams::check_sparse() const {
  if (momentum > 0) throw job_error("'sparse' goes without 'momentum', which moves all rows");
  if (weight_decay > 0) throw job_error("'sparse' goes without 'weight_decay', which moves all rows");
  if (!weight_decays.empty()) throw job_error("'sparse' goes without 'weight_decays', of which tables could have none");
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
  if (!start.empty()) options.begin = [this, &parameters, folder](std::span<float> weights) { start_from_safetensors(folder / start, parameters, weights, start_names); };
}

void OptimizerParams::set_groups_of(nn::Parameters& parameters) const {
  const auto need = [&](const char* what, const std::string& prefix, size_t found, const char* kind) {
    if (found > 0) return;
    std::vector<std::string> names;
    for (const auto& entry : parameters.entries()) names.push_back(entry.name);
    throw job_error("'{}' names '{}', and no {} of the model begin so", what, prefix, kind).with_hint(suggest(prefix, names));
  };
  for (const auto& prefix : freeze) need("freeze", prefix, parameters.freeze(prefix), "weights");
  for (const auto& [prefix, factor] : lr_factors) need("lr_factors", prefix, parameters.scale_lr(prefix, factor), "weights");
  for (const auto& [prefix, decay] : weight_decays) need("weight_decays", prefix, parameters.set_weight_decay(prefix, decay), "weights that decay");
}

}  // namespace throng::train
