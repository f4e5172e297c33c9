#include "framework/train/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "framework/base/files.h"
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

constexpr const char *kKept = "checkpoint_", *kWeights = "weights_epoch";

std::string tag_of(const Cursor& cursor) { return fmt::format("epoch{:06}_step{:09}", cursor.epoch, cursor.step); }
std::filesystem::path kept_path(const std::filesystem::path& folder, const std::string& tag) { return folder / fmt::format("{}{}.h5", kKept, tag); }
/// Where the next one waits until all ranks have written their parts.
std::filesystem::path waiting_path(const std::filesystem::path& folder) { return folder / "checkpoint_next.h5"; }

void keep_last(const std::filesystem::path& folder, const std::filesystem::path& newest, const std::string& tag, int64_t keep) {
  const auto own_name = kept_path(folder, tag);
  std::error_code failed;
  std::filesystem::remove(own_name, failed);
  std::filesystem::create_hard_link(newest, own_name, failed);
  if (failed) std::filesystem::copy_file(newest, own_name);  // a file system without links
  // By age: a run that began an epoch anew writes lower names again.
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> all;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().starts_with(fmt::format("{}epoch", kKept))) all.emplace_back(entry.path() == own_name ? std::filesystem::file_time_type::max() : entry.last_write_time(), entry.path());
  std::sort(all.begin(), all.end());
  for (size_t i = 0; i + size_t(keep) < all.size(); ++i) std::filesystem::remove(all[i].second);
}

/// The names of rows' files begin with how many times they were written in this folder: none is ever written again while a checkpoint may need it.
std::string rows_tag(const std::filesystem::path& folder, const std::string& tag) {
  int64_t last = 0;
  for (const std::string& old : TableShards::tags(folder)) last = std::max(last, int64_t(std::atoll(old.c_str())));
  return fmt::format("{:09}_{}", last + 1, tag);
}

void remove_old_tables(const std::filesystem::path& folder, const std::string& newest) {
  // Later ones may be being written.
  TableShards::remove_files(folder, [&](const std::string& tag) { return (!newest.empty() && tag >= newest) || std::filesystem::exists(kept_path(folder, tag.substr(tag.find('_') + 1))); });
}

/// The newest is there: others go.
void put_in_place(const std::filesystem::path& folder, const std::filesystem::path& newest, const std::string& tag, const std::string& rows, int64_t keep) {
  if (keep > 1) keep_last(folder, newest, tag, keep);
  if (!rows.empty()) remove_old_tables(folder, rows);
}

}  // namespace

Checkpoints::~Checkpoints() {
  if (writing_.valid()) writing_.wait();
}

