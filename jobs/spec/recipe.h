// A recipe: a job file with a section `reproduces`, which says what was published and where the job's figures are.
#pragma once
#include <string>
#include <vector>

#include "framework/graph/job.h"
#include "framework/graph/params.h"

namespace throng::spec {

/// One published number.
struct Figure {
  std::string name;
  std::string step, value;  ///< where it is: a step, and a path in its result, such as hr.10
  double published = 0, within = 0;
  std::string better = "higher";

  static constexpr auto kOp = "figure of a recipe";
  static auto fields() {
    return graph::fields(graph::field("step", &Figure::step, "the step whose result has it").required(), graph::field("value", &Figure::value, "path in the result, such as hr.10").required(),
                         graph::field("published", &Figure::published, "the published number").required(),
                         graph::field("within", &Figure::within, "how much worse the mean may be").min(0),
                         graph::field("better", &Figure::better, "which side is better; near: neither").one_of({"higher", "lower", "near"}));
  }
  /// Whether `mean` is as good as published, or off by no more than `within`.
  bool reached(double mean) const;
};

struct Recipe {
  std::string title, source, protocol, data;  ///< `data`: the format of the file
  std::string data_step;                      ///< whose `path` it becomes
  int seeds = 1;                              ///< runs with seeds 1, 2, ..
  std::vector<std::string> vary;              ///< overrides step.param=value, each a run of its own for each seed; none: one run

  static constexpr auto kOp = "recipe";
  static auto fields() {
    return graph::fields(graph::field("title", &Recipe::title, "what is reproduced").required(), graph::field("source", &Recipe::source, "where it was published").required(),
                         graph::field("protocol", &Recipe::protocol, "how it was measured, and what differs here").required(), graph::field("data", &Recipe::data, "the data and its format").required(),
                         graph::field("data_step", &Recipe::data_step, "the step whose path is the data").required(), graph::field("seeds", &Recipe::seeds, "runs, with seeds from 1").min(1),
                         graph::field("vary", &Recipe::vary, "overrides step.param=value, one run each for each seed"));
  }
  std::vector<Figure> figures;
  std::string text, file;  ///< the job file

  /// Its job on a data file, with a seed and one of `vary` or "".
  graph::Job job(const std::string& data_path, uint64_t seed, const std::string& variation, const std::vector<std::string>& set, graph::Faults& faults) const;
};

/// Reads a recipe from the text of its file. Faults are added.
Recipe parse_recipe(const std::string& text, const std::string& file, graph::Faults& faults);

/// The recipes in jobs/recipes, as they were when the program was built.
struct RecipeFile {
  std::string_view name, text;
};
const std::vector<RecipeFile>& recipe_files();

}  // namespace throng::spec
