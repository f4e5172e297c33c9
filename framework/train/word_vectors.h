// Vectors that another program, or an earlier run, has learned, for a table of a model to begin from.
#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

#include "framework/nn/parameters.h"
#include "framework/train/trainer.h"

namespace throng::train {

struct VectorsFound {
  int64_t given = 0, found = 0;
};

/// Puts the vector of a word into row find(word) of `table`; words for which that is negative are left out, of several of one word the first counts. Files: text as word2vec,
/// fastText (.vec) and GloVe write it, a word and its numbers a line, with or without a first line of two counts, plain, gzip or zstd; or the word2vec.h5 that a step of
/// op word2vec leaves. Rank-local. A data error, with the line, for another width or a damaged file.
VectorsFound start_from_word_vectors(const std::filesystem::path& path, const std::function<int32_t(std::string_view)>& find, const nn::Parameter& table, std::span<float> weights);

/// Lets a run begin from them, after what else changes the first weights. `found` becomes what was found, where the run does begin.
void begin_from_word_vectors(TrainerOptions& options, std::filesystem::path path, std::function<int32_t(std::string_view)> find, const nn::Parameter& table, VectorsFound& found);

}  // namespace throng::train
