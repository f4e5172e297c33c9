#include "framework/train/table_shards.h"

#include <algorithm>
#include <cstring>

#include "framework/base/files.h"
#include "framework/data/array_store.h"

namespace throng::train {
namespace {

using Rows = nn::Rows<float>;

constexpr size_t kGatheredAtOnce = size_t{1} << 22;  // numbers, over all ranks

template <class T>
void put(Buffer& to, const T* values, size_t n) {
  if (n == 0) return;
  const size_t at = to.size();
  to.resize(at + n * sizeof(T));
  std::memcpy(&to[at], values, n * sizeof(T));
}

/// Reads what `put` wrote.
class Reader {
 public:
  explicit Reader(const Buffer& from) : from_(from) {}
  template <class T>
  void get(T* values, size_t n) {
    if (n == 0) return;
    THRONG_CHECK(at_ + n * sizeof(T) <= from_.size(), "a message of {} bytes ends too soon", from_.size());
    std::memcpy(values, from_.data() + at_, n * sizeof(T));
    at_ += n * sizeof(T);
  }

 private:
  const Buffer& from_;
  size_t at_ = 0;
};

}  // namespace

TableShards::TableShards(comm::Communicator& comm, const nn::Parameters& parameters, const nn::OptimizerOptions& options) : comm_(comm), parameters_(parameters), all_(parameters) {
  for (int b = 0; b < kBlocks; ++b) owners_.push_back(comm.owner_of_shard(b / (kBlocks / kLeaves), kLeaves));
  const size_t first = size_t(first_of(comm.rank())), end = size_t(first_of(comm.rank() + 1));
  for (const auto& e : parameters.entries()) {
    if (!e.table) continue;
    auto& begins = begins_.emplace_back(1, 0);
    for (size_t b = 0; b < kBlocks; ++b) begins.push_back(begins.back() + (e.where.rows + kBlocks - 1 - b) / kBlocks);
    own_.add_table_like(e, begins[end] - begins[first]);
  }
  weights_.resize(own_.size());
  optimizer_ = std::make_unique<nn::Optimizer<float>>(options, own_, std::span<const nn::Slice>(), true);
  for (const auto& e : own_.entries()) sums_.emplace_back(e.where);
}

template <class Visit>
void TableShards::for_own(const Visit& visit) const {
  const int first = first_of(comm_.rank()), end = first_of(comm_.rank() + 1);
  for (size_t k = 0; k < all_.tables.size(); ++k) {
    size_t place = 0;
    for (int block = first; block < end; ++block)
      for (size_t row = size_t(block); row < all_.tables[k].table().rows; row += kBlocks) visit(k, row, place++);
  }
}

void TableShards::initialize(uint64_t seed) {
  std::vector<const nn::Parameters::Entry*> entries;
  for (const auto& e : parameters_.entries())
    if (e.table) entries.push_back(&e);
  for_own([&](size_t k, size_t row, size_t place) { nn::Parameters::initialize_row(*entries[k], row, &weights_[own_.entries()[k].where.at + place * entries[k]->where.cols], seed); });
}

void TableShards::take(std::span<const float> weights) {
  for_own([&](size_t k, size_t row, size_t place) {
    const auto& whole = all_.tables[k].table();
    std::copy_n(&weights[whole.at + row * whole.cols], whole.cols, &weights_[own_.entries()[k].where.at + place * whole.cols]);
  });
}

void TableShards::gather(const std::function<void(size_t at, std::span<float> rows)>& put) const {
  for (size_t k = 0; k < all_.tables.size(); ++k) {
    const auto& whole = all_.tables[k].table();
    const size_t at_once = std::max<size_t>(1, kGatheredAtOnce / whole.cols);
    for (size_t begin = 0; begin < whole.rows; begin += at_once) {
      const size_t end = std::min(whole.rows, begin + at_once);
      std::string mine;
      for (size_t row = begin; row < end; ++row)
        if (owner(int32_t(row)) == comm_.rank()) mine.append(reinterpret_cast<const char*>(&weights_[own_.entries()[k].where.at + size_t(local(k, int32_t(row))) * whole.cols]), whole.cols * sizeof(float));
      comm_.barrier();  // no rank sends ahead of rank 0, which would have to hold it all
      const auto parts = comm_.gather(mine);
      if (comm_.rank() != 0) continue;
      std::vector<float> rows((end - begin) * whole.cols);
      std::vector<size_t> read(parts.size());
      for (size_t row = begin; row < end; ++row) {
        const size_t from = size_t(owner(int32_t(row))), bytes = whole.cols * sizeof(float);
        std::memcpy(&rows[(row - begin) * whole.cols], parts[from].data() + std::exchange(read[from], read[from] + bytes), bytes);
      }
      put(whole.at + begin * whole.cols, rows);
    }
  }
}

void TableShards::fetch(nn::TableRows<float>& wanted) {
  const size_t ranks = size_t(comm_.size());
  // What is asked of each rank: for each table how many rows, and which.
  std::vector<Buffer> questions(ranks);
  for (size_t k = 0; k < wanted.tables.size(); ++k) {
    std::vector<std::vector<int32_t>> places(ranks);
    for (int32_t row : wanted.tables[k].rows())
      if (owner(row) != comm_.rank()) places[size_t(owner(row))].push_back(local(k, row));
    for (size_t r = 0; r < ranks; ++r) {
      const int64_t n = int64_t(places[r].size());
      put(questions[r], &n, 1), put(questions[r], places[r].data(), places[r].size());
    }
  }
  std::vector<Buffer> answers(ranks);
  const auto asked = comm_.alltoall(std::move(questions));
  for (size_t r = 0; r < ranks; ++r) {
    Reader reader(asked[r]);
    for (const auto& e : own_.entries()) {
      int64_t n = 0;
      reader.get(&n, 1);
      std::vector<int32_t> places(static_cast<size_t>(n));
      reader.get(places.data(), places.size());
      for (int32_t place : places) put(answers[r], &weights_[e.where.at + size_t(place) * e.where.cols], e.where.cols);
    }
  }
  const auto values = comm_.alltoall(std::move(answers));
  std::vector<Reader> readers(values.begin(), values.end());
  for (size_t k = 0; k < wanted.tables.size(); ++k) {
    Rows& table = wanted.tables[k];
    table.make_room();
    const auto own = own_rows(k);
    const auto here = [&](int32_t row) { return &own[size_t(local(k, row)) * table.cols()]; };
    for (size_t slot = 0; slot < table.rows().size(); ++slot) {
      const int32_t row = table.rows()[slot];
      if (owner(row) != comm_.rank()) {
        readers[size_t(owner(row))].get(table.values(slot), table.cols());
        continue;
      }
      if (slot + kRowsAhead < table.rows().size())
        if (const int32_t next = table.rows()[slot + kRowsAhead]; owner(next) == comm_.rank()) prefetch(here(next), table.cols());
      std::copy_n(here(row), table.cols(), table.values(slot));
    }
  }
}

void TableShards::sum(std::vector<nn::TableRows<float>>& mine, const nn::TableRows<float>& fetched) {
  const size_t ranks = size_t(comm_.size()), me = size_t(comm_.rank());
  std::vector<Buffer> messages(ranks);
  const auto for_each = [&](const auto& visit) {  // owner, table, row at its owner, gradient
    for (auto& shard : mine)
      for (size_t k = 0; k < fetched.tables.size(); ++k) {
        Rows& rows = shard.tables[k];
        for (size_t slot = 0; slot < rows.rows().size(); ++slot) {
          const int32_t row = fetched.tables[k].rows()[size_t(rows.rows()[slot])];
          visit(size_t(owner(row)), k, local(k, row), rows.values(slot));
        }
      }
  };
  // Shards are not added up before they are sent: the sum of some would have other bits.
  if (ranks > 1)
    for_each([&](size_t to, size_t k, int32_t place, const float* values) {
      if (to == me) return;
      const int32_t header[2] = {int32_t(k), place};
      put(messages[to], header, 2), put(messages[to], values, fetched.tables[k].cols());
    });
  for (auto& table : sums_) table.clear();
  received_ = comm_.alltoall(std::move(messages));
  for (size_t from = 0; from < ranks; ++from) {
    if (from == me) {
      for_each([&](size_t to, size_t k, int32_t place, float* own) {
        if (to == me) sums_[k].add(place, own);
      });
      continue;
    }
    for (size_t at = 0; at < received_[from].size();) {
      int32_t to[2];
      THRONG_CHECK(at + sizeof to <= received_[from].size(), "a message of {} bytes ends too soon", received_[from].size());
      std::memcpy(to, &received_[from][at], sizeof to), at += sizeof to;
      auto& rows = sums_.at(size_t(to[0]));
      THRONG_CHECK(at + rows.cols() * sizeof(float) <= received_[from].size(), "a message of {} bytes ends too soon", received_[from].size());
      rows.add(to[1], reinterpret_cast<float*>(&received_[from][at])), at += rows.cols() * sizeof(float);
    }
  }
}

void TableShards::add(size_t table, std::span<float> gradient) {
  auto& rows = sums_[table];
  for (size_t place = 0; place * rows.cols() < gradient.size(); ++place) rows.add(int32_t(place), &gradient[place * rows.cols()]);
}

size_t TableShards::index_of(const nn::Parameter& table) const {
  for (size_t k = 0; k < all_.tables.size(); ++k)
    if (all_.tables[k].table().at == table.at) return k;
  THRONG_CHECK(false, "no table begins at {}", table.at);
}

std::span<const float> TableShards::own_rows(size_t table) const {
  const auto& where = own_.entries()[table].where;
  return std::span(weights_).subspan(where.at, where.size());
}

std::pair<size_t, size_t> TableShards::rows_of_leaf(size_t table, int leaf) const {
  const auto before = [&](int block) { return begins_[table][size_t(block)] - begins_[table][size_t(first_of(comm_.rank()))]; };
  return {before(leaf * (kBlocks / kLeaves)), before((leaf + 1) * (kBlocks / kLeaves))};
}

double TableShards::squares() const {
  // By table and block, in the order of rows within one; ranks own stretches of blocks.
  const size_t first = size_t(first_of(comm_.rank())), end = size_t(first_of(comm_.rank() + 1));
  const size_t tables = all_.tables.size();
  std::vector<double> blocks((end - first) * tables);
  for (size_t k = 0; k < tables; ++k) {
    const auto& rows = sums_[k];
    const auto& begins = begins_[k];
    for (uint32_t slot : rows.by_row()) {
      const size_t at = begins[first] + size_t(rows.rows()[slot]);
      const size_t block = size_t(std::upper_bound(begins.begin(), begins.end(), at) - begins.begin()) - 1;
      blocks[(block - first) * tables + k] += nn::squares_of({rows.values(slot), rows.cols()});
    }
  }
  double sum = 0;
  for (const auto& part : comm_.allgather(std::string(reinterpret_cast<const char*>(blocks.data()), blocks.size() * sizeof(double))))
    for (size_t i = 0; i < part.size(); i += sizeof(double)) {
      double block;
      std::memcpy(&block, part.data() + i, sizeof block);
      sum += block;
    }
  return sum;
}

void TableShards::update(double factor, double lr_factor) {
  optimizer_->update(weights_, std::span<const nn::RowSums<float>>(sums_), lr_factor, factor);
}

// ---------------------------------------------------------------------------------------------- checkpoints

namespace {

constexpr const char* kPrefix = "tables_";

std::filesystem::path file_of(const std::filesystem::path& folder, const std::string& tag, int first_block) { return folder / fmt::format("{}{}_{:04}.h5", kPrefix, tag, first_block); }

/// The first blocks of a tag's files, in order.
std::vector<int> firsts_of(const std::filesystem::path& folder, const std::string& tag) {
  std::vector<int> found;
  for (int block = 0; block < TableShards::kBlocks; ++block)
    if (std::filesystem::exists(file_of(folder, tag, block))) found.push_back(block);
  return found;
}

}  // namespace

std::function<void()> TableShards::writer(const std::filesystem::path& folder, const std::string& tag) const {
  const int first = first_of(comm_.rank()), end = first_of(comm_.rank() + 1);
  if (none() || first == end) return [] {};
  auto store = std::make_shared<data::ArrayStore>();
  store->put("blocks", std::vector<int64_t>{first, end, optimizer_->steps()});
  for (size_t k = 0; k < all_.tables.size(); ++k) {
    const auto& where = own_.entries()[k].where;
    const auto part = [&](const std::vector<float>& from) { return std::vector<float>(from.begin() + ptrdiff_t(where.at), from.begin() + ptrdiff_t(where.at + where.size())); };
    store->put(fmt::format("table_{}", k), part(weights_));
    for (size_t i = 0; i < optimizer_->state().size(); ++i) store->put(fmt::format("table_{}_optimizer_{}", k, i), part(optimizer_->state()[i]));
  }
  return [store, path = file_of(folder, tag, first)] { store->save(path); };
}

namespace {

/// Empty where the file is none of ours.
std::string tag_of_file(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const size_t begin = std::strlen(kPrefix), end = name.rfind('_');
  return name.starts_with(kPrefix) && end != std::string::npos && end > begin ? name.substr(begin, end - begin) : "";
}

}  // namespace

std::vector<std::string> TableShards::tags(const std::filesystem::path& folder) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (std::string tag = tag_of_file(entry.path()); !tag.empty()) found.push_back(std::move(tag));
  return found;
}

