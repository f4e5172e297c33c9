// Kernels against plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <numbers>
#include <thread>
#include <utility>

#include "framework/base/random.h"
#include "framework/nn/activation_kernels.h"
#include "framework/nn/norm_kernels.h"
#include "framework/nn/recurrent.h"
#include "framework/nn/step_kernels.h"
#include "framework/tensor/activations.h"
#include "framework/tensor/cpu.h"
#include "framework/tensor/gemm.h"
#include "framework/tensor/outer_products.h"
#include "framework/tensor/packed.h"
#include "framework/tensor/softmax.h"
#include "framework/tensor/vector_kernels.h"

namespace throng {
namespace {

std::vector<double> random_numbers(size_t n, uint64_t seed) {
  Random random(seed, n);
  std::vector<double> v(n);
  for (double& x : v) x = random.normal();
  return v;
}

// Puts the instructions back at the end.
struct Limited {
  explicit Limited(tensor::Instructions most) { tensor::limit_instructions(most); }
  ~Limited() { tensor::limit_instructions(tensor::Instructions::kAvx512); }
};

TEST(Kernels, EqualPlainLoops) {
  using tensor::Side;
  for (auto [m, n, k] : std::vector<std::array<size_t, 3>>{{1, 1, 1}, {3, 5, 7}, {17, 33, 9}, {4, 2, 0}})
    for (Side as : {Side::kPlain, Side::kTransposed})
      for (Side bs : {Side::kPlain, Side::kTransposed}) {
        auto a = random_numbers(m * k, 1), b = random_numbers(k * n, 2), c = random_numbers(m * n, 3);
        auto expected = c;
        for (size_t i = 0; i < m; ++i)
          for (size_t j = 0; j < n; ++j) {
            double sum = 0;
            for (size_t l = 0; l < k; ++l) sum += a[as == Side::kPlain ? i * k + l : l * m + i] * b[bs == Side::kPlain ? l * n + j : j * k + l];
            expected[i * n + j] = 0.5 * sum + 2 * expected[i * n + j];
          }
        a.push_back(0), b.push_back(0);  // never a null pointer
        std::vector<float> af(a.begin(), a.end()), bf(b.begin(), b.end()), cf(c.begin(), c.end());
        tensor::gemm(as, bs, m, n, k, 0.5, a.data(), b.data(), 2.0, c.data());
        tensor::gemm(as, bs, m, n, k, 0.5f, af.data(), bf.data(), 2.0f, cf.data());
        for (size_t i = 0; i < m * n; ++i) {
          EXPECT_NEAR(c[i], expected[i], 1e-12);
          EXPECT_NEAR(cf[i], expected[i], 1e-4);
        }
      }
  for (size_t n : {0u, 1u, 15u, 16u, 17u, 31u, 100u, 1000u}) {
    auto ad = random_numbers(n + 1, 4), bd = random_numbers(n + 1, 5);
    std::vector<float> a(ad.begin(), ad.end()), b(bd.begin(), bd.end()), y = b;
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += double(a[i]) * double(b[i]);
    EXPECT_NEAR(tensor::dot(a.data(), b.data(), n), sum, 1e-4) << n;
    tensor::axpy(0.75f, a.data(), y.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(y[i], b[i] + 0.75f * a[i]);
    EXPECT_EQ(y[n], b[n]);
  }
}

// Some builds of BLAS mix up products that are computed at the same time.
TEST(Kernels, ShortVectorsEqualPlainLoops) {
  for (size_t n : {0, 1, 15, 16, 17, 100, 333}) {
    const auto a = random_numbers(n, 1), b = random_numbers(n, 2), before = random_numbers(n, 3);
    double dot = 0;
    for (size_t i = 0; i < n; ++i) dot += a[i] * b[i];
    EXPECT_NEAR(tensor::dot(a.data(), b.data(), n), dot, 1e-12 * double(n + 1));
    auto after = [&](const auto& apply) {
      auto y = before;
      apply(y.data());
      return y;
    };
    const auto axpy = after([&](double* y) { tensor::axpy(0.3, a.data(), y, n); }), scaled = after([&](double* y) { tensor::scale(1.7, y, n); }), added = after([&](double* y) { tensor::add(a.data(), y, n); }),
               sum = after([&](double* y) { tensor::sum(a.data(), b.data(), y, n); }), product = after([&](double* y) { tensor::multiply_add(a.data(), b.data(), y, n); });
    for (size_t i = 0; i < n; ++i) {
      EXPECT_DOUBLE_EQ(axpy[i], before[i] + 0.3 * a[i]);
      EXPECT_DOUBLE_EQ(scaled[i], before[i] * 1.7);
      EXPECT_DOUBLE_EQ(added[i], before[i] + a[i]);
      EXPECT_DOUBLE_EQ(sum[i], a[i] + b[i]);
      EXPECT_DOUBLE_EQ(product[i], before[i] + a[i] * b[i]);
    }
  }
}

TEST(Kernels, LooksAtAllNumbersFindWhatLoopsFind) {
  const float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinite = std::numeric_limits<float>::infinity();
  for (auto most : {tensor::Instructions::kPlain, tensor::Instructions::kAvx2, tensor::Instructions::kAvx512}) {
    const Limited limited(most);
    for (size_t n : {0u, 1u, 15u, 16u, 17u, 64u, 100u}) {
      const auto xd = random_numbers(n, 3);
      std::vector<float> x(xd.begin(), xd.end());
      EXPECT_EQ(tensor::count_at_least(0.25f, x.data(), n), size_t(std::count_if(x.begin(), x.end(), [](float v) { return v >= 0.25f; })));
      EXPECT_TRUE(tensor::all_finite(x.data(), n));
      const float greatest = n == 0 ? 0 : *std::max_element(x.begin(), x.end());
      EXPECT_TRUE(tensor::all_at_most(greatest, x.data(), n));
      for (size_t i = 0; i < n; ++i)
        for (float odd : {kNan, kInfinite, -kInfinite}) {
          const float before = std::exchange(x[i], odd);
          EXPECT_FALSE(tensor::all_finite(x.data(), n)) << i << " of " << n;
          EXPECT_EQ(tensor::all_at_most(greatest, x.data(), n), odd < 0) << i << " of " << n;
          EXPECT_EQ(tensor::count_at_least(greatest + 1, x.data(), n), size_t{odd > 0});
          x[i] = before;
        }
    }
  }
}

TEST(Kernels, ProductsOfManyThreadsAtOnceAreRight) {
  const size_t m = 100, n = 24, k = 16;
  auto ad = random_numbers(m * k, 1), bd = random_numbers(k * n, 2);
  std::vector<float> a(ad.begin(), ad.end()), b(bd.begin(), bd.end()), expected(m * n);
  auto product = [&](std::vector<float>& c) { tensor::gemm(tensor::Side::kPlain, tensor::Side::kTransposed, m, n, k, 1.0f, a.data(), b.data(), 0.0f, c.data()); };
  product(expected);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      std::vector<float> c(m * n);
      for (int i = 0; i < 2000; ++i) {
        product(c);
        wrong += c != expected;
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

template <class T>
void check_packed(size_t m, size_t n, size_t k, double tolerance) {
  auto ad = random_numbers(m * k, 1), bd = random_numbers(k * n, 2), cd = random_numbers(m * n, 3);
  std::vector<T> a(ad.begin(), ad.end()), b(bd.begin(), bd.end()), start(cd.begin(), cd.end());
  std::vector<T> turned(k * n);
  for (size_t l = 0; l < k; ++l)
    for (size_t j = 0; j < n; ++j) turned[j * k + l] = b[l * n + j];
  a.push_back(0), b.push_back(0), turned.push_back(0);
  std::vector<T> c = start, c2 = start;
  tensor::PackedMatrix<T>(tensor::Side::kPlain, k, n, b.data()).multiply_add(m, a.data(), c.data());
  const tensor::PackedMatrix<T> packed(tensor::Side::kTransposed, k, n, turned.data());
  for (size_t r = 0; r < m; ++r) packed.multiply_add(1, a.data() + r * k, c2.data() + r * n);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < n; ++j) {
      double sum = cd[i * n + j];
      for (size_t l = 0; l < k; ++l) sum += double(a[i * k + l]) * double(b[l * n + j]);
      EXPECT_NEAR(c[i * n + j], sum, tolerance * std::sqrt(double(k) + 1)) << m << ' ' << n << ' ' << k;
      EXPECT_EQ(c[i * n + j], c2[i * n + j]) << "other bits one row at a time";
    }
}

TEST(Kernels, PackedProductsEqualPlainLoopsAndDoNotDependOnTheNumberOfRows) {
  for (auto most : {tensor::Instructions::kPlain, tensor::Instructions::kAvx2, tensor::Instructions::kAvx512}) {
    const Limited limited(most);
    for (size_t m : {1u, 2u, 5u, 6u, 7u, 13u, 50u})
      for (size_t n : {1u, 7u, 16u, 17u, 32u, 33u, 40u, 64u})
        for (size_t k : {0u, 1u, 3u, 64u, 129u}) {
          check_packed<float>(m, n, k, 1e-5);
          check_packed<double>(m, n, k, 1e-13);
        }
  }
}

// Parts of matrices that lie in wider ones, as heads of attention do.
template <class T>
void check_parts(size_t m, size_t n, size_t k, double tolerance) {
  const size_t wide = 70, lda = k + 3, ldc = n + 2, all_k = k + 5, all_n = n + 9;
  const auto ad = random_numbers(m * lda + 1, 1), bd = random_numbers(4 * wide * wide, 2), cd = random_numbers(m * ldc + 1, 3);
  const std::vector<T> a(ad.begin(), ad.end()), b(bd.begin(), bd.end()), start(cd.begin(), cd.end());
  ASSERT_LE(std::max(all_k, all_n), 2 * wide);
  for (auto side : {tensor::Side::kPlain, tensor::Side::kTransposed})
    for (bool kept : {false, true}) {
      tensor::PackedMatrix<T> packed;
      packed.lay_out(side, 3, 40, b.data(), 2 * wide);  // what it held before does not matter
      packed.lay_out(side, all_k, all_n, b.data(), 2 * wide, T(0.5));
      std::vector<T> c = start;
      packed.multiply_part(m, n, k, a.data(), lda, kept, c.data(), ldc);
      for (size_t i = 0; i < m; ++i)
        for (size_t j = 0; j < ldc; ++j) {
          double sum = kept || j >= n ? cd[i * ldc + j] : 0;
          for (size_t l = 0; l < k && j < n; ++l) sum += 0.5 * double(a[i * lda + l]) * double(side == tensor::Side::kPlain ? b[l * 2 * wide + j] : b[j * 2 * wide + l]);
          ASSERT_NEAR(c[i * ldc + j], sum, tolerance * std::sqrt(double(k) + 1)) << m << ' ' << n << ' ' << k << ' ' << kept;
        }
    }
}

TEST(Kernels, PartsOfPackedMatricesEqualPlainLoops) {
  for (auto most : {tensor::Instructions::kPlain, tensor::Instructions::kAvx2, tensor::Instructions::kAvx512}) {
    const Limited limited(most);
    for (size_t m : {1u, 7u, 25u})
      for (size_t n : {1u, 31u, 32u, 50u})
        for (size_t k : {0u, 1u, 64u, 129u}) {
          check_parts<float>(m, n, k, 1e-5);
          check_parts<double>(m, n, k, 1e-13);
        }
  }
}

template <class T>
std::vector<T> outer_products(size_t rows, size_t m, size_t n, double tolerance) {
  const size_t lda = m + 3, ldb = n + 1, ldc = n + 2;
  const auto ad = random_numbers(rows * lda + 1, 1), bd = random_numbers(rows * ldb + 1, 2), cd = random_numbers(m * ldc + 1, 3);
  const std::vector<T> a(ad.begin(), ad.end()), b(bd.begin(), bd.end());
  std::vector<T> c(cd.begin(), cd.end());
  const std::vector<T> before = c;
  tensor::add_outer_products(rows, m, n, a.data(), lda, b.data(), ldb, c.data(), ldc);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < ldc; ++j) {
      double sum = double(before[i * ldc + j]);
      for (size_t l = 0; l < rows && j < n; ++l) sum += double(a[l * lda + i]) * double(b[l * ldb + j]);
      EXPECT_NEAR(c[i * ldc + j], sum, tolerance * std::sqrt(double(rows) + 1)) << rows << ' ' << m << ' ' << n;
      if (rows == 0 || j >= n) { EXPECT_EQ(c[i * ldc + j], before[i * ldc + j]); }
    }
  return c;
}

TEST(Kernels, OuterProductsEqualPlainLoopsWithTheSameBitsByAnyVectors) {
  for (size_t rows : {0u, 1u, 40u, 130u, 600u})  // less than a stretch, more, several
    for (auto [m, n] : std::vector<std::array<size_t, 2>>{{1, 1}, {5, 7}, {12, 32}, {13, 33}, {100, 50}, {17, 3}, {3, 600}, {300, 40}}) {  // 600 columns: more than are laid out at a time
      std::vector<std::vector<float>> floats;
      std::vector<std::vector<double>> doubles;
      for (auto most : {tensor::Instructions::kPlain, tensor::Instructions::kAvx2, tensor::Instructions::kAvx512}) {
        const Limited limited(most);
        floats.push_back(outer_products<float>(rows, m, n, 1e-5)), doubles.push_back(outer_products<double>(rows, m, n, 1e-13));
      }
      EXPECT_EQ(floats[1], floats[2]) << rows << ' ' << m << ' ' << n;
      EXPECT_EQ(doubles[1], doubles[2]);
    }
}

TEST(Kernels, ActivationsAreWithinTheirBounds) {
  std::vector<float> x;
  for (int i = -60000; i <= 60000; ++i) x.push_back(float(i) * 5e-4f);
  for (float more : {0.0f, -0.0f, 1e-30f, -1e-6f, 0.624999f, 0.625f, -0.625f, 87.0f, -87.0f, 88.0f, -90.0f, 100.0f, -1000.0f, 1000.0f}) x.push_back(more);
  auto exps = x, sigmoids = x, tanhs = x;
  tensor::exp(exps.data(), x.size());
  tensor::sigmoid(sigmoids.data(), x.size());
  tensor::tanh(tanhs.data(), x.size());
  double worst_exp = 0, worst_sigmoid = 0, worst_tanh = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double e = std::exp(std::clamp(double(x[i]), -87.0, 88.0)), t = std::tanh(double(x[i]));
    worst_exp = std::max(worst_exp, std::fabs(double(exps[i]) - e) / e);
    worst_sigmoid = std::max(worst_sigmoid, std::fabs(double(sigmoids[i]) - 1 / (1 + std::exp(-double(x[i])))));
    if (t != 0) worst_tanh = std::max(worst_tanh, std::fabs(double(tanhs[i]) - t) / std::fabs(t));
    else EXPECT_EQ(tanhs[i], 0.0f);
  }
  EXPECT_LT(worst_exp, 2e-7);
  EXPECT_LT(worst_sigmoid, 2e-7);
  EXPECT_LT(worst_tanh, 3e-7);
  // The same bits wherever a value stands in the array: vector body and scalar tail agree.
  for (size_t n : {1u, 3u, 7u, 9u, 17u}) {
    std::vector<float> part(x.end() - ptrdiff_t(n), x.end());
    tensor::tanh(part.data(), n);
    EXPECT_EQ(std::vector<float>(tanhs.end() - ptrdiff_t(n), tanhs.end()), part);
  }
}

double derivative(nn::Activation a, double x) {
  switch (a) {
    case nn::Activation::kRelu: return x > 0;
    case nn::Activation::kLeakyRelu: return x > 0 ? 1 : 0.01;
    case nn::Activation::kTanh: return 1 - std::tanh(x) * std::tanh(x);
    case nn::Activation::kSigmoid: return std::exp(-x) / ((1 + std::exp(-x)) * (1 + std::exp(-x)));
    default: return 0.5 * (1 + std::erf(x / std::sqrt(2.0))) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
  }
}
double activated(nn::Activation a, double x) {
  switch (a) {
    case nn::Activation::kRelu: return std::max(0.0, x);
    case nn::Activation::kLeakyRelu: return x > 0 ? x : 0.01 * x;
    case nn::Activation::kTanh: return std::tanh(x);
    case nn::Activation::kSigmoid: return 1 / (1 + std::exp(-x));
    default: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  }
}

// Forward and back, in place and beside it, added to what is there and not; the same bits by any vectors.
template <class T>
void check_activation(nn::Activation activation, double tolerance) {
  std::vector<T> x;
  for (int i = -4001; i <= 4001; ++i) x.push_back(T(i) * T(2.5e-3));
  const auto dyd = random_numbers(x.size(), 8);
  const std::vector<T> dy(dyd.begin(), dyd.end());
  std::vector<std::vector<T>> found;
  for (auto most : {tensor::Instructions::kPlain, tensor::Instructions::kAvx2, tensor::Instructions::kAvx512}) {
    const Limited limited(most);
    std::vector<T> y(x.size()), dx(x.size()), more(x.size(), T(2)), in_place = dy;
    nn::activation_forward(activation, x.data(), y.data(), x.size());
    nn::activation_backward(activation, x.data(), y.data(), dy.data(), dx.data(), true, x.size());
    nn::activation_backward(activation, x.data(), y.data(), dy.data(), more.data(), false, x.size());
    nn::activation_backward(activation, x.data(), y.data(), in_place.data(), in_place.data(), true, x.size());
    EXPECT_EQ(in_place, dx);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(y[i], activated(activation, double(x[i])), tolerance * std::max(1.0, std::fabs(double(x[i])))) << double(x[i]);
      EXPECT_NEAR(dx[i], double(dy[i]) * derivative(activation, double(x[i])), 4 * tolerance) << double(x[i]);
      EXPECT_EQ(more[i], T(2) + dx[i]);
    }
    y.insert(y.end(), dx.begin(), dx.end());
    if (!found.empty()) {
      EXPECT_EQ(found.back(), y);
    }
    found.push_back(std::move(y));
  }
}

TEST(Kernels, ActivationsForwardAndBackEqualTheirFormulas) {
  for (auto a : {nn::Activation::kRelu, nn::Activation::kLeakyRelu, nn::Activation::kTanh, nn::Activation::kSigmoid, nn::Activation::kGelu})
    check_activation<float>(a, 4e-7), check_activation<double>(a, 1e-14);
}

// The steps of optimisers are the same with any vectors; PyTorch's are compared in layers_torch_test.
TEST(Kernels, OptimizersMoveTheSameByAnyVectors) {
  using Kind = nn::OptimizerOptions::Kind;
  struct Case {
    Kind kind;
    int states;
    bool nesterov = false;
  };
  for (auto [kind, states, nesterov] : {Case{Kind::kSgd, 0}, Case{Kind::kSgd, 1}, Case{Kind::kSgd, 1, true}, Case{Kind::kAdagrad, 1}, Case{Kind::kAdadelta, 2}, Case{Kind::kRmsprop, 1}, Case{Kind::kRmsprop, 2},
                                        Case{Kind::kAdam, 2}, Case{Kind::kAdamW, 2}})
    for (size_t n : {1u, 7u, 16u, 100u}) {
      std::vector<std::vector<float>> found;
      for (auto most : {tensor::Instructions::kPlain, tensor::Instructions::kAvx2, tensor::Instructions::kAvx512}) {
        const Limited limited(most);
        const auto wd = random_numbers(n, 1), gd = random_numbers(n, 2);
        std::vector<float> w(wd.begin(), wd.end()), g(gd.begin(), gd.end()), a(n, 0.1f), b(n, 0.2f);
        for (int i = 0; i < 3; ++i) nn::StepKernels<float>::move(kind, {.lr = 0.1f, .decay = 0.01f, .momentum = 0.9f, .epsilon = 1e-8f, .keep = 0.99f, .shrink = 0.999f, .nesterov = nesterov}, w.data(), g.data(), states > 0 ? a.data() : nullptr, states > 1 ? b.data() : nullptr, n);
        EXPECT_NE(w[0], float(wd[0]));
        if (!found.empty()) {
          EXPECT_EQ(found.back(), w) << int(kind) << ' ' << states << ' ' << n;
        }
        found.push_back(w);
      }
    }
}

// A processor with other vectors must not give other results: activations and what cells do have the same bits with all of them, products with all that have
// fused multiply-add.
TEST(Kernels, BitsDoNotDependOnTheVectors) {
  using tensor::Instructions;
  constexpr size_t kInputs = 37, kHidden = 45;
  const auto packing = nn::Packing::of(std::vector<size_t>{7, 7, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 1, 1, 1});
  std::vector<std::vector<float>> found;
  std::vector<Instructions> used;
  for (Instructions i : {Instructions::kPlain, Instructions::kAvx2, Instructions::kAvx512}) {
    const Limited limited(i);
    if (tensor::instructions() != i) continue;
    used.push_back(i);
    auto& all = found.emplace_back();
    auto keep = [&](const auto& v) { all.insert(all.end(), v.begin(), v.end()); };
    std::vector<float> x(1000);
    for (auto apply : {static_cast<void (*)(float*, size_t)>(tensor::exp), static_cast<void (*)(float*, size_t)>(tensor::sigmoid), static_cast<void (*)(float*, size_t)>(tensor::tanh)}) {
      for (size_t k = 0; k < x.size(); ++k) x[k] = float(k) * 0.2f - 100;
      apply(x.data(), x.size());
      keep(x);
    }
    for (size_t n : {1, 15, 16, 17, 100, 333}) {
      const auto ad = random_numbers(n, 5), bd = random_numbers(n, 6);
      std::vector<float> a(ad.begin(), ad.end()), b(bd.begin(), bd.end()), y(n, 0.5f);
      keep(std::vector<float>{tensor::dot(a.data(), b.data(), n)});
      tensor::axpy(0.3f, a.data(), y.data(), n), tensor::multiply_add(a.data(), b.data(), y.data(), n), tensor::add(b.data(), y.data(), n), tensor::scale(1.7f, y.data(), n);
      keep(y);
      tensor::sum(a.data(), y.data(), b.data(), n);
      keep(b);
      std::vector<float> p = b, d = a, scaled(n), normed(n), dgain(n, 1.0f), dbias(n, 2.0f), dx(n, 3.0f);
      tensor::exponents(p.data(), n);
      tensor::softmax_backward(p.data(), d.data(), n, 0.7f);
      keep(d);
      std::vector<float> columns, moved{0.3f, -2.0f, 0.7f}, most(n), sums(n);
      for (size_t r = 0; r < moved.size(); ++r) columns.insert(columns.end(), b.begin(), b.end());
      tensor::column_exponents(moved.size(), n, columns.data(), moved.data(), most.data(), sums.data());
      for (size_t c = 0; c < n; ++c) ASSERT_NEAR(sums[c], std::exp(-0.4) + std::exp(-2.7) + 1, 1e-5);
      tensor::scale_columns(moved.size(), n, most.data(), columns.data());
      keep(columns), keep(most), keep(sums);
      const float deviation = nn::NormKernels<float>::forward(a.data(), b.data(), y.data(), 1e-5f, scaled.data(), normed.data(), n);
      for (bool empty : {true, false}) nn::NormKernels<float>::backward(y.data(), scaled.data(), b.data(), deviation, dgain.data(), dbias.data(), dx.data(), empty, n);
      keep(normed), keep(dgain), keep(dbias), keep(dx);
    }
    if (i == Instructions::kPlain) continue;  // has no fused multiply-add
    for (nn::Cell cell : {nn::Cell::kRnn, nn::Cell::kLstm, nn::Cell::kGru, nn::Cell::kGruBefore}) {
      const nn::RecurrentLayer<float> layer(cell, kInputs, kHidden);
      const auto wd = random_numbers(layer.num_weights(), 1), xd = random_numbers(packing.num_rows() * kInputs, 2), dd = random_numbers(packing.num_rows() * kHidden, 3);
      std::vector<float> w(wd.begin(), wd.end()), in(xd.begin(), xd.end()), dh(dd.begin(), dd.end()), h(dd.size()), dw(w.size()), dx(in.size());
      for (float& v : w) v *= 0.2f;
      std::vector<float> cache(packing.num_rows() * layer.cache_cols());
      tensor::PackedCache<float> packed;
      layer.forward(packed, packing, w.data(), in.data(), h.data(), cache.data());
      layer.backward(packed, packing, w.data(), in.data(), h.data(), cache.data(), dh.data(), dw.data(), dx.data());
      keep(h), keep(dx);
    }
  }
  for (size_t k = 1; k < found.size(); ++k) {
    const auto& one = found[k - 1];
    for (size_t i = 0; i < std::min(one.size(), found[k].size()); ++i) ASSERT_EQ(one[i], found[k][i]) << "number " << i << " with instructions " << int(used[k]);
  }
  if (used.size() < 3) std::cout << "this processor has " << used.size() << " of the 3 sets of instructions: the others are not compared\n";
}

}  // namespace
}  // namespace throng
