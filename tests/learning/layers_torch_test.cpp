// Layers, losses and optimisers against what PyTorch computed on the same weights (layers_torch.txt): values, gradients and the weights after ten
// steps of SGD with momentum, to 1e-6 in double and 1e-4 in float.
#include <gtest/gtest.h>

#include <functional>

#include "framework/nn/layers.h"
#include "framework/nn/objective.h"
#include "framework/nn/optimizer.h"
#include "tests/support/torch_numbers.h"

namespace throng::nn {
namespace {

const testing::TorchNumbers& numbers() {
  static const testing::TorchNumbers all("layers_torch.txt");
  return all;
}

template <class T>
constexpr double kTolerance = sizeof(T) == 8 ? 1e-6 : 1e-4;

/// Makes the layer's weights, and from the inputs, by name, its result.
template <class T>
using Inputs = std::function<Var(const std::string&)>;
template <class T>
using Make = std::function<std::function<Var(Tape<T>&, const Inputs<T>&)>(Parameters&)>;

template <class T>
std::vector<T> part_of(const std::vector<T>& all, const Parameter& p) {
  return {all.begin() + ptrdiff_t(p.at), all.begin() + ptrdiff_t(p.at + p.size())};
}

// Inputs lie beside the weights, so that they get gradients; `cols` of each.
template <class T>
void compare(const std::string& name, const std::map<std::string, size_t>& cols, const Make<T>& make) {
  Parameters p;
  const auto forward = make(p);
  size_t num_layers = p.entries().size();
  std::map<std::string, Parameter> inputs;
  for (const auto& [key, c] : cols) inputs[key] = p.add(key, numbers().at(name + "/input/" + key).size() / c, c, Initial::constant(0));
  std::vector<T> weights(p.size());
  size_t matched = 0;
  for (const auto& e : p.entries()) {
    if (e.statistic) continue;
    const std::string place = inputs.count(e.name) ? "/input/" : "/weight/";
    const auto values = numbers().as<T>(name + place + e.name);
    ASSERT_EQ(values.size(), e.where.size()) << name << ' ' << e.name;
    std::copy(values.begin(), values.end(), weights.begin() + ptrdiff_t(e.where.at));
    ++matched;
  }
  ASSERT_EQ(matched, numbers().below(name + "/weight/").size() + inputs.size()) << name;
  const auto dout = numbers().as<T>(name + "/dout");
  std::vector<T> gradient(p.size());
  for (const auto& [key, where] : inputs) p.scale_lr(key, 0);
  Optimizer<T> sgd({.kind = OptimizerOptions::Kind::kSgd, .lr = 0.002, .momentum = 0.9}, p);
  Tape<T> t;
  for (int step = 0; step < 10; ++step) {
    std::fill(gradient.begin(), gradient.end(), T(0));
    t.start(p, weights, gradient);
    const Var out = forward(t, [&](const std::string& key) { return t.weights(inputs.at(key)); });
    ASSERT_EQ(out.size(), dout.size()) << name;
    if (step == 0) testing::expect_close(std::vector<T>(t.value(out), t.value(out) + out.size()), numbers().at(name + "/out"), kTolerance<T>, name + " out");
    weighted_sum(t, out, dout.data());
    t.backward();
    if (step == 0)
      for (const auto& e : p.entries())
        if (!e.statistic) testing::expect_close(part_of(gradient, e.where), numbers().at(name + "/gradient/" + e.name), kTolerance<T>, name + " gradient of " + e.name);
    sgd.update(weights, gradient);
  }
  for (size_t i = 0; i < num_layers; ++i)
    if (const auto& e = p.entries()[i]; !e.statistic) testing::expect_close(part_of(weights, e.where), numbers().at(name + "/after/" + e.name), kTolerance<T>, name + " after ten steps, " + e.name);
}

template <class T>
class LayersTorch : public ::testing::Test {};
using Numbers = ::testing::Types<float, double>;
TYPED_TEST_SUITE(LayersTorch, Numbers);

Segments equal(size_t sequences, size_t length) { return Segments::of_lengths(std::vector<size_t>(sequences, length)); }

TYPED_TEST(LayersTorch, LinearEmbeddingAndNorms) {
  using T = TypeParam;
  compare<T>("linear", {{"x", 3}}, [](Parameters& p) {
    return [l = Linear(p, "l", 3, 4)](Tape<T>& t, const Inputs<T>& in) { return l(t, in("x")); };
  });
  compare<T>("embedding", {}, [](Parameters& p) {
    return [e = Embedding(p, "e", 5, 3)](Tape<T>& t, const Inputs<T>&) { return e(t, std::vector<int32_t>{4, 0, 4, 2}); };
  });
  compare<T>("layer_norm", {{"x", 5}}, [](Parameters& p) {
    return [n = LayerNorm(p, "n", 5)](Tape<T>& t, const Inputs<T>& in) { return n(t, in("x")); };
  });
  compare<T>("batch_norm", {{"x", 3}}, [](Parameters& p) {
    return [n = BatchNorm(p, "n", 3)](Tape<T>& t, const Inputs<T>& in) { return n(t, in("x")); };
  });
  compare<T>("batch_norm_image", {{"x", 12}}, [](Parameters& p) {
    return [n = BatchNorm(p, "n", 2)](Tape<T>& t, const Inputs<T>& in) { return n(t, in("x"), 6); };
  });
}

TYPED_TEST(LayersTorch, BatchNormRemembersWhatItSaw) {
  using T = TypeParam;
  Parameters p;
  const BatchNorm norm(p, "n", 3);
  std::vector<T> weights(p.size()), gradient(p.size());
  p.initialize<T>(weights, 1);
  const auto x = numbers().as<T>("batch_norm/input/x");
  Tape<T> t;
  t.start(p, weights, gradient);
  norm(t, t.constant(x.data(), 6, 3));
  update_statistics<T>(p, weights, gradient, 0.1);
  for (const T g : part_of(gradient, norm.statistics.mean)) EXPECT_EQ(g, T(0));
  testing::expect_close(part_of(weights, norm.statistics.mean), numbers().at("batch_norm/running_mean"), kTolerance<T>, "running mean");
  testing::expect_close(part_of(weights, norm.statistics.variance), numbers().at("batch_norm/running_var"), kTolerance<T>, "running variance");
  // In use it goes by them, row by row.
  t.start(p, weights, {});
  const Var all = norm(t, t.constant(x.data(), 6, 3)), one = norm(t, t.constant(x.data(), 1, 3));
  for (size_t c = 0; c < 3; ++c) EXPECT_EQ(t.value(all)[c], t.value(one)[c]);
  testing::expect_close(std::vector<T>(t.value(all), t.value(all) + all.size()), numbers().at("batch_norm/used"), kTolerance<T>, "by the statistics");
}

TYPED_TEST(LayersTorch, RecurrentLayers) {
  using T = TypeParam;
  const auto with = [](const RecurrentOptions& options) {
    return Make<T>([options](Parameters& p) {
      return [r = Recurrent(p, "r", 2, 3, options)](Tape<T>& t, const Inputs<T>& in) { return r(t, in("x"), Segments::of_lengths(std::vector<size_t>{3, 1, 4})); };
    });
  };
  compare<T>("stacked", {{"x", 2}}, with({Cell::kGru, 2, true}));
  compare<T>("relu", {{"x", 2}}, with({Cell::kRnnRelu}));
  compare<T>("tanh", {{"x", 2}}, with({Cell::kRnn}));
  compare<T>("lstm", {{"x", 2}}, with({Cell::kLstm}));
  compare<T>("gru", {{"x", 2}}, with({Cell::kGru}));
  compare<T>("gru_before", {{"x", 2}}, with({Cell::kGruBefore}));
  compare<T>("lstm_stacked", {{"x", 2}}, with({Cell::kLstm, 2, true}));
  compare<T>("tanh_stacked", {{"x", 2}}, with({Cell::kRnn, 2, true}));
  compare<T>("relu_stacked", {{"x", 2}}, with({Cell::kRnnRelu, 2, true}));
  compare<T>("gru_before_stacked", {{"x", 2}}, with({Cell::kGruBefore, 2, true}));
}

TYPED_TEST(LayersTorch, Attention) {
  using T = TypeParam;
  compare<T>("self_attention", {{"x", 4}}, [](Parameters& p) {
    return [a = MultiHeadAttention(p, "a", 4, {2, true})](Tape<T>& t, const Inputs<T>& in) { return a(t, in("x"), equal(2, 3)); };
  });
  compare<T>("self_attention_all", {{"x", 4}}, [](Parameters& p) {
    return [a = MultiHeadAttention(p, "a", 4, {2, false})](Tape<T>& t, const Inputs<T>& in) { return a(t, in("x"), equal(2, 3)); };
  });
  for (bool dot : {false, true})
    compare<T>(dot ? "dot_pool" : "additive_pool", {{"x", 4}, {"q", 3}}, [dot](Parameters& p) {
      return [a = AttentionPool(p, "p", 4, 3, 5, dot ? AttentionPool::Score::kDot : AttentionPool::Score::kAdditive)](Tape<T>& t, const Inputs<T>& in) {
        return a(t, in("x"), in("q"), Segments::of_lengths(std::vector<size_t>{3, 1, 4}));
      };
    });
  const std::map<std::string, Pooling> poolings{{"pool_sum", Pooling::kSum}, {"pool_mean", Pooling::kMean}, {"pool_max", Pooling::kMax}, {"pool_last", Pooling::kLast}};
  for (const auto& [name, pooling] : poolings)
    compare<T>(name, {{"x", 3}}, [pooling = pooling](Parameters& p) {
      return [l = Linear(p, "l", 3, 3), pooling](Tape<T>& t, const Inputs<T>& in) { return segment_pool(t, l(t, in("x")), Segments::of_lengths(std::vector<size_t>{3, 1, 4}), pooling); };
    });
  compare<T>("cross_attention", {{"x", 4}, {"y", 4}}, [](Parameters& p) {
    return [a = MultiHeadAttention(p, "a", 4, {2, false})](Tape<T>& t, const Inputs<T>& in) { return a(t, in("x"), equal(2, 3), in("y"), equal(2, 5)); };
  });
}

TYPED_TEST(LayersTorch, TransformerBlocks) {
  using T = TypeParam;
  for (bool first : {false, true})
    compare<T>(first ? "encoder_pre" : "encoder_post", {{"x", 4}}, [first](Parameters& p) {
      return [b = TransformerEncoderBlock(p, "b", {4, 2, 6, 0, true, first, Activation::kGelu})](Tape<T>& t, const Inputs<T>& in) { return b(t, in("x"), equal(2, 3)); };
    });
  compare<T>("encoder_all", {{"x", 4}}, [](Parameters& p) {
    return [b = TransformerEncoderBlock(p, "b", {4, 2, 6})](Tape<T>& t, const Inputs<T>& in) { return b(t, in("x"), equal(2, 3)); };
  });
  for (bool first : {false, true})
    compare<T>(first ? "decoder_pre" : "decoder", {{"x", 4}, {"y", 4}}, [first](Parameters& p) {
      return [b = TransformerDecoderBlock(p, "b", {4, 2, 6, 0, false, first, first ? Activation::kGelu : Activation::kRelu})](Tape<T>& t, const Inputs<T>& in) { return b(t, in("x"), equal(2, 3), in("y"), equal(2, 5)); };
    });
}

TYPED_TEST(LayersTorch, Convolutions) {
  using T = TypeParam;
  for (bool transposed : {false, true})
    compare<T>(transposed ? "conv_transpose1d" : "conv1d", {{"x", 2}}, [transposed](Parameters& p) {
      return [c = Conv1d(p, "c", 2, 3, transposed ? Window{3, 2, 1, 2} : Window{3, 2, 1, 1}, transposed)](Tape<T>& t, const Inputs<T>& in) {
        Segments s = equal(2, 7);
        return c(t, in("x"), s);
      };
    });
  for (bool transposed : {false, true})
    compare<T>(transposed ? "conv_transpose2d" : "conv2d", {{"x", 40}}, [transposed](Parameters& p) {
      return [c = Conv2d(p, "c", 2, 3, {3, 2, 1, 1}, {2, 1, 1, 2}, transposed)](Tape<T>& t, const Inputs<T>& in) {
        Image image{2, 5, 4};
        return c(t, in("x"), image);
      };
    });
  for (bool max : {false, true})
    compare<T>(max ? "pool2d_max" : "pool2d_mean", {{"x", 40}}, [max](Parameters& p) {
      return [c = Conv2d(p, "c", 2, 2, {}, {}), max](Tape<T>& t, const Inputs<T>& in) {
        Image image{2, 5, 4};
        const Var x = c(t, in("x"), image);
        return pool2d(t, x, image, max ? WindowPooling::kMax : WindowPooling::kMean, {3, 2, 1}, {2, 1, 0});
      };
    });
  for (bool max : {false, true})
    compare<T>(max ? "pool1d_max" : "pool1d_mean", {{"x", 2}}, [max](Parameters& p) {
      return [c = Conv1d(p, "c", 2, 2, {}), max](Tape<T>& t, const Inputs<T>& in) {
        Segments s = equal(2, 7);
        const Var x = c(t, in("x"), s);
        return pool1d(t, x, s, max ? WindowPooling::kMax : WindowPooling::kMean, {3, 2, 1});
      };
    });
}

// A loss, and the gradient of everything in it.
template <class T>
void compare_loss(const std::string& name, const std::map<std::string, size_t>& cols, const std::function<void(Tape<T>&, const std::map<std::string, Parameter>&)>& loss) {
  Parameters p;
  std::map<std::string, Parameter> inputs;
  for (const auto& [key, c] : cols) inputs[key] = p.add(key, numbers().at(name + "/input/" + key).size() / c, c, Initial::constant(0));
  std::vector<T> weights(p.size()), gradient(p.size());
  for (const auto& [key, where] : inputs) {
    const auto values = numbers().as<T>(name + "/input/" + key);
    std::copy(values.begin(), values.end(), weights.begin() + ptrdiff_t(where.at));
  }
  Tape<T> t;
  t.start(p, weights, gradient);
  loss(t, inputs);
  EXPECT_NEAR(t.loss(), numbers().at(name + "/loss")[0], kTolerance<T> * std::fabs(t.loss())) << name;
  t.backward();
  for (const auto& [key, where] : inputs) testing::expect_close(part_of(gradient, where), numbers().at(name + "/gradient/" + key), kTolerance<T>, name + " gradient of " + key);
}

TYPED_TEST(LayersTorch, Losses) {
  using T = TypeParam;
  using In = std::map<std::string, Parameter>;
  std::vector<T> wanted;
  for (int r = 0; r < 4; ++r) wanted.insert(wanted.end(), {T(0), T(1), T(0.5)});
  compare_loss<T>("cross_entropy", {{"x", 6}}, [](Tape<T>& t, const In& in) { cross_entropy(t, t.weights(in.at("x")), std::vector<int32_t>{2, 0, -1, 4}); });
  compare_loss<T>("binary_cross_entropy", {{"x", 3}}, [&](Tape<T>& t, const In& in) { binary_cross_entropy<T>(t, t.weights(in.at("x")), wanted); });
  compare_loss<T>("squared_error", {{"x", 3}}, [&](Tape<T>& t, const In& in) { squared_error<T>(t, t.weights(in.at("x")), wanted); });
  compare_loss<T>("bpr", {{"p", 1}, {"n", 5}}, [](Tape<T>& t, const In& in) { bpr(t, t.weights(in.at("p")), t.weights(in.at("n"))); });
  compare_loss<T>("bpr_max", {{"p", 1}, {"n", 5}}, [](Tape<T>& t, const In& in) { bpr_max(t, t.weights(in.at("p")), t.weights(in.at("n")), 0.4); });
  const std::vector<int32_t> fused{2, -1, 0, 6, 2};
  for (size_t chunk : {0, 7, 14})
    compare_loss<T>("linear_cross_entropy", {{"x", 3}, {"table", 3}, {"bias", 1}}, [&](Tape<T>& t, const In& in) { linear_cross_entropy<T>(t, t.weights(in.at("x")), in.at("table"), in.at("bias"), fused, 1, chunk); });
  compare_loss<T>("tied", {{"table", 3}}, [&](Tape<T>& t, const In& in) { linear_cross_entropy<T>(t, embedding(t, in.at("table"), std::vector<int32_t>{1, 2, 1, 5, 0}), in.at("table"), {}, fused); });
  compare_loss<T>("sampled_softmax", {{"x", 3}, {"table", 3}, {"bias", 1}}, [](Tape<T>& t, const In& in) {
    const std::vector<T> log_q{T(-1), T(-2), T(-0.5), T(-3), T(-1.5), T(-0.7)};
    sampled_softmax<T>(t, t.weights(in.at("x")), in.at("table"), in.at("bias"), std::vector<int32_t>{2, 0, 4}, std::vector<int32_t>{5, 2, 0, 5}, log_q);
  });
}

TYPED_TEST(LayersTorch, Optimizers) {
  using T = TypeParam;
  using Kind = OptimizerOptions::Kind;
  const std::map<std::string, OptimizerOptions> all{{"sgd", {.kind = Kind::kSgd, .lr = 0.05}},
                                                    {"sgd_momentum", {.kind = Kind::kSgd, .lr = 0.05, .momentum = 0.9, .weight_decay = 0.1}},
                                                    {"sgd_nesterov", {.kind = Kind::kSgd, .lr = 0.05, .momentum = 0.9, .nesterov = true}},
                                                    {"adagrad", {.kind = Kind::kAdagrad, .lr = 0.05}},
                                                    {"adadelta", {.kind = Kind::kAdadelta, .lr = 0.5}},
                                                    {"adagrad_decay", {.kind = Kind::kAdagrad, .lr = 0.05, .weight_decay = 0.1}},
                                                    {"adadelta_decay", {.kind = Kind::kAdadelta, .lr = 0.5, .weight_decay = 0.1}},
                                                    {"rmsprop_decay", {.kind = Kind::kRmsprop, .lr = 0.05, .weight_decay = 0.1}},
                                                    {"rmsprop", {.kind = Kind::kRmsprop, .lr = 0.05}},
                                                    {"rmsprop_momentum", {.kind = Kind::kRmsprop, .lr = 0.05, .momentum = 0.9, .weight_decay = 0.1}},
                                                    {"adam", {.kind = Kind::kAdam, .lr = 0.05}},
                                                    {"adam_decay", {.kind = Kind::kAdam, .lr = 0.05, .weight_decay = 0.1}},
                                                    {"adamw", {.kind = Kind::kAdamW, .lr = 0.05, .weight_decay = 0.1}}};
  for (const auto& [name, options] : all) {
    auto weights = numbers().as<T>("optimizer/" + name + "/start"), gradients = numbers().as<T>("optimizer/" + name + "/gradients");
    Optimizer<T> optimizer(options, weights.size());
    for (size_t step = 0; step < 10; ++step) optimizer.update(weights, std::span<const T>(gradients).subspan(step * weights.size(), weights.size()));
    testing::expect_close(weights, numbers().at("optimizer/" + name + "/end"), kTolerance<T>, name);
  }
}

TYPED_TEST(LayersTorch, GroupsHaveTheirRatesAndDecays) {
  using T = TypeParam;
  using Kind = OptimizerOptions::Kind;
  for (const auto& [name, options] : std::map<std::string, OptimizerOptions>{{"sgd", {.kind = Kind::kSgd, .lr = 0.05, .momentum = 0.9, .weight_decay = 0.1}},
                                                                             {"adam", {.kind = Kind::kAdam, .lr = 0.05, .weight_decay = 0.1}},
                                                                             {"adamw", {.kind = Kind::kAdamW, .lr = 0.05, .weight_decay = 0.1}}}) {
    Parameters p;
    const std::string key = "optimizer/" + name + "_groups/";
    const Parameter groups[] = {p.add("one.weight", 2, 3, Initial::constant(0)), p.add("other.weight", 1, 6, Initial::constant(0))};
    EXPECT_EQ(p.scale_lr("one", 0.2) + p.set_weight_decay("one", 0.3), 2u);
    const auto start = numbers().as<T>(key + "start"), gradients = numbers().as<T>(key + "gradients");
    const auto put = [&](std::vector<T>& into, std::span<const T> values) {
      for (size_t g = 0; g < 2; ++g) std::copy_n(values.begin() + ptrdiff_t(6 * g), 6, into.begin() + ptrdiff_t(groups[g].at));
    };
    std::vector<T> weights(p.size()), gradient(p.size());
    put(weights, start);
    Optimizer<T> optimizer(options, p);
    for (size_t step = 0; step < 10; ++step) put(gradient, std::span(gradients).subspan(12 * step, 12)), optimizer.update(weights, gradient);
    const auto end = numbers().at(key + "end");
    for (size_t g = 0; g < 2; ++g) testing::expect_close(part_of(weights, groups[g]), {end.begin() + ptrdiff_t(6 * g), end.begin() + ptrdiff_t(6 * g + 6)}, kTolerance<T>, key + std::to_string(g));
  }
}

TYPED_TEST(LayersTorch, StepsAlongSomeRows) {
  using T = TypeParam;
  using Kind = OptimizerOptions::Kind;
  for (const auto& [name, kind] : std::map<std::string, Kind>{{"sparse_sgd", Kind::kSgd}, {"sparse_adagrad", Kind::kAdagrad}, {"sparse_adam", Kind::kAdam}}) {
    Parameters p;
    const std::string key = "optimizer/" + name + "/";
    const Parameter table = p.add_table("table", 8, 3, Initial::constant(0));
    std::vector<T> weights(p.size());
    const auto start = numbers().as<T>(key + "start"), gradients = numbers().as<T>(key + "gradients"), rows = numbers().as<T>(key + "rows");
    std::copy(start.begin(), start.end(), weights.begin() + ptrdiff_t(table.at));
    Optimizer<T> optimizer({.kind = kind, .lr = 0.05, .epsilon = kind == Kind::kAdam ? 1e-30 : -1}, p);
    TableRows<T> touched(p);
    for (size_t step = 0; step < 10; ++step) {
      touched.clear();
      for (size_t r = 0; r < 3; ++r) touched.tables[0].add(int32_t(rows[3 * step + r]), &gradients[9 * step + 3 * r]);
      optimizer.update(weights, {}, 1, &touched);
    }
    testing::expect_close(part_of(weights, table), numbers().at(key + "end"), kTolerance<T>, name);
  }
}

TEST(Optimizers, SchedulesWarmUpAndFall) {
  const Schedule constant{.warmup = 4};
  EXPECT_EQ(constant.at(0), 0.25);
  EXPECT_EQ(constant.at(3), 1);
  EXPECT_EQ(constant.at(1000), 1);
  const Schedule cosine{.kind = Schedule::Kind::kCosine, .warmup = 10, .steps = 110, .least = 0.1};
  EXPECT_EQ(cosine.at(10), 1);
  EXPECT_NEAR(cosine.at(60), 0.55, 1e-12);
  EXPECT_NEAR(cosine.at(110), 0.1, 1e-12);
  EXPECT_NEAR(cosine.at(500), 0.1, 1e-12);
  const Schedule step{.kind = Schedule::Kind::kStep, .every = 5, .factor = 0.5};
  EXPECT_EQ(step.at(4), 1);
  EXPECT_EQ(step.at(5), 0.5);
  EXPECT_EQ(step.at(14), 0.25);
  const Schedule later{.kind = Schedule::Kind::kStep, .warmup = 4, .first = 10, .every = 5, .factor = 0.5};
  EXPECT_EQ(later.at(1), 0.5) << "the warm-up comes first";
  EXPECT_EQ(later.at(13), 1) << "ten steps behind it";
  EXPECT_EQ(later.at(14), 0.5);
  EXPECT_EQ(later.at(18), 0.5);
  EXPECT_EQ(later.at(19), 0.25);
}

TEST(Optimizers, MatricesHaveTheirOwnRules) {
  Parameters p;
  const auto frozen = p.add("frozen", 1, 2, Initial::constant(1)), slow = p.add("slow", 1, 2, Initial::constant(1)), bias = p.add("bias", 1, 2, Initial::constant(1), false);
  p.freeze("frozen"), p.scale_lr("slow", 0.1);
  EXPECT_EQ(p.set_weight_decay("bias", 3), 0u) << "a bias has none";
  std::vector<float> weights(p.size(), 1.0f), gradient(p.size(), 1.0f);
  Optimizer<float> sgd({.kind = OptimizerOptions::Kind::kSgd, .lr = 0.5, .weight_decay = 1}, p);
  sgd.update(weights, gradient, 0.5);
  EXPECT_EQ(weights[frozen.at], 1.0f);
  EXPECT_NEAR(weights[slow.at], 1 - 0.025 * 2, 1e-6);
  EXPECT_EQ(weights[bias.at], 0.75f);
}

}  // namespace
}  // namespace throng::nn
