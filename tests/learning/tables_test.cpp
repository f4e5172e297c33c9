// Gradients by rows: the same as those of whole matrices, and what optimisers make of them.
#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/nn/layers.h"
#include "framework/nn/objective.h"
#include "framework/nn/optimizer.h"

namespace throng::nn {
namespace {

constexpr size_t kRows = 40, kCols = 6;

/// A model that uses some rows in all ways there are, with its table as a matrix or by rows.
struct Model {
  Parameters p;
  Linear inner;
  Embedding items;
  std::optional<Parameter> bias;
  explicit Model(bool by_rows) {
    inner = Linear(p, "inner", kCols, kCols);
    items = Embedding(p, "items", kRows, kCols, Initial::normal(0.5), by_rows);
    bias = by_rows ? p.add_table("bias", kRows, 1, Initial::normal(0.5)) : p.add("bias", kRows, 1, Initial::normal(0.5));
  }
  template <class T>
  void put_loss(Tape<T>& t, uint64_t step) const {
    Random random(9, step);
    std::vector<int32_t> ids, targets, drawn;
    for (int i = 0; i < 7; ++i) ids.push_back(int32_t(random.below(12))), targets.push_back(int32_t(random.below(12)));
    for (int i = 0; i < 5; ++i) drawn.push_back(int32_t(random.below(kRows)));
    ids[2] = -1;
    const Var h = inner(t, items(t, ids));
    sampled_softmax<T>(t, h, items.table, bias, targets, drawn);
    bpr(t, row_dot(t, h, items(t, targets)), row_dot(t, h, items(t, ids)));
  }
};

template <class T>
std::vector<T> weights_of(const Parameters& p) {
  std::vector<T> weights(p.size());
  p.initialize<T>(weights, 3);
  return weights;
}

TEST(Tables, GradientsByRowsAreThoseOfTheMatrix) {
  const Model whole(false), rows(true);
  ASSERT_EQ(whole.p.size(), rows.p.size());
  EXPECT_EQ(whole.p.dense_size(), whole.p.size());
  EXPECT_EQ(rows.p.dense_size(), rows.items.table.at);
  const auto weights = weights_of<double>(whole.p);
  std::vector<double> gradient(whole.p.size()), dense(rows.p.dense_size());
  TableRows<double> tables(rows.p);
  ASSERT_EQ(tables.tables.size(), 2u);
  Tape<double> t;
  for (uint64_t step = 0; step < 3; ++step) {
    std::fill(gradient.begin(), gradient.end(), 0), std::fill(dense.begin(), dense.end(), 0), tables.clear();
    t.start(whole.p, weights, gradient);
    whole.put_loss(t, step);
    const double loss = t.loss();
    t.backward();
    t.start(rows.p, weights, dense, 0, 0, &tables);
    rows.put_loss(t, step);
    EXPECT_EQ(t.loss(), loss);
    t.backward();
    for (size_t i = 0; i < dense.size(); ++i) EXPECT_EQ(dense[i], gradient[i]);
    for (const auto& table : tables.tables) {
      std::vector<double> spread(table.table().size());
      for (size_t slot = 0; slot < table.rows().size(); ++slot) std::copy_n(table.values(slot), table.cols(), &spread[size_t(table.rows()[slot]) * table.cols()]);
      for (size_t i = 0; i < spread.size(); ++i) EXPECT_EQ(spread[i], gradient[table.table().at + i]) << i;
      EXPECT_LT(table.rows().size(), kRows / 2 + 5) << "rows without a use have none";
      auto order = table.by_row();
      for (size_t i = 1; i < order.size(); ++i) EXPECT_LT(table.rows()[order[i - 1]], table.rows()[order[i]]);
    }
  }
}

std::vector<float> trained(bool by_rows, const OptimizerOptions& options, int steps) {
  const Model model(by_rows);
  auto weights = weights_of<float>(Model(false).p);
  std::vector<float> gradient(model.p.dense_size());
  TableRows<float> tables(model.p);
  Optimizer<float> optimizer(options, model.p);
  Tape<float> t;
  for (int step = 0; step < steps; ++step) {
    std::fill(gradient.begin(), gradient.end(), 0.0f), tables.clear();
    t.start(model.p, weights, gradient, 0, 0, &tables);
    model.put_loss(t, uint64_t(step));
    t.backward();
    optimizer.update(weights, gradient, 1, &tables, 0.5);
  }
  return weights;
}

// A gradient times a number is that gradient; the first gradient of a row becomes the sum where it lies.
TEST(Tables, StepsAlongScaledSumsThatLieElsewhere) {
  for (auto kind : {OptimizerOptions::Kind::kSgd, OptimizerOptions::Kind::kAdagrad, OptimizerOptions::Kind::kAdam})
    for (const size_t cols : {3, 40}) {
      Parameters p;
      p.add_table("t", 9, cols, Initial::normal(1));
      OptimizerOptions options;
      options.kind = kind, options.lr = 0.1;
      Optimizer<float> of_rows(options, p), of_sums(options, p);
      std::vector<float> expected(p.size()), weights, numbers(4 * cols);
      p.initialize<float>(expected, 1);
      weights = expected;
      for (int step = 0; step < 3; ++step) {
        for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = float(Random(5, uint64_t(step), i).normal());
        TableRows<float> rows(p);
        std::vector<RowSums<float>> sums(1, RowSums<float>(p.entries()[0].where));
        std::vector<float> scaled = numbers;
        const int32_t of[] = {7, 2, 7, 4};
        for (size_t i = 0; i < 4; ++i) sums[0].add(of[i], &numbers[i * cols]);
        for (size_t i = 0; i < 2 * cols; ++i) scaled[i] += i < cols ? scaled[2 * cols + i] : 0;
        for (float& v : scaled) v *= 0.3f;
        for (size_t i : {0, 1, 3}) rows.tables[0].add(of[i], &scaled[i * cols]);
        EXPECT_EQ(sums[0].rows(), (std::vector<int32_t>{7, 2, 4}));
        EXPECT_EQ(sums[0].values(0), numbers.data());
        of_rows.update(expected, {}, 1, &rows);
        of_sums.update(weights, std::span<const RowSums<float>>(sums), 1, 0.3);
      }
      EXPECT_EQ(weights, expected) << int(kind) << " " << cols;
    }
}

TEST(Tables, RoomForRowsIsOneAfterTheOtherOrNone) {
  Parameters p;
  p.add_table("t", 9, 2, Initial::normal(1));
  TableRows<float> rows(p);
  auto& table = rows.tables[0];
  const float one[] = {1, 1};
  table.add(3, one);
  EXPECT_EQ(table.add_room(std::vector<int32_t>{5, 3}), nullptr) << "is here";
  EXPECT_EQ(table.add_room(std::vector<int32_t>{5, 6, 5}), nullptr) << "comes twice";
  EXPECT_EQ(table.rows(), (std::vector<int32_t>{3}));
  float* room = table.add_room(std::vector<int32_t>{5, 0});
  ASSERT_NE(room, nullptr);
  for (int i = 0; i < 4; ++i) room[i] = float(i + 2);
  table.add(5, one), table.add(3, one);
  EXPECT_EQ(table.rows(), (std::vector<int32_t>{3, 5, 0}));
  EXPECT_EQ(std::vector<float>(table.values(0), table.values(0) + 6), (std::vector<float>{2, 2, 3, 4, 4, 5}));
}

TEST(Tables, SgdAndAdagradMoveRowsAsTheyMoveMatrices) {
  for (auto kind : {OptimizerOptions::Kind::kSgd, OptimizerOptions::Kind::kAdagrad}) {
    const OptimizerOptions options{.kind = kind, .lr = 0.1};
    EXPECT_EQ(trained(true, options, 5), trained(false, options, 5));
  }
}

// Narrow rows are moved some at a time, wide ones each by itself.
TEST(Tables, RowsOfAnyWidthMoveAsTheMatrixDoes) {
  constexpr size_t kAll = 500, kTouched = 300;
  for (size_t cols : {1u, 3u, 15u, 16u, 40u})
    for (auto kind : {OptimizerOptions::Kind::kSgd, OptimizerOptions::Kind::kAdagrad, OptimizerOptions::Kind::kAdam}) {
      Parameters whole, by_rows;
      whole.add("t", kAll, cols, Initial::normal(1));
      by_rows.add_table("t", kAll, cols, Initial::normal(1));
      auto expected = weights_of<float>(whole), weights = expected;
      TableRows<float> rows(by_rows);
      std::vector<float> gradient(whole.size());
      for (size_t i = 0; i < kTouched; ++i) {
        const size_t row = i * 7 % kAll;
        for (size_t c = 0; c < cols; ++c) gradient[row * cols + c] = float(int(i % 5) - 2) * 0.1f + float(c) * 0.01f + 0.003f;
        rows.tables[0].add(int32_t(row), &gradient[row * cols]);
      }
      const OptimizerOptions options{.kind = kind, .lr = 0.1};
      Optimizer<float> of_whole(options, whole), of_rows(options, by_rows);
      for (int step = 0; step < (kind == OptimizerOptions::Kind::kAdam ? 1 : 3); ++step) {  // with adam, other rows' moments would differ later
        of_whole.update(expected, gradient);
        of_rows.update(weights, {}, 1, &rows);
      }
      EXPECT_EQ(weights, expected) << cols;
      EXPECT_NE(weights, weights_of<float>(whole));
    }
}

// torch.optim.SparseAdam: moments and weights of other rows stay; the corrections go by the number of steps.
TEST(Tables, AdamMovesTouchedRowsAlone) {
  Parameters p;
  const Embedding items(p, "items", 5, 2, Initial::constant(1), true);
  auto weights = weights_of<float>(p);
  Optimizer<float> optimizer({.lr = 0.1}, p);
  TableRows<float> tables(p);
  double w = 1, m = 0, v = 0;
  for (int step = 1; step <= 6; ++step) {
    tables.clear();
    const bool touched = step == 2 || step == 5;
    const float g[2] = {0.5f * float(step), 1};
    if (touched) {
      tables.tables[0].add(3, g);
      m = 0.9 * m + 0.1 * double(g[0]), v = 0.999 * v + 0.001 * double(g[0]) * double(g[0]);
      w -= 0.1 * (m / (1 - std::pow(0.9, step))) / (std::sqrt(v / (1 - std::pow(0.999, step))) + 1e-8);
    }
    optimizer.update(weights, std::span<const float>(), 1, &tables);
    EXPECT_NEAR(weights[6], w, 1e-6) << step;
    for (size_t i : {0, 1, 2, 3, 4, 5, 8, 9}) EXPECT_EQ(weights[i], 1);
  }
}

TEST(Tables, WhatCannotBeDoneIsAnError) {
  Parameters p;
  const Embedding items(p, "items", 5, 2, Initial::constant(1), true);
  EXPECT_THROW(Linear(p, "late", 2, 2), Error) << "matrices come before tables";
  for (const OptimizerOptions& options : {OptimizerOptions{.kind = OptimizerOptions::Kind::kAdamW}, OptimizerOptions{.kind = OptimizerOptions::Kind::kRmsprop}, OptimizerOptions{.kind = OptimizerOptions::Kind::kSgd, .momentum = 0.9},
                                          OptimizerOptions{.weight_decay = 0.1}})
    EXPECT_THROW(Optimizer<float>(options, p), Error);
  const auto weights = weights_of<float>(p);
  std::vector<float> none;
  TableRows<float> tables(p);
  Tape<float> t;
  std::vector<float> gradient(p.dense_size() + 1);
  EXPECT_THROW(t.start(p, weights, gradient, 0, 0, &tables), Error);
  Parameters with_dense;
  const Linear dense(with_dense, "dense", 2, 2);
  const Embedding behind(with_dense, "items", 5, 2, Initial::constant(1), true);
  const auto all = weights_of<float>(with_dense);
  std::vector<float> room(with_dense.dense_size());
  EXPECT_THROW(t.start(with_dense, all, room), Error) << "no room for rows";
  TableRows<float> of_rows(with_dense);
  t.start(with_dense, all, room, 0, 0, &of_rows);
  std::vector<int32_t> targets{1};
  EXPECT_THROW(linear_cross_entropy<float>(t, dense(t, behind(t, std::vector<int32_t>{1})), behind.table, {}, targets), Error) << "it wants all rows";
}

// A rank may have no rows of a small table, which then begins where the next one does.
TEST(Tables, OneWithoutRowsMovesNothing) {
  Parameters p;
  p.add_table("none", 0, 2, Initial::constant(1));
  const auto some = p.add_table("some", 3, 2, Initial::constant(1));
  OptimizerOptions options;
  options.kind = OptimizerOptions::Kind::kSgd, options.lr = 1;
  Optimizer<float> optimizer(options, p, {}, true);
  std::vector<float> weights(p.size(), 1.0f);
  TableRows<float> gradients(p);
  const float gradient[] = {0.25f, 0.5f};
  gradients.tables.at(1).add(2, gradient);
  optimizer.update(weights, {}, 1, &gradients);
  EXPECT_EQ(weights[some.at + 4], 0.75f);
  EXPECT_EQ(weights[some.at + 5], 0.5f);
  EXPECT_EQ(weights[some.at], 1.0f);
}

}  // namespace
}  // namespace throng::nn
