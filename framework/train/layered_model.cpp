#include "framework/train/layered_model.h"

#include <algorithm>
#include <numeric>

#include "framework/base/hash.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::train {

nn::Tape<float>& thread_tape() {
  thread_local nn::Tape<float> tape;
  return tape;
}

void LayeredModel::set_examples(comm::Communicator& comm, const std::vector<size_t>& examples) {
  std::vector<std::vector<uint32_t>> lengths;
  for (size_t n : examples) lengths.emplace_back(n, 1u);
  set_example_lengths(comm, std::move(lengths));
}

void LayeredModel::set_example_lengths(comm::Communicator& comm, std::vector<std::vector<uint32_t>> lengths) {
  first_ = comm.first_shard(comm.rank(), shards_);
  THRONG_CHECK(int(lengths.size()) == comm.first_shard(comm.rank() + 1, shards_) - first_, "examples of {} shards", lengths.size());
  lengths_ = std::move(lengths);
  orders_.assign(lengths_.size(), {});
  halfway_.clear(), halfway_.resize(lengths_.size());
  int64_t most = 0;
  for (const auto& shard : lengths_) {
    const int64_t rows = std::accumulate(shard.begin(), shard.end(), int64_t{0}), examples = int64_t(shard.size());
    THRONG_CHECK(rows >= examples, "{} examples with {} rows", examples, rows);
    // Not more minibatches than examples.
    most = std::max(most, rows_per_shard_ == 0 ? (examples + per_shard_ - 1) / per_shard_ : std::min(examples, (rows + rows_per_shard_ - 1) / rows_per_shard_));
  }
  steps_ = comm.allreduce(most, comm::Op::kMax);
}

std::span<const size_t> LayeredModel::examples_of(int64_t epoch, int64_t step, int shard) {
  Order& order = orders_.at(size_t(shard - first_));
  const auto& lengths = lengths_[size_t(shard - first_)];
  if (order.epoch != epoch) {
    std::vector<std::pair<uint64_t, size_t>> hashed;
    for (size_t i = 0; i < lengths.size(); ++i) hashed.emplace_back(mix64(seed_ ^ mix64(uint64_t(epoch) * 0x9E37 + uint64_t(shard)) ^ mix64(i)), i);
    std::sort(hashed.begin(), hashed.end());
    order.examples.clear(), order.ends.clear();
    for (const auto& [hash, i] : hashed) order.examples.push_back(i);
    order.epoch = epoch;
    // By rows: each shard's are spread evenly over the epoch's steps; an example goes with the minibatch in which it begins.
    const int64_t total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
    int64_t rows = 0;
    for (size_t e = 0; rows_per_shard_ > 0 && e < order.examples.size(); rows += lengths[order.examples[e++]])
      while (rows * steps_ >= total * (int64_t(order.ends.size()) + 1)) order.ends.push_back(e);
    if (rows_per_shard_ > 0) order.ends.resize(size_t(steps_), order.examples.size());
  }
  if (rows_per_shard_ == 0) {
    const size_t begin = std::min(order.examples.size(), size_t(step * per_shard_)), end = std::min(order.examples.size(), begin + size_t(per_shard_));
    return std::span(order.examples).subspan(begin, end - begin);
  }
  const size_t begin = step == 0 ? 0 : order.ends[size_t(step - 1)];
  return std::span(order.examples).subspan(begin, order.ends[size_t(step)] - begin);
}

uint64_t LayeredModel::name_of(int64_t epoch, int64_t step) const { return mix64(uint64_t(epoch) * uint64_t(steps_) + uint64_t(step)); }

// The shard's own random numbers in a minibatch.
uint64_t LayeredModel::stream_of(int64_t epoch, int64_t step, int shard) const { return mix64(name_of(epoch, step) + uint64_t(shard)); }

void LayeredModel::want_rows(int64_t epoch, int64_t step, int shard, nn::TableRows<float>& wanted) {
  const auto examples = examples_of(epoch, step, shard);
  if (!examples.empty()) want_rows_of(shard, examples, nn::Tape<float>::random_before(seed_, stream_of(epoch, step, shard)), wanted);
}

ShardLoss LayeredModel::gradient(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into) {
  const auto examples = examples_of(epoch, step, shard);
  ShardLoss result;
  if (examples.empty()) return result;
  auto& t = thread_tape();
  t.start(parameters_, weights, into.dense, seed_, stream_of(epoch, step, shard), &into.tables, &into.packed, into.rows);
  result.targets = put_loss(t, shard, examples);
  result.loss = t.loss();
  t.backward(into.complete);
  result.bytes = t.peak_bytes();
  return result;
}

nn::Var LayeredModel::put_states(nn::Tape<float>&, int, std::span<const size_t>, std::vector<int32_t>&) const { THRONG_CHECK(false, "a model with a softmax over ranks puts states"); }

SoftmaxStates LayeredModel::forward(std::span<const float> weights, int64_t epoch, int64_t step, int shard, const ShardGradient& into) {
  const auto examples = examples_of(epoch, step, shard);
  auto& made = halfway_.at(size_t(shard - first_));
  if (!made) made = std::make_unique<Halfway>();
  Halfway& at = *made;
  at.empty = examples.empty();
  if (at.empty) return {};
  at.tape.start(parameters_, weights, into.dense, seed_, stream_of(epoch, step, shard), &into.tables, &into.packed, into.rows);
  std::vector<int32_t> targets;
  at.states = put_states(at.tape, shard, examples, targets);
  at.empty = targets.empty();
  if (at.empty) return {};
  return at.softmax_states(std::move(targets));
}

size_t LayeredModel::go_back(int shard, std::span<const float> gradient, const std::function<void(size_t)>& complete) { return halfway_.at(size_t(shard - first_))->go_back(gradient, complete); }

size_t Halfway::go_back(std::span<const float> gradient, const std::function<void(size_t)>& complete) {
  if (empty) return 0;
  THRONG_CHECK(gradient.size() == states.size(), "a gradient of {} for {} states", gradient.size(), states.size());
  tensor::add(gradient.data(), tape.gradient(states), gradient.size());
  tape.backward(complete);
  return tape.peak_bytes();
}

double LayeredModel::loss_of(std::span<const float> weights, const std::function<void(nn::Tape<float>&)>& use) const {
  auto& t = thread_tape();
  t.start(parameters_, weights, {});
  use(t);
  return t.loss();
}

}  // namespace throng::train
