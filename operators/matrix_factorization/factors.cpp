#include "operators/matrix_factorization/factors.h"

#include <cstring>

#include "framework/base/hash.h"
#include "framework/base/random.h"

namespace throng::op {
namespace {

std::string bytes_of(const std::vector<float>& values) { return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)); }
std::vector<float> put_together(const std::vector<std::string>& parts) {
  std::vector<float> all;
  for (const auto& text : parts) {
    const size_t at = all.size();
    all.resize(at + text.size() / sizeof(float));
    if (!text.empty()) std::memcpy(&all[at], text.data(), text.size());
  }
  return all;
}

}  // namespace

float Factors::product(size_t u, size_t i) const {
  const float *p = user(u), *q = item(i);
  float sum = 0;
  for (size_t f = 0; f < width; ++f) sum += p[f] * q[f];
  return sum;
}

Factors Factors::begin(const RatedItems& data, size_t width, double deviation, uint64_t seed) {
  Factors factors;
  factors.width = width;
  auto fill = [&](float* row, uint64_t stream) {
    Random random(seed, stream);
    for (size_t f = 0; f < width; ++f) row[f] = float(deviation * random.normal());
  };
  factors.users.resize(data.of_user.size() * width), factors.items.resize(data.items * width);
  for (size_t u = 0; u < data.of_user.size(); ++u)
    if (!data.of_user[u].empty()) fill(factors.user(u), mix64(data.user_hash[u]));
  for (size_t i = 0; i < data.items; ++i) fill(factors.item(i), i);
  factors.user_bias.resize(data.of_user.size()), factors.item_bias.resize(data.items);
  return factors;
}

std::vector<float> Factors::all_users(comm::Communicator& comm) const { return put_together(comm.allgather(bytes_of(users))); }

void Factors::save(comm::Communicator& comm, data::ArrayStore& store, const std::string& prefix) const {
  auto all = put_together(comm.gather(bytes_of(users))), bias = put_together(comm.gather(bytes_of(user_bias)));
  if (comm.rank() != 0) return;
  const uint64_t num_users = bias.size(), num_items = item_bias.size();
  store.put(prefix + "users", std::move(all), {num_users, width}), store.put(prefix + "user_bias", std::move(bias));
  store.put(prefix + "items", items, {num_items, width}), store.put(prefix + "item_bias", item_bias);
}

void Factors::load(comm::Communicator& comm, const data::ArrayStore& store, const std::string& prefix) {
  size_t first = 0;
  const auto counts = comm.allgather(std::to_string(user_bias.size()));
  for (int r = 0; r < comm.rank(); ++r) first += std::stoull(counts[size_t(r)]);
  const auto &all = store.floats(prefix + "users"), &bias = store.floats(prefix + "user_bias");
  if (all.size() < (first + user_bias.size()) * width || store.floats(prefix + "items").size() != items.size()) throw data_error("the checkpoint belongs to other rows or parameters");
  std::copy_n(all.begin() + ptrdiff_t(first * width), users.size(), users.begin());
  std::copy_n(bias.begin() + ptrdiff_t(first), user_bias.size(), user_bias.begin());
  items = store.floats(prefix + "items"), item_bias = store.floats(prefix + "item_bias");
}

}  // namespace throng::op
