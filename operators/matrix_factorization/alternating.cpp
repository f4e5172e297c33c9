#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/tensor/gemm.h"
#include "operators/matrix_factorization/factors.h"

namespace throng::op {
namespace {

struct Sent {
  int32_t item, user;
  float value;
};

}  // namespace

Alternating::Alternating(comm::Communicator& comm, const RatedItems& data, const LeastSquares& squares) : data_(data), squares_(squares) {
  const size_t ranks = size_t(comm.size());
  size_t first = 0;
  const auto counts = comm.allgather(std::to_string(data.of_user.size()));
  for (int r = 0; r < comm.rank(); ++r) first += std::stoull(counts[size_t(r)]);
  std::vector<Buffer> messages(ranks);
  for (size_t u = 0; u < data.of_user.size(); ++u)
    for (const auto& rating : data.of_user[u]) {
      const Sent sent{rating.item, int32_t(first + u), rating.value};
      const auto* bytes = reinterpret_cast<const std::byte*>(&sent);
      auto& to = messages[size_t(rating.item) % ranks];
      to.insert(to.end(), bytes, bytes + sizeof sent);
    }
  for (size_t i = size_t(comm.rank()); i < data.items; i += ranks) my_items_.push_back(i);
  of_item_.resize(my_items_.size());
  for (const auto& bytes : comm.alltoall(std::move(messages)))  // ranks hold ascending users
    for (size_t at = 0; at < bytes.size(); at += sizeof(Sent)) {
      Sent sent;
      std::memcpy(&sent, &bytes[at], sizeof sent);
      of_item_[size_t(sent.item) / ranks].push_back({sent.user, sent.value});
    }
}

std::vector<double> LeastSquares::gram(const std::vector<float>& rows, size_t width) const {
  constexpr size_t kRows = 1024;  // in stretches of a length that follows from nothing else
  std::vector<double> sum(width * width), wide;
  if (!implicit) return sum;
  for (size_t r = 0; r < rows.size() / width; r += kRows) {
    const size_t n = std::min(kRows, rows.size() / width - r);
    wide.assign(rows.begin() + ptrdiff_t(r * width), rows.begin() + ptrdiff_t((r + n) * width));
    tensor::gemm(tensor::Side::kTransposed, tensor::Side::kPlain, width, width, n, 1.0, wide.data(), wide.data(), 1.0, sum.data());
  }
  return sum;
}

void LeastSquares::solve(const std::vector<Rating>& row, double mean, const std::vector<float>& others, const std::vector<double>& gram, size_t width, float* into) const {
  std::fill_n(into, width, 0.0f);
  if (row.empty()) return;
  // A = sum w x x', b = sum t x; with confidences A starts from all rows' products, whose weight is 1.
  // In stretches of a length that follows from nothing else.
  constexpr size_t kRows = 1024;
  std::vector<double> a = gram, b(width), scaled(std::min(kRows, row.size()) * width);
  for (size_t r = 0; r < row.size(); ++r) {
    const float* x = &others[size_t(row[r].item) * width];
    const double weight = implicit ? alpha * double(row[r].value) : 1, target = implicit ? 1 + weight : double(row[r].value) - mean;
    const double root = std::sqrt(weight);
    const size_t at = r % kRows;
    for (size_t f = 0; f < width; ++f) scaled[at * width + f] = root * double(x[f]), b[f] += target * double(x[f]);
    if (at + 1 == kRows || r + 1 == row.size()) tensor::gemm(tensor::Side::kTransposed, tensor::Side::kPlain, width, width, at + 1, 1.0, scaled.data(), scaled.data(), 1.0, a.data());
  }
  const double ridge = regularization * (implicit ? 1 : double(row.size()));
  for (size_t f = 0; f < width; ++f) a[f * width + f] += ridge;
  if (!tensor::solve_positive_definite(width, a.data(), b.data())) throw data_error("a system of least squares has no single solution").with_hint("raise 'regularization' above 0");
  for (size_t f = 0; f < width; ++f) into[f] = float(b[f]);
}

void Alternating::epoch(comm::Communicator& comm, Factors& factors, const std::function<void(size_t, const std::function<void(size_t)>&)>& parallel_for) const {
  const size_t width = factors.width, ranks = size_t(comm.size());
  const auto of_items = squares_.gram(factors.items, width);
  parallel_for(data_.of_user.size(), [&](size_t u) { squares_.solve(data_.of_user[u], data_.mean, factors.items, of_items, width, factors.user(u)); });
  const auto users = factors.all_users(comm);
  const auto of_users = squares_.gram(users, width);
  parallel_for(my_items_.size(), [&](size_t i) { squares_.solve(of_item_[i], data_.mean, users, of_users, width, factors.item(my_items_[i])); });
  std::string mine;
  for (size_t i : my_items_) mine.append(reinterpret_cast<const char*>(factors.item(i)), width * sizeof(float));
  const auto all = comm.allgather(mine);
  for (size_t i = 0; i < data_.items; ++i) std::memcpy(factors.item(i), all[i % ranks].data() + i / ranks * width * sizeof(float), width * sizeof(float));
}

}  // namespace throng::op
