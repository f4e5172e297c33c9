// Weights in files that other programs read: safetensors (huggingface/safetensors, format of 2023): a length, a JSON header, then the numbers.
#pragma once
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "framework/nn/parameters.h"
#include "framework/train/weights.h"

namespace throng::train {

struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

enum class Stored { kFloat32, kBfloat16 };

/// Writes every matrix of a model under its name as F32 or BF16, atomically. Rank-local. A system error where it cannot be written.
void save_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters, std::span<const float> weights, Stored stored = Stored::kFloat32);

/// All tensors of a file; F64, F32, F16 and BF16 become float. A data error for a damaged file or another type.
std::map<std::string, Tensor> load_safetensors(const std::filesystem::path& path);

/// Puts the tensors of a file in the place of the matrices of their names; others stay. Returns how many were found. A data error for a name that the model does not have, or another
/// number of values.
size_t start_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters, std::span<float> weights);

/// All weights of a model from a file; those of a model with tables lie in a file of this rank's host where they are many (Weights::scratch). A data error where it lacks some.
Weights weights_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters);

}  // namespace throng::train
