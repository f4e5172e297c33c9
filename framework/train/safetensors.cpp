#include "framework/train/safetensors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <sstream>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "framework/base/suggest.h"
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

constexpr size_t kPiece = size_t{1} << 20;  // numbers at a time

template <class T, class Convert>
void convert(const std::vector<char>& bytes, float* into, const Convert& to_float) {
  for (size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
    T v;
    std::memcpy(&v, &bytes[i * sizeof(T)], sizeof(T));
    into[i] = to_float(v);
  }
}

/// A file that is read in pieces.
class Reader {
 public:
  struct Entry {
    std::string type;
    std::vector<int64_t> shape;
    size_t begin = 0, count = 0;
  };

  explicit Reader(const std::filesystem::path& path) : path_(path), in_(path, std::ios::binary) {
    std::error_code code;
    const uint64_t size = std::filesystem::file_size(path, code);
    if (!in_ || code) throw system_error("{}: cannot be read: {}", path.string(), code ? code.message() : std::strerror(errno));
    uint64_t length = 0;
    if (size < sizeof length) throw damaged("has no header");
    in_.read(reinterpret_cast<char*>(&length), sizeof length);
    if (length > size - sizeof length) throw damaged(fmt::format("its header says that it is {} bytes long, the file has {}", length, size));
    std::string text(length, '\0');
    in_.read(text.data(), std::streamsize(length));
    const json header = json::parse(text, nullptr, false);
    if (!header.is_object()) throw damaged("its header is no JSON object");
    first_ = sizeof length + length;
    for (const auto& [name, about] : header.items())
      if (name != "__metadata__") add(name, about, size - first_);
  }

  const std::map<std::string, Entry>& entries() const { return entries_; }

  void read(const Entry& e, float* into) {
    const size_t width = width_of(e.type);
    in_.seekg(std::streamoff(first_ + e.begin));
    std::vector<char> bytes;
    for (size_t at = 0; at < e.count; at += kPiece) {
      bytes.resize(std::min(kPiece, e.count - at) * width);
      if (!in_.read(bytes.data(), std::streamsize(bytes.size()))) throw system_error("{}: cannot be read", path_.string());
      if (e.type == "F64") convert<double>(bytes, into + at, [](double v) { return float(v); });
      else if (e.type == "F32") std::memcpy(into + at, bytes.data(), bytes.size());
      else if (e.type == "F16") convert<uint16_t>(bytes, into + at, from_half);
      else convert<uint16_t>(bytes, into + at, [](uint16_t v) { return std::bit_cast<float>(uint32_t(v) << 16); });
    }
  }

 private:
  Error damaged(const std::string& what) const { return data_error("{}: {}", path_.string(), what).with_hint("expected a safetensors file"); }
  static size_t width_of(const std::string& type) { return type == "F64" ? 8 : type == "F32" ? 4 : type == "F16" || type == "BF16" ? 2 : 0; }

  void add(const std::string& name, const json& about, uint64_t bytes) {
    try {
      Entry e;
      e.type = about.at("dtype"), e.shape = about.at("shape").get<std::vector<int64_t>>(), e.begin = about.at("data_offsets").at(0), e.count = 1;
      const size_t end = about.at("data_offsets").at(1), width = width_of(e.type);
      for (int64_t n : e.shape)
        if (n < 0 || __builtin_mul_overflow(e.count, size_t(n), &e.count) || e.count > SIZE_MAX / sizeof(double)) throw damaged(fmt::format("the shape of '{}' cannot be", name));
      if (width == 0) throw data_error("{}: tensor '{}' is {}", path_.string(), name, e.type).with_hint("F64, F32, F16 and BF16 can be read");
      if (e.begin > end || end > bytes || end - e.begin != e.count * width) throw damaged(fmt::format("tensor '{}' does not lie where its header says", name));
      entries_[name] = std::move(e);
    } catch (const json::exception&) {
      throw damaged(fmt::format("what its header says of '{}' cannot be understood", name));
    }
  }

  std::filesystem::path path_;
  std::ifstream in_;
  uint64_t first_ = 0;
  std::map<std::string, Entry> entries_;
};

}  // namespace

void save_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters, std::span<const float> weights, Stored stored) {
  THRONG_CHECK(weights.size() == parameters.size(), "{} weights for a model of {}", weights.size(), parameters.size());
  const bool half = stored == Stored::kBfloat16;
  json header = json::object();
  size_t end = 0;
  for (const auto& e : parameters.entries()) {
    const size_t begin = std::exchange(end, end + e.where.size() * (half ? sizeof(uint16_t) : sizeof(float)));
    header[e.name] = {{"dtype", half ? "BF16" : "F32"}, {"shape", {e.where.rows, e.where.cols}}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the numbers lie at a multiple of 8
  const uint64_t length = text.size();
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&length), sizeof length});
  file.write(text);
  std::vector<uint16_t> rounded;
  for (const auto& e : parameters.entries())
    for (size_t at = 0; at < e.where.size(); at += kPiece) {
      const auto piece = weights.subspan(e.where.at + at, std::min(kPiece, e.where.size() - at));
      if (!half) {
        file.write({reinterpret_cast<const char*>(piece.data()), piece.size_bytes()});
        continue;
      }
      rounded.resize(piece.size());
      std::transform(piece.begin(), piece.end(), rounded.begin(), [](float v) { return tensor::to_bfloat16(v); });
      file.write({reinterpret_cast<const char*>(rounded.data()), rounded.size() * sizeof(uint16_t)});
    }
  file.finish();
}

