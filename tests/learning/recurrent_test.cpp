// Recurrent layers, losses and Adam: against finite differences, and against what PyTorch computed (recurrent_torch.txt).
#include "framework/nn/recurrent.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "framework/base/random.h"
#include "framework/nn/adam.h"
#include "framework/nn/losses.h"

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

const std::map<std::string, std::vector<double>>& torch_numbers() {
  static const auto all = [] {
    std::map<std::string, std::vector<double>> numbers;
    std::ifstream file(THRONG_SOURCE_DIR "/tests/learning/recurrent_torch.txt");
    for (std::string line; std::getline(file, line);) {
      std::istringstream in(line);
      std::string name;
      size_t n = 0;
      in >> name >> n;
      auto& v = numbers[name];
      for (double x = 0; in >> x;) v.push_back(x);
      EXPECT_EQ(v.size(), n) << name;
    }
    return numbers;
  }();
  return all;
}

template <class T>
std::vector<T> torch(const std::string& name) {
  const auto& v = torch_numbers().at(name);
  return std::vector<T>(v.begin(), v.end());
}

template <class T>
void expect_close(const std::vector<T>& got, const std::vector<double>& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(double(got[i]), expected[i], tolerance * std::max(0.1, std::fabs(expected[i]))) << what << " at " << i;
}

template <class T>
void compare_with_torch(const std::string& name, Cell cell, double tolerance) {
  RecurrentLayer<T> layer(cell, kInputs, kHidden);
  const Packing packing = Packing::of(kLengths);
  auto weights = torch<T>(name + "_weights"), x = torch<T>(name + "_x"), dh = torch<T>(name + "_dh");
  ASSERT_EQ(weights.size(), layer.num_weights());
  ASSERT_EQ(x.size(), packing.num_rows() * kInputs);
  std::vector<T> h(packing.num_rows() * kHidden), dweights(weights.size()), dx(x.size(), T(7));
  typename RecurrentLayer<T>::Cache cache;
  // Twice: what an earlier call left in the cache must not matter.
  auto longer = Packing::of(std::vector<size_t>{9, 9, 2});
  std::vector<T> other_x(longer.num_rows() * kInputs, T(0.5)), other_h(longer.num_rows() * kHidden);
  layer.forward(longer, weights.data(), other_x.data(), other_h.data(), cache);
  layer.forward(packing, weights.data(), x.data(), h.data(), cache);
  layer.backward(packing, weights.data(), x.data(), h.data(), cache, dh.data(), dweights.data(), dx.data());
  expect_close(h, torch_numbers().at(name + "_h"), tolerance, name + " h");
  expect_close(dweights, torch_numbers().at(name + "_dweights"), tolerance, name + " dweights");
  expect_close(dx, torch_numbers().at(name + "_dx"), tolerance, name + " dx");
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
        RecurrentLayer<double>::Cache cache;
        layer.forward(packing, weights.data(), x.data(), h.data(), cache);
        double sum = 0;
        for (size_t i = 0; i < h.size(); ++i) sum += h[i] * dh[i];
        return sum;
      };
      std::vector<double> h(dh.size()), dweights(weights.size(), 0.25), dx(x.size());
      RecurrentLayer<double>::Cache cache;
      layer.forward(packing, weights.data(), x.data(), h.data(), cache);
      layer.backward(packing, weights.data(), x.data(), h.data(), cache, dh.data(), dweights.data(), dx.data());
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

TEST(Recurrent, AdamEqualsPyTorch) {
  for (const auto& [name, decay] : std::map<std::string, double>{{"adam", 0.0}, {"adamw", 0.1}}) {
    auto weights = torch<float>(name + "_start"), gradients = torch<float>(name + "_gradients");
    Adam adam{.lr = 0.05, .weight_decay = decay};
    for (size_t step = 0; step < 10; ++step) adam.update(weights, std::span(gradients).subspan(step * weights.size(), weights.size()));
    expect_close(weights, torch_numbers().at(name + "_end"), 1e-4, name);
  }
}

TEST(Recurrent, ClipKeepsTheDirection) {
  std::vector<float> gradient(10'000, 0.03f);
  EXPECT_NEAR(clip_norm(gradient, 0), 3, 1e-5);
  EXPECT_EQ(gradient[0], 0.03f);
  EXPECT_NEAR(clip_norm(gradient, 1), 3, 1e-5);
  for (float g : gradient) ASSERT_NEAR(g, 0.01f, 1e-7);
}

TEST(Recurrent, LossGradientsEqualFiniteDifferences) {
  const size_t rows = 5, classes = 7;
  const std::vector<int32_t> targets{0, 6, 3, 3, 1};
  const std::vector<float> numbers{0, 1, 1, 0, 1};
  auto check = [](size_t n, auto loss, double factor) {
    auto at = random_numbers(n, 11, 2), gradient = at;
    loss(gradient);
    for (size_t i = 0; i < n; ++i) {
      auto up = at, down = at;
      up[i] += 1e-5, down[i] -= 1e-5;
      EXPECT_NEAR(gradient[i], 0.5 * factor * (loss(up) - loss(down)) / 2e-5, 1e-6) << i;
    }
  };
  check(rows * classes, [&](std::vector<double>& v) { return softmax_cross_entropy(v.data(), targets.data(), rows, classes, 0.5); }, 1);
  check(rows, [&](std::vector<double>& v) { return binary_cross_entropy(v.data(), numbers.data(), rows, 0.5); }, 1);
  check(rows, [&](std::vector<double>& v) { return squared_error(v.data(), numbers.data(), rows, 0.5); }, 0.5);  // half the square
  // Far logits stay finite.
  std::vector<float> far{1000, -1000, 0};
  const int32_t last = 1;
  EXPECT_NEAR(softmax_cross_entropy(far.data(), &last, 1, 3, 1.0f), -std::log(1e-30), 1e-3);
  EXPECT_EQ(far[0], 1);
  std::vector<float> logit{-800, 800};
  const std::vector<float> labels{1, 1};
  EXPECT_NEAR(binary_cross_entropy(logit.data(), labels.data(), 2, 1.0f), 800, 1e-3);
  EXPECT_EQ(logit[0], -1);
}

}  // namespace
}  // namespace throng::nn
