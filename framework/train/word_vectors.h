// Vectors that another program, or an earlier run, has learned, for a table of a model to begin from.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string_view>

#include "framework/nn/parameters.h"
#include "framework/train/trainer.h"

namespace throng::train {

struct VectorsFound {
  int64_t given = 0, found = 0;
};

/// Puts the vector of a word into row find(word) of `table`; words for which that is negative are left out, of several of one word the first counts. `weights` may be empty, for the count alone. Files: text as word2vec,
/// fastText (.vec) and GloVe write it, a word and its numbers a line, with or without a first line of two counts, plain, gzip or zstd; or the word2vec.h5 that a step of
/// op word2vec leaves. Rank-local. A data error, with the line, for another width or a damaged file.
VectorsFound start_from_word_vectors(const std::filesystem::path& path, const std::function<int32_t(std::string_view)>& find, const nn::Parameter& table, std::span<float> weights);

/// Lets a run begin from them.
class WordVectorStart {
 public:
  /// `find` must live as long as this.
  WordVectorStart(std::filesystem::path path, std::function<int32_t(std::string_view)> find, const nn::Parameter& table) : path_(std::move(path)), find_(std::move(find)), table_(table) {}
  /// After what else changes the first weights. This must live as long as the run.
  void add_to(TrainerOptions& options);
  /// What was found; a run that went on from a checkpoint looks it up. Rank-local.
  nlohmann::json result();

 private:
  std::filesystem::path path_;
  std::function<int32_t(std::string_view)> find_;
  nn::Parameter table_;
  std::optional<VectorsFound> found_;
};

}  // namespace throng::train
