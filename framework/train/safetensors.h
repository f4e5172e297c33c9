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

/// What matrices of a model are taken from in a file of other names: by their own, the file's tensors one behind the other, separated by blanks, each with the rows that are wanted
/// of it where not all are: "gru.weight_ih_l0 gru.weight_hh_l0", "attention.in_proj_weight[64:128]".
using TakenFrom = std::vector<std::pair<std::string, std::string>>;
/// A job error where this cannot be read.
void check_taken_from(const std::string& name, const std::string& from);

/// Puts the tensors of a file in the place of the matrices of their names, or, where `names` says anything, what it says of a matrix in its place; others stay. Returns how many were
/// found. A data error for a name that the model or the file does not have, another shape, or, where the file's is no matrix, another number of values.
size_t start_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters, std::span<float> weights, const TakenFrom& names = {});

/// All weights of a model from a file; those of a model with tables lie in a file of this rank's host where they are many (Weights::scratch). A data error where it lacks some.
Weights weights_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters);

}  // namespace throng::train
