#include "framework/train/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "framework/data/array_store.h"

namespace throng::train {
namespace {

size_t total(const std::vector<nn::Slice>& slices) {
  size_t n = 0;
  for (const auto& s : slices) n += s.end - s.begin;
  return n;
}

/// Numbers of a rank's slices, one after another, to their places in the whole array, or from there.
template <class Move>
void for_slices(const std::vector<nn::Slice>& slices, const Move& move) {
  size_t at = 0;
  for (const auto& s : slices) {
    if (s.begin < s.end) move(at, s.begin, s.end - s.begin);
    at += s.end - s.begin;
  }
}

/// Collective. The ranks' numbers one after another, where rank 0 writes.
template <class T>
void put_gathered(comm::Communicator& comm, data::ArrayStore& store, const std::string& name, const std::vector<T>& mine) {
  std::vector<T> all;
  for (const std::string& part : comm.gather(std::string(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(T)))) {
    all.resize(all.size() + part.size() / sizeof(T));
    if (!part.empty()) std::memcpy(all.data() + all.size() - part.size() / sizeof(T), part.data(), part.size());
  }
  if (comm.rank() == 0) store.put(name, std::move(all));
}

void keep_last(const std::filesystem::path& folder, const std::filesystem::path& newest, const Cursor& cursor, int64_t keep) {
  const auto own_name = folder / fmt::format("checkpoint_epoch{:06}_step{:09}.h5", cursor.epoch, cursor.step);
  std::error_code failed;
  std::filesystem::remove(own_name, failed);
  std::filesystem::create_hard_link(newest, own_name, failed);
  if (failed) std::filesystem::copy_file(newest, own_name);  // a file system without links
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("checkpoint_epoch")) all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i + size_t(keep) < all.size(); ++i) std::filesystem::remove(all[i]);
}

}  // namespace

Checkpoints::~Checkpoints() {
  if (writing_.valid()) writing_.wait();
}

void Checkpoints::wait() {
  if (writing_.valid()) writing_.get();
}

void Checkpoints::save(comm::Communicator& comm, const Cursor& cursor, const std::vector<float>& weights, const nn::Optimizer<float>& optimizer, const GradientSums& sums) {
  auto store = std::make_shared<data::ArrayStore>();
  for (size_t i = 0; i < optimizer.state().size(); ++i) {
    const auto& mine = optimizer.state()[i];
    if (comm.rank() != 0) {
      comm.put(0, std::as_bytes(std::span(mine).first(total(sums.slices()))));
      continue;
    }
    std::vector<float> whole(weights.size());
    const size_t dense = total(sums.slices());
    for_slices(sums.slices(), [&](size_t at, size_t to, size_t n) { std::copy_n(mine.begin() + std::ptrdiff_t(at), n, whole.begin() + std::ptrdiff_t(to)); });
    std::copy(mine.begin() + std::ptrdiff_t(dense), mine.end(), whole.end() - std::ptrdiff_t(mine.size() - dense));  // tables, which all ranks have
    for (int r = 1; r < comm.size(); ++r) {
      const Buffer message = comm.take(r);
      THRONG_CHECK(message.size() == total(sums.slices(r)) * sizeof(float), "{} bytes of state from rank {}", message.size(), r);
      for_slices(sums.slices(r), [&](size_t at, size_t to, size_t n) { std::memcpy(&whole[to], message.data() + at * sizeof(float), n * sizeof(float)); });
    }
    store->put("optimizer_" + std::to_string(i), std::move(whole));
  }
  std::vector<int64_t> sizes;
  std::vector<float> states;
  for (const auto& state : cursor.shard_states) sizes.push_back(int64_t(state.size())), states.insert(states.end(), state.begin(), state.end());
  put_gathered(comm, *store, "shard_state_sizes", sizes), put_gathered(comm, *store, "shard_states", states);
  if (comm.rank() != 0) return;
  store->put("weights", weights);
  store->put("cursor", std::vector<int64_t>{cursor.epoch, cursor.step, optimizer.steps(), cursor.epoch_targets, cursor.shards});
  store->put("epoch_loss", std::vector<double>{cursor.epoch_loss});
  wait();
  writing_ = std::async(std::launch::async, [store, cursor = Cursor{cursor.epoch, cursor.step}, path = newest(), folder = folder_, keep = keep_] {
    store->save(path);
    if (keep > 1) keep_last(folder, path, cursor, keep);
  });
}

void Checkpoints::finish(comm::Communicator& comm) {
  wait();
  comm.barrier();
}

bool Checkpoints::load(comm::Communicator& comm, Cursor& cursor, std::vector<float>& weights, nn::Optimizer<float>& optimizer, const GradientSums& sums, size_t num_weights) {
  const int64_t there = comm.rank() == 0 && std::filesystem::exists(newest());
  if (!comm.allreduce(there)) return false;
  auto store = data::ArrayStore::load(newest());
  weights = store.floats("weights");
  if (weights.size() != num_weights) throw data_error("{}: belongs to another model", newest().string());
  for (size_t i = 0; i < optimizer.state().size(); ++i) {
    const auto& whole = store.floats("optimizer_" + std::to_string(i));
    if (whole.size() != num_weights) throw data_error("{}: belongs to another model", newest().string());
    auto& mine = optimizer.state()[i];
    for_slices(sums.slices(), [&](size_t at, size_t from, size_t n) { std::copy_n(whole.begin() + std::ptrdiff_t(from), n, mine.begin() + std::ptrdiff_t(at)); });
    const size_t dense = total(sums.slices());
    std::copy(whole.end() - std::ptrdiff_t(mine.size() - dense), whole.end(), mine.begin() + std::ptrdiff_t(dense));
  }
  const auto& numbers = store.integers("cursor");
  cursor = {numbers.at(0), numbers.at(1), store.doubles("epoch_loss").at(0), numbers.at(3), numbers.at(4), {}};
  const auto& states = store.floats("shard_states");
  int64_t at = 0;
  for (int64_t n : store.integers("shard_state_sizes")) cursor.shard_states.emplace_back(states.begin() + at, states.begin() + at + n), at += n;
  optimizer.set_steps(numbers.at(2));
  return true;
}

}  // namespace throng::train
