#include "framework/train/table_sums.h"

#include <cstring>

namespace throng::train {
namespace {

using Rows = nn::RowGradients<float>;

void put(Buffer& to, int32_t row, const float* values, size_t cols) {
  const size_t at = to.size();
  to.resize(at + sizeof row + cols * sizeof(float));
  std::memcpy(&to[at], &row, sizeof row), std::memcpy(&to[at + sizeof row], values, cols * sizeof(float));
}

template <class Bytes>
void add_all(const Bytes& bytes, size_t cols, Rows& sum) {
  std::vector<float> values(cols);
  for (size_t at = 0; at < bytes.size(); at += sizeof(int32_t) + cols * sizeof(float)) {
    int32_t row;
    std::memcpy(&row, &bytes[at], sizeof row), std::memcpy(values.data(), &bytes[at + sizeof row], cols * sizeof(float));
    sum.add(row, values.data());
  }
}

}  // namespace

void sum_tables(comm::Communicator& comm, const std::vector<nn::TableGradients<float>>& mine, nn::TableGradients<float>& sum) {
  const size_t ranks = size_t(comm.size());
  for (size_t k = 0; k < sum.tables.size(); ++k) {
    Rows& total = sum.tables[k];
    const size_t cols = total.cols();
    if (ranks == 1) {
      for (const auto& shard : mine)
        for (size_t slot = 0; slot < shard.tables[k].rows().size(); ++slot) total.add(shard.tables[k].rows()[slot], shard.tables[k].values(slot));
      continue;
    }
    // Shards are not added up before they are sent: the sum of some would have other bits.
    std::vector<Buffer> messages(ranks);
    for (const auto& shard : mine)
      for (size_t slot = 0; slot < shard.tables[k].rows().size(); ++slot) {
        const int32_t row = shard.tables[k].rows()[slot];
        put(messages[size_t(row) % ranks], row, shard.tables[k].values(slot), cols);
      }
    for (const auto& bytes : comm.alltoall(std::move(messages))) add_all(bytes, cols, total);
    Buffer summed;
    for (size_t slot = 0; slot < total.rows().size(); ++slot) put(summed, total.rows()[slot], total.values(slot), cols);
    total.clear();
    for (const auto& text : comm.allgather(std::string(reinterpret_cast<const char*>(summed.data()), summed.size()))) add_all(text, cols, total);
  }
}

}  // namespace throng::train
