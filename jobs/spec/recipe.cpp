#include "jobs/spec/recipe.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "jobs/spec/yaml_job.h"

namespace throng::spec {

bool Figure::reached(double mean) const {
  if (better == "near") return std::abs(mean - published) <= within;
  return better == "higher" ? mean >= published - within : mean <= published + within;
}

graph::Job Recipe::job(const std::string& data_path, uint64_t seed, const std::string& variation, const std::vector<std::string>& set, graph::Faults& faults) const {
  std::vector<std::string> overrides{data_step + ".path=" + nlohmann::json(data_path).dump(), "seed=" + std::to_string(seed)};
  if (!variation.empty()) overrides.push_back(variation);
  overrides.insert(overrides.end(), set.begin(), set.end());
  return parse_job(text, file, overrides, faults);
}

Recipe parse_recipe(const std::string& text, const std::string& file, graph::Faults& faults) {
  const graph::Job job = parse_job(text, file, {}, faults);
  faults.throw_if_any();
  if (job.reproduces.kind != graph::Value::Kind::kMap) throw job_error("{}: is no recipe: it has no section 'reproduces'", file);
  graph::Value settings = job.reproduces, figures;
  std::erase_if(settings.map, [&](const auto& entry) {
    if (entry.key != "figures") return false;
    figures = entry.value;
    return true;
  });
  Recipe recipe = graph::read_params<Recipe>(settings, job.reproduces.place, faults);
  recipe.text = text, recipe.file = file;
  for (const auto& entry : figures.map) {
    recipe.figures.push_back(graph::read_params<Figure>(entry.value, entry.key_place, faults));
    recipe.figures.back().name = entry.key;
    const auto& step = recipe.figures.back().step;
    if (!step.empty() && std::none_of(job.steps.begin(), job.steps.end(), [&](const auto& s) { return s.id == step; })) faults.add(entry.key_place, fmt::format("figure '{}': the job has no step '{}'", entry.key, step));
  }
  if (recipe.figures.empty()) faults.add(job.reproduces.place, "the recipe has no 'figures:'", "write for example figures: { HR@10: { step: sas, value: hr.10, published: 0.06 } }");
  return recipe;
}

}  // namespace throng::spec
