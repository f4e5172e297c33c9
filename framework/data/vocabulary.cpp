#include "framework/data/vocabulary.h"

#include <algorithm>
#include <cstring>

#include "framework/base/hash.h"

namespace throng::data {
namespace {

void put(Buffer& b, std::string_view word, ValueCount c) {
  uint64_t n = word.size();
  append_bytes(b, &n, 8);
  append_bytes(b, &c, sizeof c);
  append_bytes(b, word.data(), word.size());
}

template <class Visit>
void for_each(std::string_view bytes, Visit visit) {
  while (!bytes.empty()) {
    uint64_t n = 0;
    ValueCount c;
    std::memcpy(&n, bytes.data(), 8);
    std::memcpy(&c, bytes.data() + 8, sizeof c);
    visit(bytes.substr(8 + sizeof c, n), c);
    bytes.remove_prefix(8 + sizeof c + n);
  }
}

std::string_view view(const Buffer& b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

}  // namespace

Vocabulary Vocabulary::build(comm::Communicator& comm, const TextMap<ValueCount>& local, int64_t min_count, int64_t max_size) {
  // Each word is summed by the rank its hash names; then every rank learns the words that are left.
  std::vector<Buffer> messages(static_cast<size_t>(comm.size()));
  for (const auto& [word, c] : local) put(messages[hash64(word) % messages.size()], word, c);
  TextMap<ValueCount> mine;
  for (const auto& message : comm.alltoall(std::move(messages)))
    for_each(view(message), [&](std::string_view word, ValueCount c) {
      auto it = mine.find(word);
      if (it == mine.end()) it = mine.emplace(std::string(word), ValueCount{}).first;
      it->second.count += c.count;
      it->second.rows += c.rows;
    });
  Buffer kept;
  for (const auto& [word, c] : mine)
    if (c.count >= min_count) put(kept, word, c);
  std::vector<std::pair<std::string, ValueCount>> all;
  for (const auto& part : comm.allgather(std::string(view(kept))))
    for_each(part, [&](std::string_view word, ValueCount c) { all.emplace_back(word, c); });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second.count != b.second.count ? a.second.count > b.second.count : a.first < b.first;
  });
  if (max_size > 0 && int64_t(all.size()) > max_size) all.resize(size_t(max_size));
  Vocabulary v;
  for (auto& [word, c] : all) v.words_.push_back(std::move(word)), v.counts_.push_back(c);
  v.index();
  return v;
}

void Vocabulary::index() {
  index_.clear();
  for (size_t i = 0; i < words_.size(); ++i) index_.emplace(words_[i], int32_t(i));
}

int32_t Vocabulary::find(std::string_view word) const {
  auto it = index_.find(word);
  return it == index_.end() ? -1 : it->second;
}

void Vocabulary::save(ArrayStore& store, const std::string& name) const {
  std::vector<int64_t> numbers;
  for (const auto& c : counts_) numbers.push_back(c.count), numbers.push_back(c.rows);
  store.put_strings(name, words_);
  store.put(name + "_counts", std::move(numbers), {words_.size(), 2});
}

Vocabulary Vocabulary::load(const ArrayStore& store, const std::string& name) {
  Vocabulary v;
  v.words_ = store.strings(name);
  const auto& numbers = store.integers(name + "_counts");
  if (numbers.size() != 2 * v.words_.size()) throw data_error("the saved vocabulary '{}' is damaged", name);
  for (size_t i = 0; i < v.words_.size(); ++i) v.counts_.push_back({numbers[2 * i], numbers[2 * i + 1]});
  v.index();
  return v;
}

std::vector<double> sum_over_partitions(comm::Communicator& comm, const std::vector<std::vector<double>>& mine, size_t length) {
  std::string packed;
  for (const auto& v : mine) packed.append(reinterpret_cast<const char*>(v.data()), length * sizeof(double));
  std::vector<double> total(length, 0.0), one(length);
  for (const auto& part : comm.allgather(packed))  // ranks hold ascending blocks of partitions
    for (size_t at = 0; at + length * sizeof(double) <= part.size() && length > 0; at += length * sizeof(double)) {
      std::memcpy(one.data(), part.data() + at, length * sizeof(double));
      for (size_t i = 0; i < length; ++i) total[i] += one[i];
    }
  return total;
}

}  // namespace throng::data
