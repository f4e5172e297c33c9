// Operations and layers on a tape: gradients against finite differences in double. Equality with PyTorch is in layers_torch_test.cpp.
#include "framework/nn/layers.h"
#include "framework/nn/recompute.h"

#include <gtest/gtest.h>

#include <functional>

#include "framework/base/random.h"
#include "framework/nn/objective.h"

namespace throng::nn {
namespace {

using Forward = std::function<void(Tape<double>&)>;
/// Adds weights and inputs, and tells what to do with them.
using Make = std::function<Forward(Parameters&)>;

std::vector<double> random_numbers(size_t n, uint64_t seed, double scale = 1) {
  Random random(seed, n);
  std::vector<double> v(n);
  for (double& x : v) x = scale * random.normal();
  return v;
}

double loss_of(const Parameters& p, const std::vector<double>& weights, const Forward& forward, std::vector<double>& gradient) {
  Tape<double> t;
  t.start(p, weights, gradient, 3, 4);
  forward(t);
  const double loss = t.loss();
  t.backward();
  return loss;
}

// What the way back says is whole does not change any more, and it says so of every matrix once.
void check_completeness(const std::string& name, const Parameters& p, const std::vector<double>& weights, const Forward& forward) {
  std::vector<double> gradient(p.size(), 0.25);
  std::vector<std::vector<double>> when_told(p.entries().size());
  Tape<double> t;
  t.start(p, weights, gradient, 3, 4);
  forward(t);
  t.backward([&](size_t entry) {
    const Parameter& where = p.entries().at(entry).where;
    EXPECT_TRUE(when_told[entry].empty()) << name;
    when_told[entry].assign(gradient.begin() + std::ptrdiff_t(where.at), gradient.begin() + std::ptrdiff_t(where.at + where.size()));
  });
  for (size_t e = 0; e < when_told.size(); ++e) {
    const Parameter& where = p.entries()[e].where;
    ASSERT_EQ(when_told[e].size(), where.size()) << name << ", " << p.entries()[e].name;
    for (size_t i = 0; i < where.size(); ++i) ASSERT_EQ(when_told[e][i], gradient[where.at + i]) << name << ", " << p.entries()[e].name << "[" << i << "] changed afterwards";
  }
}

// Every weight and input, a little up and a little down.
void check_gradients(const std::string& name, const Make& make, double tolerance = 1e-7) {
  Parameters p;
  const Forward forward = make(p);
  std::vector<double> weights(p.size()), gradient(p.size(), 0.25), unused(p.size());
  p.initialize<double>(weights, 1);
  for (const auto& e : p.entries())
    if (!e.statistic) {
      const auto noise = random_numbers(e.where.size(), e.where.at + 7, 0.5);
      for (size_t i = 0; i < noise.size(); ++i) weights[e.where.at + i] += noise[i];
    }
  loss_of(p, weights, forward, gradient);
  check_completeness(name, p, weights, forward);
  size_t moved = 0;
  for (const auto& e : p.entries())
    for (size_t i = e.where.at; i < e.where.at + e.where.size() && !e.statistic; ++i) {
      const double before = weights[i], step = 1e-5;
      weights[i] = before + step;
      const double up = loss_of(p, weights, forward, unused);
      weights[i] = before - step;
      const double down = loss_of(p, weights, forward, unused);
      weights[i] = before;
      const double expected = (up - down) / (2 * step);
      EXPECT_NEAR(gradient[i] - 0.25, expected, tolerance * std::max(1.0, std::fabs(expected))) << name << ", " << e.name << "[" << i - e.where.at << "]";  // it adds to what is there
      moved += std::fabs(expected) > 1e-6;
    }
  EXPECT_GT(moved, p.size() / 8) << name << ": most of it must matter";
}

// A loss of which every element of v has a part.
void look_at(Tape<double>& t, Var v) {
  const auto factors = random_numbers(v.size(), 99);
  std::vector<double> squares(v.size(), 0.3);
  weighted_sum(t, v, factors.data(), 0.7);
  squared_error<double>(t, v, squares, 0.2);
}

Parameter input(Parameters& p, size_t rows, size_t cols, const std::string& name = "x") { return p.add(name, rows, cols, Initial::normal(1)); }
Segments segments(std::vector<size_t> lengths) { return Segments::of_lengths(lengths); }

TEST(Layers, ElementwiseOperations) {
  check_gradients("add, multiply, scale", [](Parameters& p) -> Forward {
    const auto a = input(p, 3, 4, "a"), b = input(p, 3, 4, "b"), row = input(p, 1, 4, "row");
    return [=](Tape<double>& t) {
      const Var x = t.weights(a), y = t.weights(b);
      look_at(t, add(t, multiply(t, add(t, x, t.weights(row)), y), scale(t, multiply(t, x, x), -1.5)));
    };
  });
  check_gradients("columns and rows", [](Parameters& p) -> Forward {
    const auto a = input(p, 4, 3, "a"), b = input(p, 4, 2, "b");
    return [=](Tape<double>& t) {
      const Var parts[] = {t.weights(a), t.weights(b), t.weights(a)};
      const Var wide = concat<double>(t, parts);
      const std::vector<uint32_t> rows{3, 0, 0, 2};
      look_at(t, row_dot(t, reshape(t, slice(t, gather_rows<double>(t, wide, rows), 1, 6), 8, 3), reshape(t, slice(t, wide, 0, 6), 8, 3)));
    };
  });
  // What several operations have made something of, one of which hands its gradient on to it.
  for (int last = 0; last < 4; ++last)
    check_gradients("uses " + std::to_string(last), [last](Parameters& p) -> Forward {
      const auto a = input(p, 3, 4, "a"), b = input(p, 3, 4, "b"), row = input(p, 1, 4, "row");
      return [=](Tape<double>& t) {
        const Var h = multiply(t, t.weights(a), t.weights(b));
        std::vector<Var> made(4);
        for (int i = 1; i <= 4; ++i) {
          const int use = (last + i) % 4;
          if (use == 0) made[0] = add(t, h, t.weights(row));
          if (use == 1) made[1] = activate(t, h, Activation::kTanh);
          if (use == 2) made[2] = add(t, h, h);
          if (use == 3) made[3] = reshape(t, scale(t, reshape(t, h, 4, 3), 0.5), 3, 4);
        }
        const Var x = add(t, made[0], made[1]), y = add(t, made[2], made[3]);
        look_at(t, add(t, x, y));
      };
    });
  for (Activation a : {Activation::kRelu, Activation::kLeakyRelu, Activation::kTanh, Activation::kSigmoid, Activation::kGelu})
    check_gradients("activation " + std::to_string(int(a)), [a](Parameters& p) -> Forward {
      const auto x = input(p, 5, 7);
      return [=](Tape<double>& t) { look_at(t, activate(t, t.weights(x), a)); };
    });
  check_gradients("dropout", [](Parameters& p) -> Forward {
    const auto x = input(p, 20, 7);
    return [=](Tape<double>& t) { look_at(t, dropout(t, t.weights(x), 0.4)); };
  });
}

TEST(Layers, LinearAndEmbedding) {
  check_gradients("linear", [](Parameters& p) -> Forward {
    const auto x = input(p, 5, 3);
    const Linear wide(p, "wide", 3, 4), plain(p, "plain", 4, 2, false);
    return [=](Tape<double>& t) { look_at(t, plain(t, wide(t, t.weights(x)))); };
  });
  check_gradients("embedding", [](Parameters& p) -> Forward {
    const Embedding e(p, "e", 5, 3);
    return [=](Tape<double>& t) {
      const std::vector<int32_t> ids{4, 0, -1, 4, 2, 1, 3};
      look_at(t, e(t, ids));
    };
  });
  check_gradients("rows of a table", [](Parameters& p) -> Forward {
    const auto x = input(p, 3, 4), table = input(p, 6, 4, "table"), bias = input(p, 6, 1, "bias");
    return [=](Tape<double>& t) {
      const std::vector<int32_t> ids{5, 0, 5, 2, 1, 3, 4};
      look_at(t, linear_of_rows<double>(t, t.weights(x), table, bias, ids));
    };
  });
}

TEST(Layers, Normalizations) {
  check_gradients("layer norm", [](Parameters& p) -> Forward {
    const auto x = input(p, 4, 5);
    const LayerNorm norm(p, "norm", 5);
    return [=](Tape<double>& t) { look_at(t, norm(t, t.weights(x))); };
  });
  for (size_t positions : {1, 3})
    check_gradients("batch norm", [positions](Parameters& p) -> Forward {
      const auto x = input(p, 6, 2 * positions);
      const BatchNorm norm(p, "norm", 2);
      return [=](Tape<double>& t) { look_at(t, norm(t, t.weights(x), positions)); };
    });
}

TEST(Layers, RecurrentLayers) {
  for (Cell cell : {Cell::kRnn, Cell::kRnnRelu, Cell::kLstm, Cell::kGru, Cell::kGruBefore})
    for (bool both : {false, true})
      check_gradients("cell " + std::to_string(int(cell)), [=](Parameters& p) -> Forward {
        const auto x = input(p, 11, 2);
        const Recurrent layers(p, "r", 2, 3, {cell, 2, both, 0.3});
        return [=](Tape<double>& t) { look_at(t, layers(t, t.weights(x), segments({3, 1, 5, 0, 2}))); };
      });
}

TEST(Layers, Attention) {
  for (bool causal : {false, true})
    for (double drop : {0.0, 0.3})
      check_gradients("heads", [=](Parameters& p) -> Forward {
        const auto x = input(p, 9, 4), y = input(p, 7, 4, "y");
        const MultiHeadAttention self(p, "self", 4, {2, causal, drop}), cross(p, "cross", 4, {2, false, drop});
        return [=](Tape<double>& t) {
          const Segments rows = segments({4, 0, 3, 2}), keys = segments({2, 2, 3, 0});
          look_at(t, cross(t, self(t, t.weights(x), rows), rows, t.weights(y), keys));
        };
      });
  for (auto score : {AttentionPool::Score::kAdditive, AttentionPool::Score::kDot})
    check_gradients("pool", [=](Parameters& p) -> Forward {
      const auto x = input(p, 6, 4), q = input(p, 3, 5, "q");
      const AttentionPool pool(p, "pool", 4, 5, 3, score);
      return [=](Tape<double>& t) { look_at(t, pool(t, t.weights(x), t.weights(q), segments({1, 3, 2}))); };
    });
  for (Pooling pooling : {Pooling::kSum, Pooling::kMean, Pooling::kMax, Pooling::kLast})
    check_gradients("segment pool", [=](Parameters& p) -> Forward {
      const auto x = input(p, 6, 4), w = input(p, 3, 4, "w");
      return [=](Tape<double>& t) { look_at(t, multiply(t, segment_pool(t, t.weights(x), segments({1, 3, 2}), pooling), t.weights(w))); };
    });
}

TEST(Layers, TransformerBlocks) {
  for (bool first : {false, true})
    for (bool causal : {false, true})
      check_gradients("transformer", [=](Parameters& p) -> Forward {
        const auto x = input(p, 5, 4), source = input(p, 6, 4, "source");
        const TransformerEncoderBlock encoder(p, "encoder", {4, 2, 6, 0.2, causal, first, Activation::kGelu});
        const TransformerDecoderBlock decoder(p, "decoder", {4, 2, 6, 0.2, true, first, Activation::kGelu});
        return [=](Tape<double>& t) {
          const Segments rows = segments({2, 3}), others = segments({4, 2});
          look_at(t, decoder(t, t.weights(x), rows, encoder(t, t.weights(source), others), others));
        };
      }, 1e-6);
}

// The same bits, dropout and all, in less memory; gradients are whole no later.
TEST(Layers, RecomputedBlocks) {
  std::vector<double> gradients[2];
  std::vector<size_t> told[2];
  size_t peak[2];
  double loss[2];
  for (bool recompute : {false, true}) {
    Parameters p;
    const auto x = input(p, 60, 8);
    std::vector<TransformerEncoderBlock> blocks;
    for (int l = 0; l < 6; ++l) blocks.emplace_back(p, "block" + std::to_string(l), TransformerOptions{8, 2, 32, 0.3, true, true, Activation::kGelu, recompute});
    std::vector<double> weights(p.size()), gradient(p.size());
    p.initialize<double>(weights, 4);
    Tape<double> t;
    const Segments rows = segments({25, 5, 30});
    for (int step = 0; step < 2; ++step) {
      std::fill(gradient.begin(), gradient.end(), 0.0);
      told[recompute].clear();
      t.start(p, weights, gradient, 1, uint64_t(step));
      Var v = dropout(t, t.weights(x), 0.2);
      for (const auto& block : blocks) v = dropout(t, block(t, v, rows), 0.1);
      look_at(t, v);
      t.backward([&](size_t entry) { told[recompute].push_back(entry); });
    }
    gradients[recompute] = gradient, peak[recompute] = t.peak_bytes(), loss[recompute] = t.loss();
  }
  EXPECT_EQ(loss[0], loss[1]);
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_LT(peak[1], peak[0] / 3);
  std::sort(told[0].begin(), told[0].end()), std::sort(told[1].begin(), told[1].end());
  EXPECT_EQ(told[0], told[1]);
  Parameters p;
  const auto x = input(p, 4, 2);
  const BatchNorm norm(p, "norm", 2);
  std::vector<double> weights(p.size()), gradient(p.size());
  Tape<double> t;
  t.start(p, weights, gradient);
  EXPECT_THROW(recompute<double>(t, t.weights(x), [&](Tape<double>& inner, Var v) { return norm(inner, v); }), Error);
  EXPECT_THROW(recompute<double>(t, t.weights(x), [&](Tape<double>& inner, Var v) { return recompute<double>(inner, v, [](Tape<double>&, Var w) { return w; }); }), Error);
}

TEST(Layers, Convolutions) {
  for (const auto& [w, transposed] : {std::pair(Window{3, 1, 1, 1}, false), {Window{2, 2, 0, 2}, false}, {Window{4, 1, 3, 1}, false}, {Window{3, 2, 1, 1}, true}, {Window{2, 3, 1, 2}, true}})
    check_gradients("conv1d", [w = w, transposed = transposed](Parameters& p) -> Forward {
      const auto x = input(p, 12, 2);
      const Conv1d conv(p, "conv", 2, 3, w, transposed);
      return [=](Tape<double>& t) {
        Segments s = segments({5, 1, 6});
        look_at(t, conv(t, t.weights(x), s));
      };
    });
  for (bool transposed : {false, true})
    check_gradients("conv2d", [=](Parameters& p) -> Forward {
      const auto x = input(p, 2, 2 * 5 * 4);
      const Conv2d conv(p, "conv", 2, 3, {3, 2, 1, 1}, {2, 1, 1, 2}, transposed);
      return [=](Tape<double>& t) {
        Image image{2, 5, 4};
        look_at(t, conv(t, t.weights(x), image));
      };
    });
  for (auto pooling : {WindowPooling::kMax, WindowPooling::kMean})
    check_gradients("pool2d", [=](Parameters& p) -> Forward {
      const auto x = input(p, 2, 2 * 5 * 4), gain = input(p, 2, 18, "gain");
      return [=](Tape<double>& t) {
        Image image{2, 5, 4};
        const Var y = pool2d(t, t.weights(x), image, pooling, {3, 2, 1}, {2, 1, 0});
        EXPECT_EQ(image.height, 3u);
        EXPECT_EQ(image.width, 3u);
        look_at(t, multiply(t, y, t.weights(gain)));
      };
    });
  for (auto pooling : {WindowPooling::kMax, WindowPooling::kMean})
    for (const Window& w : {Window{3, 2, 1, 1}, {2, 1, 0, 2}, {1, 3, 0, 1}})
      check_gradients("pool1d", [=](Parameters& p) -> Forward {
        const auto x = input(p, 12, 3);
        size_t rows = 0;
        for (size_t n : {5, 0, 1, 6}) rows += w.outputs(n);
        const auto gain = input(p, rows, 3, "gain");
        return [=](Tape<double>& t) {
          Segments s = segments({5, 0, 1, 6});
          const Var y = pool1d(t, t.weights(x), s, pooling, w);
          EXPECT_EQ(s.num_rows(), rows);
          look_at(t, multiply(t, y, t.weights(gain)));
        };
      });
}

TEST(Layers, Losses) {
  const std::vector<int32_t> targets{2, 0, -1, 4, 2};
  check_gradients("cross entropy", [=](Parameters& p) -> Forward {
    const auto x = input(p, 5, 6);
    return [=](Tape<double>& t) { EXPECT_EQ(cross_entropy<double>(t, t.weights(x), targets, 0.7), 4u); };
  });
  for (size_t chunk : {0, 1, 40})
    check_gradients("fused cross entropy", [=](Parameters& p) -> Forward {
      const auto x = input(p, 40, 3), table = input(p, 6, 3, "table"), bias = input(p, 1, 6, "bias"), extra = input(p, 40, 2, "extra");
      return [=](Tape<double>& t) {
        std::vector<int32_t> many;
        for (int i = 0; i < 8; ++i) many.insert(many.end(), targets.begin(), targets.end());
        std::vector<int32_t> columns;
        for (int i = 0; i < 80; ++i) columns.push_back(i * 5 % 7 - 1);
        EXPECT_EQ(linear_cross_entropy<double>(t, t.weights(x), table, bias, many, 0.7, chunk, SparseScores{t.weights(extra), columns}), 32u);
      };
    });
  check_gradients("sampled softmax", [=](Parameters& p) -> Forward {
    const auto x = input(p, 5, 3), table = input(p, 6, 3, "table"), bias = input(p, 6, 1, "bias");
    return [=](Tape<double>& t) {
      const std::vector<int32_t> negatives{5, 2, 0, 5};
      const std::vector<double> log_q{-1, -2, -0.5, -3, -1.5, -0.7};
      EXPECT_EQ(sampled_softmax<double>(t, t.weights(x), table, bias, targets, negatives, log_q, 0.7), 4u);
    };
  });
  check_gradients("binary cross entropy, squared error", [=](Parameters& p) -> Forward {
    const auto x = input(p, 5, 3);
    return [=](Tape<double>& t) {
      std::vector<double> wanted(15);
      std::vector<uint8_t> use(15, 1);
      for (size_t i = 0; i < 15; ++i) wanted[i] = double(i % 3) / 2;
      use[4] = 0;
      binary_cross_entropy<double>(t, t.weights(x), wanted, 0.7, use);
      squared_error<double>(t, t.weights(x), wanted, 0.1);
    };
  });
  check_gradients("bpr, bpr-max", [=](Parameters& p) -> Forward {
    const auto x = input(p, 5, 1), n = input(p, 5, 4, "n");
    return [=](Tape<double>& t) {
      bpr(t, t.weights(x), t.weights(n), 0.7);
      bpr_max(t, t.weights(x), t.weights(n), 0.4, 1.3);
    };
  });
}

// A layer that is too large to be laid out is gone through by stretches where nothing is learned.
TEST(Layers, LargeOutputLayersAreJudgedByStretches) {
  constexpr size_t H = 60, V = 290'003, N = 3;
  Parameters p;
  const auto x = p.add("x", N, H, Initial::normal(1)), extra = p.add("extra", N, 2, Initial::normal(1)), table = p.add("t", V, H, Initial::normal(1)), bias = p.add("b", 1, V, Initial::normal(1));
  std::vector<float> weights(p.size());
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = float((i * 2654435761u) % 1000) / 1000.0f - 0.5f;
  const std::vector<int32_t> targets{5, -1, int32_t(V) - 1}, columns{int32_t(V) - 1, 4095, 1, 2, 4096, -1};
  Tape<float> t;
  t.start(p, weights, {});
  EXPECT_EQ(linear_cross_entropy<float>(t, t.weights(x), table, bias, targets, 0.5, 0, SparseScores{t.weights(extra), columns}), 2u);
  double expected = 0;
  for (size_t r : {0, 2}) {
    std::vector<double> scores(V);
    for (size_t k = 0; k < V; ++k) {
      scores[k] = double(weights[bias.at + k]);
      for (size_t c = 0; c < H; ++c) scores[k] += double(weights[x.at + r * H + c]) * double(weights[table.at + k * H + c]);
    }
    for (size_t j = 0; j < 2; ++j)
      if (columns[2 * r + j] >= 0) scores[size_t(columns[2 * r + j])] += double(weights[extra.at + 2 * r + j]);
    double sum = 0;
    for (double s : scores) sum += std::exp(s);
    expected += 0.5 * (std::log(sum) - scores[size_t(targets[r])]);
  }
  EXPECT_NEAR(t.loss(), expected, 1e-4);
  EXPECT_LT(t.peak_bytes(), size_t{1} << 20);
}

// The chunks of the fused loss, and a tape's memory that was used before, change nothing.
TEST(Layers, TheFusedLossIsTheLossOfTheProduct) {
  Parameters p;
  const auto x = input(p, 50, 8), table = input(p, 30, 8, "table"), bias = input(p, 1, 30, "bias");
  std::vector<double> weights(p.size());
  p.initialize<double>(weights, 5);
  std::vector<int32_t> targets;
  for (int i = 0; i < 50; ++i) targets.push_back(i * 7 % 31 - 1);
  std::vector<double> whole(p.size()), fused(p.size());
  Tape<double> t;
  t.start(p, weights, whole);
  cross_entropy<double>(t, linear<double>(t, t.weights(x), table, bias), targets);
  const double expected = t.loss();
  t.backward();
  for (int again = 0; again < 3; ++again) {
    std::fill(fused.begin(), fused.end(), 0.0);
    t.start(p, weights, fused);
    linear_cross_entropy<double>(t, t.weights(x), table, bias, targets, 1, 30 * 16);
    EXPECT_NEAR(t.loss(), expected, 1e-10);
    t.backward();
    for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(fused[i], whole[i], 1e-12);
  }
}

TEST(Layers, ATapeKeepsItsMemory) {
  Parameters p;
  const Linear a(p, "a", 16, 64), b(p, "b", 64, 16);
  std::vector<float> weights(p.size()), gradient(p.size()), x(100 * 16, 0.5f);
  p.initialize<float>(weights, 1);
  Tape<float> t;
  size_t first = 0;
  for (int step = 0; step < 5; ++step) {
    t.start(p, weights, gradient);
    const Var y = b(t, activate(t, a(t, t.constant(x.data(), 100, 16)), Activation::kRelu));
    weighted_sum(t, y, x.data());
    t.backward();
    if (step == 0) first = t.peak_bytes();
    EXPECT_EQ(t.peak_bytes(), first);
  }
  EXPECT_LT(first, size_t{200} << 10);
  // What gets no gradient is not gone through.
  t.start(p, weights, {});
  weighted_sum(t, b(t, a(t, t.constant(x.data(), 100, 16))), x.data());
  t.backward();
}

TEST(Layers, FrozenWeightsGetNoGradient) {
  Parameters p;
  const Linear a(p, "a", 3, 4), b(p, "b", 4, 2);
  EXPECT_EQ(p.freeze("a."), 2u);
  std::vector<double> weights(p.size()), gradient(p.size()), x{1, 2, 3};
  p.initialize<double>(weights, 1);
  Tape<double> t;
  t.start(p, weights, gradient);
  look_at(t, b(t, a(t, t.constant(x.data(), 1, 3))));
  t.backward();
  for (const auto& e : p.entries()) {
    double sum = 0;
    for (size_t i = 0; i < e.where.size(); ++i) sum += std::fabs(gradient[e.where.at + i]);
    EXPECT_EQ(sum == 0, e.frozen) << e.name;
  }
}

TEST(Layers, DropoutKeepsTheMeanAndIsOffInUse) {
  Parameters p;
  std::vector<float> x(100'000, 2.0f);
  p.add("unused", 1, 1, Initial::constant(0));
  std::vector<float> weights(p.size()), g(p.size());
  Tape<float> t;
  auto sum_of = [&](std::span<float> into, uint64_t stream) {
    t.start(p, weights, into, 1, stream);
    const Var y = dropout(t, t.constant(x.data(), 100, 1000), 0.25);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += double(t.value(y)[i]);
    return sum;
  };
  EXPECT_NEAR(sum_of(g, 1), 200'000, 1000);
  EXPECT_EQ(sum_of(g, 1), sum_of(g, 1));
  EXPECT_NE(sum_of(g, 1), sum_of(g, 2));
  EXPECT_EQ(sum_of({}, 1), 200'000);
}

// An attention row sums to 1, and a causal one sees nothing that comes later.
TEST(Layers, AttentionWeightsCanBeSeen) {
  Parameters p;
  const auto x = input(p, 5, 4);
  std::vector<double> weights(p.size());
  p.initialize<double>(weights, 1);
  Tape<double> t;
  t.start(p, weights, {});
  const Segments s = segments({3, 2});
  size_t seen = 0;
  attention<double>(t, t.weights(x), t.weights(x), t.weights(x), s, s, {2, true, 0.5}, [&](size_t sequence, size_t head, const double* w) {
    const size_t n = s.length(sequence);
    ASSERT_LT(head, 2u);
    for (size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (size_t j = 0; j < n; ++j) {
        sum += w[i * n + j];
        EXPECT_EQ(w[i * n + j] > 0, j <= i);
      }
      EXPECT_NEAR(sum, 1, 1e-12);
    }
    ++seen;
  });
  EXPECT_EQ(seen, 4u);
}

}  // namespace
}  // namespace throng::nn