std::map<std::string, Tensor> load_safetensors(const std::filesystem::path& path) {
  Reader reader(path);
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, entry] : reader.entries()) {
    Tensor& t = tensors[name];
    t.shape = entry.shape, t.values.resize(entry.count);
    reader.read(entry, t.values.data());
  }
  return tensors;
}

namespace {

/// A tensor of a file, or rows of it.
struct Part {
  std::string name;
  std::optional<std::pair<int64_t, int64_t>> rows;
};

std::vector<Part> parts_of(const std::string& name, const std::string& from) {
  std::vector<Part> parts;
  std::istringstream words(from);
  for (std::string word; words >> word;) {
    static const std::regex form(R"(([^\[\]]+)(\[([0-9]{1,9}):([0-9]{1,9})\])?)");
    std::smatch match;
    if (!std::regex_match(word, match, form)) throw job_error("'{}' is to begin from '{}'; expected names of tensors, with rows such as [0:64] where not all are wanted", name, word);
    parts.push_back({match[1], {}});
    if (match[2].matched) parts.back().rows = {std::stoll(match[3]), std::stoll(match[4])};
    if (match[2].matched && parts.back().rows->first >= parts.back().rows->second) throw job_error("'{}' is to begin from '{}': there are no such rows", name, word);
  }
  if (parts.empty()) throw job_error("'{}' is to begin from nothing", name);
  return parts;
}

// What a file says of a matrix, whose values it may give in several tensors.
std::vector<float> values_of(Reader& reader, const std::filesystem::path& path, const std::string& name, const std::vector<Part>& parts, std::vector<int64_t>& shape) {
  std::vector<float> values;
  for (const Part& part : parts) {
    const auto found = reader.entries().find(part.name);
    if (found == reader.entries().end()) {
      std::vector<std::string> names;
      for (const auto& [other, entry] : reader.entries()) names.push_back(other);
      throw data_error("{}: has no tensor '{}', from which '{}' is to begin", path.string(), part.name, name).with_hint(suggest(part.name, names));
    }
    const auto& tensor = found->second;
    std::vector<float> all(tensor.count);
    reader.read(tensor, all.data());
    shape = tensor.shape;
    if (part.rows) {
      const auto [first, end] = *part.rows;
      if (shape.empty() || end > shape[0]) throw data_error("{}: '{}' has {} rows, and [{}:{}] of them are wanted for '{}'", path.string(), part.name, shape.empty() ? 0 : shape[0], first, end, name);
      const size_t width = all.size() / size_t(shape[0]);
      all = std::vector<float>(all.begin() + ptrdiff_t(size_t(first) * width), all.begin() + ptrdiff_t(size_t(end) * width));
      shape[0] = end - first;
    }
    values.insert(values.end(), all.begin(), all.end());
  }
  if (parts.size() > 1) shape = {int64_t(values.size())};
  return values;
}

const nn::Parameters::Entry& matrix_of(const std::filesystem::path& path, const nn::Parameters& parameters, const std::string& name) {
  try {
    return parameters.find(name);
  } catch (Error& e) {
    throw data_error("{}: {}", path.string(), e.message()).with_hint(e.hint());
  }
}

// Of a matrix the shape is compared, or one that is the other way round would go unseen; vectors have one here, and none or several there.
void check_shape(const std::filesystem::path& path, const std::string& name, const nn::Parameter& matrix, const std::vector<int64_t>& shape, size_t count) {
  if (count != matrix.size())
    throw data_error("{}: '{}' has {} values, the model's ({}, {})", path.string(), name, count, matrix.rows, matrix.cols).with_hint("were the two models made of the same values and sizes?");
  if (shape.size() == 2 && matrix.rows > 1 && matrix.cols > 1 && size_t(shape[0]) != matrix.rows)
    throw data_error("{}: '{}' is ({}, {}), the model's ({}, {})", path.string(), name, shape[0], shape[1], matrix.rows, matrix.cols).with_hint("matrices of layers are (out, in), as PyTorch's are");
}

}  // namespace

void check_taken_from(const std::string& name, const std::string& from) { parts_of(name, from); }

size_t start_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters, std::span<float> weights, const TakenFrom& names) {
  Reader reader(path);
  for (const auto& [name, from] : names) {
    const nn::Parameter& matrix = matrix_of(path, parameters, name).where;
    std::vector<int64_t> shape;
    const std::vector<float> values = values_of(reader, path, name, parts_of(name, from), shape);
    check_shape(path, name, matrix, shape, values.size());
    std::copy(values.begin(), values.end(), weights.begin() + ptrdiff_t(matrix.at));
  }
  if (!names.empty()) return names.size();
  for (const auto& [name, tensor] : reader.entries()) {
    const nn::Parameter& matrix = matrix_of(path, parameters, name).where;
    check_shape(path, name, matrix, tensor.shape, tensor.count);
    reader.read(tensor, &weights[matrix.at]);
  }
  return reader.entries().size();
}

Weights weights_from_safetensors(const std::filesystem::path& path, const nn::Parameters& parameters) {
  Weights weights = parameters.dense_size() < parameters.size() ? Weights::scratch(parameters.size()) : Weights(std::vector<float>(parameters.size()));
  if (start_from_safetensors(path, parameters, weights.change()) != parameters.entries().size()) throw data_error("{}: does not have all weights of the model", path.string());
  return weights;
}

}  // namespace throng::train
