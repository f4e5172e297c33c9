#include "framework/train/layered_model.h"

#include <algorithm>

#include "framework/base/hash.h"

namespace throng::train {

nn::Tape<float>& thread_tape() {
  thread_local nn::Tape<float> tape;
  return tape;
}

void LayeredModel::set_examples(comm::Communicator& comm, const std::vector<size_t>& examples) {
  first_ = comm.first_shard(comm.rank(), shards_);
  THRONG_CHECK(int(examples.size()) == comm.first_shard(comm.rank() + 1, shards_) - first_, "examples of {} shards", examples.size());
  sizes_ = examples;
  orders_.assign(examples.size(), {});
  const int64_t most = examples.empty() ? 0 : int64_t(*std::max_element(examples.begin(), examples.end()));
  steps_ = (comm.allreduce(most, comm::Op::kMax) + per_shard_ - 1) / per_shard_;
}

std::span<const size_t> LayeredModel::examples_of(int64_t epoch, int64_t step, int shard) {
  Order& order = orders_.at(size_t(shard - first_));
  if (order.epoch != epoch) {
    std::vector<std::pair<uint64_t, size_t>> hashed;
    for (size_t i = 0; i < sizes_[size_t(shard - first_)]; ++i) hashed.emplace_back(mix64(seed_ ^ mix64(uint64_t(epoch) * 0x9E37 + uint64_t(shard)) ^ mix64(i)), i);
    std::sort(hashed.begin(), hashed.end());
    order.examples.clear();
    for (const auto& [hash, i] : hashed) order.examples.push_back(i);
    order.epoch = epoch;
  }
  const size_t begin = std::min(order.examples.size(), size_t(step * per_shard_)), end = std::min(order.examples.size(), begin + size_t(per_shard_));
  return std::span(order.examples).subspan(begin, end - begin);
}

uint64_t LayeredModel::stream_of(int64_t epoch, int64_t step, int shard) const { return mix64(mix64(uint64_t(epoch) * uint64_t(steps_) + uint64_t(step)) + uint64_t(shard)); }

void LayeredModel::want_rows(int64_t epoch, int64_t step, int shard, nn::TableRows<float>& wanted) {
  const auto examples = examples_of(epoch, step, shard);
  if (!examples.empty()) want_rows_of(shard, examples, nn::Tape<float>::random_before(seed_, stream_of(epoch, step, shard)), wanted);
}

ShardLoss LayeredModel::gradient(const std::vector<float>& weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into) {
  const auto examples = examples_of(epoch, step, shard);
  ShardLoss result;
  if (examples.empty()) return result;
  auto& t = thread_tape();
  t.start(parameters_, weights, into.dense, seed_, stream_of(epoch, step, shard), &into.tables, &into.packed, into.rows);
  result.targets = put_loss(t, shard, examples);
  result.loss = t.loss();
  t.backward(into.complete);
  return result;
}

double LayeredModel::loss_of(const std::vector<float>& weights, const std::function<void(nn::Tape<float>&)>& use) const {
  auto& t = thread_tape();
  t.start(parameters_, weights, {});
  use(t);
  return t.loss();
}

}  // namespace throng::train
