// Recurrent layers: against finite differences, and against what PyTorch computed (recurrent_torch.txt).
#include "framework/nn/recurrent.h"

#include <gtest/gtest.h>

#include <map>

#include "framework/base/random.h"
#include "framework/nn/optimizer.h"
#include "framework/tensor/packed.h"
#include "tests/support/torch_numbers.h"

namespace throng::nn {
namespace {

constexpr size_t kInputs = 3, kHidden = 4;
const std::vector<size_t> kLengths{5, 3, 3, 1};
const std::map<std::string, Cell> kCells{{"rnn", Cell::kRnn}, {"lstm", Cell::kLstm}, {"gru", Cell::kGru}};

std::vector<double> random_numbers(size_t n, uint64_t seed, double scale = 1) {
  Random random(seed, n);
  std::vector<double> v(n);
  for (double& x : v) x = scale * random.normal();
  return v;
}

const testing::TorchNumbers& torch_numbers() {
  static const testing::TorchNumbers numbers("recurrent_torch.txt");
  return numbers;
}
using testing::expect_close;

template <class T>
void compare_with_torch(const std::string& name, Cell cell, double tolerance) {
  RecurrentLayer<T> layer(cell, kInputs, kHidden);
  const Packing packing = Packing::of(kLengths);
  auto weights = torch_numbers().as<T>(name + "_weights"), x = torch_numbers().as<T>(name + "_x"), dh = torch_numbers().as<T>(name + "_dh");
  ASSERT_EQ(weights.size(), layer.num_weights());
  ASSERT_EQ(x.size(), packing.num_rows() * kInputs);
  std::vector<T> h(packing.num_rows() * kHidden), dweights(weights.size()), dx(x.size(), T(7));
  tensor::PackedCache<T> packed;
  // Twice: what an earlier call left in the cache must not matter.
  auto longer = Packing::of(std::vector<size_t>{9, 9, 2});
  std::vector<T> cache(longer.num_rows() * layer.cache_cols());
  ASSERT_GE(longer.num_rows(), packing.num_rows());
  std::vector<T> other_x(longer.num_rows() * kInputs, T(0.5)), other_h(longer.num_rows() * kHidden);
  layer.forward(packed, longer, weights.data(), other_x.data(), other_h.data(), cache.data());
  layer.forward(packed, packing, weights.data(), x.data(), h.data(), cache.data());
  layer.backward(packed, packing, weights.data(), x.data(), h.data(), cache.data(), dh.data(), dweights.data(), dx.data());
  expect_close(h, torch_numbers().at(name + "_h"), tolerance, name + " h");
  expect_close(dweights, torch_numbers().at(name + "_dweights"), tolerance, name + " dweights");
  expect_close(dx, torch_numbers().at(name + "_dx"), tolerance, name + " dx");
}

// In two pieces with the state carried over as in one; gradients of the second piece by finite differences, with the state held.
TEST(Recurrent, GoesOnFromAState) {
  constexpr size_t kSequences = 3, kSteps = 4;
  for (Cell cell : {Cell::kRnn, Cell::kRnnRelu, Cell::kLstm, Cell::kGru, Cell::kGruBefore}) {
    const RecurrentLayer<double> layer(cell, kInputs, kHidden);
    const Packing whole = Packing::of(std::vector<size_t>(kSequences, 2 * kSteps)), half = Packing::of(std::vector<size_t>(kSequences, kSteps));
    auto weights = random_numbers(layer.num_weights(), 1, 0.5);
    const auto x = random_numbers(whole.num_rows() * kInputs, 2), dh = random_numbers(half.num_rows() * kHidden, 3);
    std::vector<double> h(whole.num_rows() * kHidden), first(half.num_rows() * kHidden), second(first.size());
    std::vector<double> of_whole(whole.num_rows() * layer.cache_cols()), of_first(half.num_rows() * layer.cache_cols()), of_second(of_first.size());
    const auto forward = [&](const Packing& packing, const double* from, std::vector<double>& to, std::vector<double>& cache, RecurrentLayer<double>::Begin begin) {
      tensor::PackedCache<double> packed;
      layer.forward(packed, packing, weights.data(), from, to.data(), cache.data(), begin);
    };
    forward(whole, x.data(), h, of_whole, {});
    forward(half, x.data(), first, of_first, {});
    const size_t last = (kSteps - 1) * kSequences * kHidden;
    const double* of_cells = layer.cells(of_first.data(), half.num_rows());
    const std::vector<double> state(first.begin() + last, first.end()), cells = cell == Cell::kLstm ? std::vector<double>(of_cells + last, of_cells + first.size()) : std::vector<double>();
    const RecurrentLayer<double>::Begin begin{state.data(), cells.empty() ? nullptr : cells.data()};
    const double* rest = x.data() + half.num_rows() * kInputs;
    forward(half, rest, second, of_second, begin);
    for (size_t i = 0; i < second.size(); ++i) EXPECT_EQ(second[i], h[first.size() + i]) << int(cell);
    std::vector<double> dweights(weights.size()), dx(half.num_rows() * kInputs);
    tensor::PackedCache<double> packed;
    layer.backward(packed, half, weights.data(), rest, second.data(), of_second.data(), dh.data(), dweights.data(), dx.data(), begin);
    const auto value = [&] {
      std::vector<double> out(second.size());
      std::vector<double> cache(of_first.size());
      forward(half, rest, out, cache, begin);
      double sum = 0;
      for (size_t i = 0; i < out.size(); ++i) sum += out[i] * dh[i];
      return sum;
    };
    for (size_t i = 0; i < weights.size(); ++i) {
      const double old = weights[i];
      weights[i] = old + 1e-5;
      const double up = value();
      weights[i] = old - 1e-5;
      const double down = value();
      weights[i] = old;
      EXPECT_NEAR(dweights[i], (up - down) / 2e-5, 1e-6) << int(cell) << " weight " << i;
    }
  }
}

TEST(Recurrent, EqualsPyTorch) {
  for (const auto& [name, cell] : kCells) {
    compare_with_torch<double>(name, cell, 1e-6);
    compare_with_torch<float>(name, cell, 1e-4);
  }
}

TEST(Recurrent, GradientsEqualFiniteDifferences) {
  const std::vector<std::vector<size_t>> shapes{{1}, {4}, {3, 3}, {6, 4, 4, 2, 1, 1}};
  for (const auto& [name, cell] : kCells)
    for (const auto& lengths : shapes) {
      RecurrentLayer<double> layer(cell, kInputs, kHidden);
      const Packing packing = Packing::of(lengths);
      auto weights = random_numbers(layer.num_weights(), 1, 0.5), x = random_numbers(packing.num_rows() * kInputs, 2);
      auto dh = random_numbers(packing.num_rows() * kHidden, 3);
      auto value = [&] {
        std::vector<double> h(dh.size());
        std::vector<double> cache(packing.num_rows() * layer.cache_cols());
        tensor::PackedCache<double> packed;
        layer.forward(packed, packing, weights.data(), x.data(), h.data(), cache.data());
        double sum = 0;
        for (size_t i = 0; i < h.size(); ++i) sum += h[i] * dh[i];
        return sum;
      };
      std::vector<double> h(dh.size()), dweights(weights.size(), 0.25), dx(x.size());
      std::vector<double> cache(packing.num_rows() * layer.cache_cols());
      tensor::PackedCache<double> packed;
      layer.forward(packed, packing, weights.data(), x.data(), h.data(), cache.data());
      layer.backward(packed, packing, weights.data(), x.data(), h.data(), cache.data(), dh.data(), dweights.data(), dx.data());
      auto check = [&](std::vector<double>& at, const std::vector<double>& gradient, double before, const char* what) {
        for (size_t i = 0; i < at.size(); ++i) {
          const double old = at[i], step = 1e-5;
          at[i] = old + step;
          double up = value();
          at[i] = old - step;
          double down = value();
          at[i] = old;
          EXPECT_NEAR(gradient[i] - before, (up - down) / (2 * step), 1e-7) << name << ' ' << what << ' ' << i << ", " << lengths.size() << " sequences";
        }
      };
      check(weights, dweights, 0.25, "weight");  // backward adds to what is there
      check(x, dx, 0, "input");
    }
}

}  // namespace
}  // namespace throng::nn
