#include "framework/train/softmax_states.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace throng::train {

AllStates::AllStates(comm::Communicator& comm, const std::vector<SoftmaxStates>& mine, size_t cols, std::span<const float> scores) {
  std::string text;
  const auto put = [&](const auto* numbers, size_t n) { text.append(reinterpret_cast<const char*>(numbers), n * sizeof *numbers); };
  int64_t count = 0;
  for (const auto& shard : mine) count += int64_t(shard.count);
  THRONG_CHECK(scores.empty() || int64_t(scores.size()) == count, "{} scores of {} states", scores.size(), count);
  put(&count, 1);
  for (const auto& shard : mine) {
    THRONG_CHECK(shard.targets.size() == shard.count, "{} targets of {} states", shard.targets.size(), shard.count);
    put(shard.targets.data(), shard.count);
  }
  for (const auto& shard : mine) put(shard.values, shard.count * cols);
  put(scores.data(), scores.size());
  const auto parts = comm.allgather(text);
  for (int r = 0; r < comm.size(); ++r) {
    const char* from = parts[size_t(r)].data();
    const char* end = from + parts[size_t(r)].size();
    const auto get = [&](auto& into, size_t n) {
      const size_t at = into.size();
      into.resize(at + n);
      if (n > 0) std::memcpy(&into[at], from, n * sizeof into[at]), from += n * sizeof into[at];
    };
    std::memcpy(&count, from, sizeof count), from += sizeof count;
    if (r == comm.rank()) first_of_rank = targets.size();
    get(targets, size_t(count)), get(values, size_t(count) * cols);
    if (from < end) get(own_scores, size_t(count));
  }
}

std::vector<SoftmaxOutcome> AllStates::outcomes(const std::vector<SoftmaxStates>& mine, std::span<const double> losses, std::span<const float> gradients, size_t cols) const {
  std::vector<SoftmaxOutcome> found;
  size_t at = first_of_rank;
  for (const auto& shard : mine) {
    auto& outcome = found.emplace_back();
    for (size_t i = at; i < at + shard.count; ++i) outcome.loss += losses[i];
    outcome.gradient.assign(gradients.begin() + ptrdiff_t(at * cols), gradients.begin() + ptrdiff_t((at + shard.count) * cols));
    at += shard.count;
  }
  return found;
}

void take_greatest(comm::Communicator& comm, std::vector<float>& numbers) {
  if (comm.size() == 1) return;
  std::vector<float> other(numbers.size());
  for (const auto& part : comm.allgather(std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)))) {
    std::memcpy(other.data(), part.data(), part.size());
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = std::max(numbers[i], other[i]);
  }
}

}  // namespace throng::train