void Checkpoints::save(comm::Communicator& comm, const Cursor& cursor, const std::vector<float>& weights, const nn::Optimizer<float>& optimizer, const GradientSums& sums, const TableShards& tables, std::function<void()> write_before) {
  Activity copying(comm.line(), Doing::kWriting, "a checkpoint");
  finish(comm);
  auto store = std::make_shared<data::ArrayStore>();
  for (size_t i = 0; i < optimizer.state().size(); ++i) {
    const auto& mine = optimizer.state()[i];
    if (comm.rank() != 0) {
      comm.put(0, std::as_bytes(std::span(mine).first(total(sums.slices()))));
      continue;
    }
    std::vector<float> whole(weights.size());
    for_slices(sums.slices(), [&](size_t at, size_t to, size_t n) { std::copy_n(mine.begin() + std::ptrdiff_t(at), n, whole.begin() + std::ptrdiff_t(to)); });
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
  const std::string tag = tag_of(cursor);
  std::string rows;
  if (!tables.none()) {
    if (comm.rank() == 0) rows = rows_tag(folder_, tag);
    comm.broadcast(rows);
  }
  if (comm.rank() == 0) {
    store->put("weights", weights);
    store->put("cursor", std::vector<int64_t>{cursor.epoch, cursor.step, optimizer.steps(), cursor.epoch_targets, cursor.shards});
    store->put("epoch_loss", std::vector<double>{cursor.epoch_loss});
    if (!rows.empty()) store->texts["tables"] = rows;
  }
  const bool others_write = !rows.empty() && comm.size() > 1;
  if (others_write) waiting_ = tag, waiting_rows_ = rows;
  if (comm.rank() != 0 && !others_write) return;
  auto write_rows = tables.writer(folder_, rows);
  writing_ = std::async(std::launch::async, [store, write_before = std::move(write_before), write_rows = std::move(write_rows), rank = comm.rank(), others_write, tag, rows, folder = folder_, newest = newest(), keep = keep_] {
    write_rows();
    if (rank != 0) return;
    if (write_before) write_before();
    store->save(others_write ? waiting_path(folder) : newest);
    if (!others_write) put_in_place(folder, newest, tag, rows, keep);
  });
}

bool Checkpoints::written(comm::Communicator& comm) const {
  const int64_t done = !writing_.valid() || writing_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  return comm.allreduce(done, comm::Op::kMin) > 0;
}

void Checkpoints::look(comm::Communicator& comm) {
  if (waiting_.empty()) return;
  if (written(comm)) finish(comm);
}

void Checkpoints::finish(comm::Communicator& comm) {
  Activity writing(comm.line(), Doing::kWriting, "a checkpoint");
  if (writing_.valid()) writing_.get();
  comm.barrier();
  const std::string tag = std::exchange(waiting_, "");
  if (comm.rank() != 0 || tag.empty()) return;
  std::filesystem::rename(waiting_path(folder_), newest());
  put_in_place(folder_, newest(), tag, waiting_rows_, keep_);
}

std::filesystem::path Checkpoints::weights_file(const std::filesystem::path& folder, int64_t epochs) { return folder / fmt::format("{}{:06}.h5", kWeights, epochs); }

void Checkpoints::remove_weights_files(const std::filesystem::path& folder, int64_t but_epochs) {
  const std::string kept = weights_file(folder, but_epochs).filename().string();
  remove_files(folder, [&](const std::string& name) { return name.starts_with(kWeights) && name != kept; });
}

void Checkpoints::remove_newest(const std::filesystem::path& folder) {
  // With what was not written to its end when a run was killed.
  const std::string waiting = waiting_path(folder).filename().string();
  remove_files(folder, [&](const std::string& name) { return name.starts_with("checkpoint.h5") || name.starts_with(waiting); });
  remove_weights_files(folder, -1);
  remove_old_tables(folder, "");
}

bool Checkpoints::load(comm::Communicator& comm, Cursor& cursor, std::vector<float>& weights, nn::Optimizer<float>& optimizer, const GradientSums& sums, TableShards& tables) {
  const int64_t there = comm.rank() == 0 && std::filesystem::exists(newest());
  if (!comm.allreduce(there)) return false;
  auto store = data::ArrayStore::load(newest());
  const size_t num_weights = weights.size();
  weights = store.floats("weights");
  if (weights.size() != num_weights || store.texts.count("tables") != !tables.none()) throw data_error("{}: belongs to another model", newest().string());
  for (size_t i = 0; i < optimizer.state().size(); ++i) {
    const auto& whole = store.floats("optimizer_" + std::to_string(i));
    if (whole.size() != num_weights) throw data_error("{}: belongs to another model", newest().string());
    auto& mine = optimizer.state()[i];
    for_slices(sums.slices(), [&](size_t at, size_t from, size_t n) { std::copy_n(whole.begin() + std::ptrdiff_t(from), n, mine.begin() + std::ptrdiff_t(at)); });
  }
  if (!tables.none()) tables.load(folder_, store.texts.at("tables"), store.integers("cursor").at(2));
  const auto& numbers = store.integers("cursor");
  cursor = {numbers.at(0), numbers.at(1), store.doubles("epoch_loss").at(0), numbers.at(3), numbers.at(4), {}};
  const auto& states = store.floats("shard_states");
  int64_t at = 0;
  for (int64_t n : store.integers("shard_state_sizes")) cursor.shard_states.emplace_back(states.begin() + at, states.begin() + at + n), at += n;
  optimizer.set_steps(numbers.at(2));
  return true;
}

}  // namespace throng::train
