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

ShardLoss LayeredModel::gradient(const std::vector<float>& weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into) {
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
  ShardLoss result;
  if (begin == end) return result;
  auto& t = thread_tape();
  t.start(parameters_, weights, into.dense, seed_, mix64(mix64(uint64_t(epoch) * uint64_t(steps_) + uint64_t(step)) + uint64_t(shard)), &into.tables, &into.packed);
  result.targets = put_loss(t, shard, std::span(order.examples).subspan(begin, end - begin));
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
