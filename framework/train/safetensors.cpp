#include "framework/train/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "framework/tensor/bfloat16.h"

namespace throng::train {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

float from_half(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const float magnitude = exponent == 31  ? (mantissa ? std::nanf("") : INFINITY)
                          : exponent == 0 ? std::ldexp(float(mantissa), -24)
                                          : std::ldexp(float(mantissa + 1024), exponent - 25);
  return bits >> 15 ? -magnitude : magnitude;
}

template <class T, class Convert>
std::vector<float> values_of(std::string_view bytes, const Convert& convert) {
  std::vector<float> values(bytes.size() / sizeof(T));
  for (size_t i = 0; i < values.size(); ++i) {
    T v;
    std::memcpy(&v, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = convert(v);
  }
  return values;
}

}  // namespace

void save_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters, std::span<const float> weights, Stored stored) {
  THRONG_CHECK(weights.size() == parameters.size(), "{} weights for a model of {}", weights.size(), parameters.size());
  const bool half = stored == Stored::kBfloat16;
  json header = json::object();
  std::string numbers;
  for (const auto& e : parameters.entries()) {
    const size_t bytes = e.where.size() * (half ? sizeof(uint16_t) : sizeof(float));
    header[e.name] = {{"dtype", half ? "BF16" : "F32"}, {"shape", {e.where.rows, e.where.cols}}, {"data_offsets", {numbers.size(), numbers.size() + bytes}}};
    if (!half) {
      numbers.append(reinterpret_cast<const char*>(weights.data() + e.where.at), bytes);
      continue;
    }
    for (size_t i = e.where.at; i < e.where.at + e.where.size(); ++i) {
      const uint16_t number = tensor::to_bfloat16(weights[i]);
      numbers.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the numbers lie at a multiple of 8
  const uint64_t length = text.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  write_file_atomically(path, file + text + numbers);
}

std::map<std::string, Tensor> load_safetensors(const std::filesystem::path& path) {
  const std::string file = read_file(path);
  auto damaged = [&](const std::string& what) { return data_error("{}: {}", path.string(), what).with_hint("expected a safetensors file"); };
  uint64_t length = 0;
  if (file.size() < sizeof length) throw damaged("has no header");
  std::memcpy(&length, file.data(), sizeof length);
  if (length > file.size() - sizeof length) throw damaged(fmt::format("its header says that it is {} bytes long, the file has {}", length, file.size()));
  const json header = json::parse(std::string_view(file).substr(sizeof length, length), nullptr, false);
  if (!header.is_object()) throw damaged("its header is no JSON object");
  const std::string_view numbers = std::string_view(file).substr(sizeof length + length);
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, about] : header.items()) {
    if (name == "__metadata__") continue;
    try {
      const std::string type = about.at("dtype");
      const size_t begin = about.at("data_offsets").at(0), end = about.at("data_offsets").at(1);
      Tensor t;
      t.shape = about.at("shape").get<std::vector<int64_t>>();
      size_t count = 1;
      for (int64_t n : t.shape) count *= size_t(n);
      const size_t width = type == "F64" ? 8 : type == "F32" ? 4 : type == "F16" || type == "BF16" ? 2 : 0;
      if (width == 0) throw data_error("{}: tensor '{}' is {}", path.string(), name, type).with_hint("F64, F32, F16 and BF16 can be read");
      if (begin > end || end > numbers.size() || end - begin != count * width) throw damaged(fmt::format("tensor '{}' does not lie where its header says", name));
      const std::string_view bytes = numbers.substr(begin, end - begin);
      if (type == "F64") t.values = values_of<double>(bytes, [](double v) { return float(v); });
      else if (type == "F32") t.values = values_of<float>(bytes, [](float v) { return v; });
      else if (type == "F16") t.values = values_of<uint16_t>(bytes, from_half);
      else t.values = values_of<uint16_t>(bytes, [](uint16_t v) { return std::bit_cast<float>(uint32_t(v) << 16); });
      tensors[name] = std::move(t);
    } catch (const json::exception&) {
      throw damaged(fmt::format("what its header says of '{}' cannot be understood", name));
    }
  }
  return tensors;
}

size_t start_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters, std::span<float> weights) {
  const auto tensors = load_safetensors(path);
  for (const auto& [name, tensor] : tensors) {
    const nn::Parameters::Entry* entry = nullptr;
    try {
      entry = &parameters.find(name);
    } catch (Error& e) {
      throw data_error("{}: {}", path.string(), e.message()).with_hint(e.hint());
    }
    if (tensor.values.size() != entry->where.size())
      throw data_error("{}: '{}' has {} values, the model's ({}, {})", path.string(), name, tensor.values.size(), entry->where.rows, entry->where.cols).with_hint("were the two models made of the same values and sizes?");
    std::copy(tensor.values.begin(), tensor.values.end(), weights.begin() + ptrdiff_t(entry->where.at));
  }
  return tensors.size();
}

std::vector<float> weights_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters) {
  std::vector<float> weights(parameters.size());
  if (start_from_safetensors(path, parameters, weights) != parameters.entries().size()) throw data_error("{}: does not have all weights of the model", path.string());
  return weights;
}

}  // namespace throng::train
