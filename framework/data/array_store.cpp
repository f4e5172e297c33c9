#include "framework/data/array_store.h"

#include <unistd.h>

#include "framework/base/error.h"
#include "framework/base/files.h"
#include "framework/base/hash.h"
#include "framework/data/hdf5_file.h"

namespace throng::data {
namespace {

template <class T>
constexpr ArrayType array_type() {
  if constexpr (std::is_same_v<T, float>) return ArrayType::kFloat32;
  if constexpr (std::is_same_v<T, double>) return ArrayType::kFloat64;
  return ArrayType::kInt64;
}
template <class T>
void put_values(ArrayStore& store, const std::string& name, std::vector<T> values, std::vector<uint64_t> shape) {
  if (shape.empty()) shape = {values.size()};
  uint64_t n = 1;
  for (auto d : shape) n *= d;
  THRONG_CHECK(n == values.size(), "array '{}' has {} values for a shape of {}", name, values.size(), n);
  store.arrays[name] = {std::move(shape), std::move(values)};
}
template <class T>
const std::vector<T>& get_values(const ArrayStore& store, const std::string& name) {
  auto it = store.arrays.find(name);
  if (it == store.arrays.end()) throw data_error("the saved state has no array '{}'", name);
  auto* values = std::get_if<std::vector<T>>(&it->second.values);
  if (!values) throw data_error("the saved array '{}' has another type", name);
  return *values;
}

}  // namespace

void ArrayStore::put(const std::string& n, std::vector<float> v, std::vector<uint64_t> s) { put_values(*this, n, std::move(v), std::move(s)); }
void ArrayStore::put(const std::string& n, std::vector<double> v, std::vector<uint64_t> s) { put_values(*this, n, std::move(v), std::move(s)); }
void ArrayStore::put(const std::string& n, std::vector<int64_t> v, std::vector<uint64_t> s) { put_values(*this, n, std::move(v), std::move(s)); }
const std::vector<float>& ArrayStore::floats(const std::string& n) const { return get_values<float>(*this, n); }
const std::vector<double>& ArrayStore::doubles(const std::string& n) const { return get_values<double>(*this, n); }
const std::vector<int64_t>& ArrayStore::integers(const std::string& n) const { return get_values<int64_t>(*this, n); }

void ArrayStore::put_strings(const std::string& name, const std::vector<std::string>& strings) {
  std::string joined;
  for (const auto& s : strings) {
    std::string escaped;
    for (char c : s) escaped += c == '\n' ? "\\n" : c == '\\' ? "\\\\" : std::string(1, c);
    joined += escaped + '\n';
  }
  texts[name] = std::move(joined);
}

std::vector<std::string> ArrayStore::strings(const std::string& name) const {
  auto it = texts.find(name);
  if (it == texts.end()) throw data_error("the saved state has no text '{}'", name);
  std::vector<std::string> out;
  std::string one;
  const std::string& t = it->second;
  for (size_t i = 0; i < t.size(); ++i) {
    if (t[i] == '\n')
      out.push_back(std::exchange(one, ""));
    else if (t[i] == '\\' && i + 1 < t.size())
      one += t[++i] == 'n' ? '\n' : t[i];
    else
      one += t[i];
  }
  return out;
}

void ArrayStore::save(const std::filesystem::path& path) const {
  std::filesystem::path temporary = path;
  temporary += fmt::format(".tmp{}", ::getpid());
  {
    Hdf5File file = Hdf5File::create(temporary);
    for (const auto& [name, array] : arrays)
      std::visit([&]<class T>(const std::vector<T>& v) { file.write("/arrays/" + name, array_type<T>(), v.data(), array.shape); }, array.values);
    for (const auto& [name, text] : texts) file.write("/texts/" + name, ArrayType::kUInt8, text.data(), {text.size()});
    file.close();
  }
  fsync_path(temporary);
  std::error_code code;
  std::filesystem::rename(temporary, path, code);
  if (code) throw system_error("{}: cannot be written: {}", path.string(), code.message());
}

namespace {
void for_each_in(const Hdf5File& file, const std::string& group, const std::function<void(const std::string&)>& visit) {
  if (!file.has(group)) return;
  for (const auto& name : file.list(group)) visit(name);
}
}  // namespace

ArrayStore ArrayStore::load(const std::filesystem::path& path) {
  Hdf5File file = Hdf5File::open(path);
  ArrayStore store;
  for_each_in(file, "/arrays", [&](const std::string& name) {
    auto shape = file.shape("/arrays/" + name);
    uint64_t n = 1;
    for (auto d : shape) n *= d;
    auto type = file.stored_type("/arrays/" + name);
    auto read = [&]<class T>(T) {
      std::vector<T> values(n);
      if (n) file.read_all("/arrays/" + name, array_type<T>(), values.data());
      store.arrays[name] = {shape, std::move(values)};
    };
    if (type == ArrayType::kFloat32) read(float{});
    else if (type == ArrayType::kFloat64) read(double{});
    else read(int64_t{});
  });
  for_each_in(file, "/texts", [&](const std::string& name) {
    std::string text(file.shape("/texts/" + name).at(0), '\0');
    if (!text.empty()) file.read_all("/texts/" + name, ArrayType::kUInt8, text.data());
    store.texts[name] = std::move(text);
  });
  return store;
}

std::string ArrayStore::content_hash() const {
  std::string text;
  for (const auto& [name, array] : arrays) {
    uint64_t h = std::visit([](const auto& v) { return hash64(v.data(), v.size() * sizeof(v[0])); }, array.values);
    text += fmt::format("{} [{}] {} {:016x};", name, fmt::join(array.shape, ","), array.values.index(), h);
  }
  for (const auto& [name, t] : texts) text += fmt::format("{} {:016x};", name, hash64(t));
  return hash128_hex(text);
}

}  // namespace throng::data