void TableShards::remove_files(const std::filesystem::path& folder, const std::function<bool(const std::string& tag)>& keep) {
  throng::remove_files(folder, [&](const std::string& name) {
    const std::string tag = tag_of_file(name);
    return !tag.empty() && !keep(tag);
  });
}

void TableShards::load(const std::filesystem::path& folder, const std::string& tag, int64_t steps) {
  const size_t first = size_t(first_of(comm_.rank())), end = size_t(first_of(comm_.rank() + 1));
  if (none() || first == end) return;
  optimizer_->set_steps(steps);
  size_t at = first;  // blocks before it are read
  const auto firsts = firsts_of(folder, tag);
  for (size_t f = 0; f < firsts.size(); ++f) {
    if (size_t(firsts[f]) >= end || (f + 1 < firsts.size() && size_t(firsts[f + 1]) <= at)) continue;
    const auto path = file_of(folder, tag, firsts[f]);
    const auto store = data::ArrayStore::load(path);
    const auto& blocks = store.integers("blocks");
    if (blocks.at(2) != steps) throw data_error("{}: rows after {} steps, in a checkpoint of {}", path.string(), blocks.at(2), steps).with_hint("all files tables_* of a checkpoint belong together");
    const size_t from = std::max(at, size_t(blocks.at(0))), to = std::min(end, size_t(blocks.at(1)));
    if (from >= to) continue;
    if (from != at) break;
    for (size_t k = 0; k < all_.tables.size(); ++k) {
      const auto& where = own_.entries()[k].where;
      const auto& begins = begins_[k];
      const size_t n = (begins[to] - begins[from]) * where.cols, there = (begins[from] - begins[size_t(blocks.at(0))]) * where.cols, here = where.at + (begins[from] - begins[first]) * where.cols;
      const auto copy = [&](const std::string& name, std::vector<float>& into) {
        const auto& values = store.floats(name);
        if (values.size() != (begins[size_t(blocks.at(1))] - begins[size_t(blocks.at(0))]) * where.cols) throw data_error("{}: belongs to another model", path.string());
        std::copy_n(values.begin() + ptrdiff_t(there), n, into.begin() + ptrdiff_t(here));
      };
      copy(fmt::format("table_{}", k), weights_);
      for (size_t i = 0; i < optimizer_->state().size(); ++i) copy(fmt::format("table_{}_optimizer_{}", k, i), optimizer_->state()[i]);
    }
    at = to;
  }
  if (at != end) throw data_error("{}: rows of tables are missing: blocks {} to {} of {}", folder.string(), at, end, kBlocks).with_hint("all files tables_* of a checkpoint belong together");
}

}  // namespace throng::train
