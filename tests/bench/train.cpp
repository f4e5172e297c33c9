// Training steps of given weights on given data, timed. usage: throng_train_bench CASE DATA STEPS
// DATA: see train_data.h. Prints {"losses", "seconds", "bytes"}: the loss before each of the first five steps, the time of each of the STEPS steps, and
// what the tape held at the most.
#include <nlohmann/json.hpp>

#include <iostream>

#include "framework/base/clock.h"
#include "framework/base/heap.h"
#include "framework/base/memory.h"
#include "framework/base/thread_pool.h"
#include "framework/nn/layers.h"
#include "framework/nn/objective.h"
#include "framework/nn/optimizer.h"
#include "tests/bench/train_data.h"

using namespace throng;  // NOLINT: a program of one file
using nlohmann::json;

namespace {

nn::Cell cell_of(const std::string& name) { return name == "lstm" ? nn::Cell::kLstm : name == "gru" ? nn::Cell::kGru : nn::Cell::kRnn; }

struct Case {
  nn::Parameters parameters;
  nn::OptimizerOptions optimizer;
  std::function<void(nn::Tape<float>&)> forward;
  std::vector<std::shared_ptr<void>> kept;
};

// A recurrent layer: gradients of input and weights from that of its output, and SGD.
void make_layer(Case& c, const TrainData& data, const std::string& cell, const std::vector<size_t>& shape) {
  const size_t B = shape[0], T = shape[1], I = shape[2], H = shape[3];
  const auto packing = nn::Packing::of(std::vector<size_t>(B, T));
  const auto weights = c.parameters.add("r", 1, nn::RecurrentLayer<float>(cell_of(cell), I, H).num_weights(), nn::Initial::constant(0));
  const auto x = c.parameters.add("x", T * B, I, nn::Initial::constant(0));  // an input that gets a gradient
  c.parameters.scale_lr("x", 0);
  c.optimizer = {.kind = nn::OptimizerOptions::Kind::kSgd, .lr = 0.01};
  c.forward = [=, cell = cell_of(cell), d = data.floats("d")](nn::Tape<float>& t) {
    nn::weighted_sum(t, nn::recurrent(t, t.weights(x), packing, cell, H, weights), d.data(), 1.0 / double(T * B));
  };
}

// Rows are in the order of time, as the layers take them.
void make_language_model(Case& c, const TrainData& data, const std::string& cell, const std::vector<size_t>& shape) {
  const size_t B = shape[0], T = shape[1], V = shape[2], E = shape[3], H = shape[4];
  const nn::Embedding embedding(c.parameters, "e", V, E);
  const auto weights = c.parameters.add("r", 1, nn::RecurrentLayer<float>(cell_of(cell), E, H).num_weights(), nn::Initial::constant(0));
  const nn::Linear out(c.parameters, "o", H, V);
  c.forward = [=, cell = cell_of(cell), packing = nn::Packing::of(std::vector<size_t>(B, T)), x = data.ids("x"), y = data.ids("y")](nn::Tape<float>& t) {
    const nn::Var h = nn::recurrent(t, embedding(t, x), packing, cell, H, weights);
    nn::linear_cross_entropy<float>(t, h, out.weight, out.bias, y, 1.0 / double(T * B));
  };
}

void make_sasrec(Case& c, const TrainData& data, const std::vector<size_t>& shape) {
  const size_t B = shape[0], L = shape[1], V = shape[2], H = shape[3];
  const nn::Embedding items(c.parameters, "e", V, H), position(c.parameters, "p", L, H);
  struct Block {
    nn::LayerNorm norm1, norm2;
    nn::MultiHeadAttention attention;
    nn::Linear f1, f2;
  };
  auto blocks = std::make_shared<std::vector<Block>>();
  for (int b = 0; b < 2; ++b) {
    const std::string name = "b" + std::to_string(b);
    Block block;
    block.norm1 = nn::LayerNorm(c.parameters, name + ".norm1", H), block.attention = nn::MultiHeadAttention(c.parameters, name + ".attention", H, {1, true, 0});
    block.norm2 = nn::LayerNorm(c.parameters, name + ".norm2", H), block.f1 = nn::Linear(c.parameters, name + ".f1", H, H), block.f2 = nn::Linear(c.parameters, name + ".f2", H, H);
    blocks->push_back(block);
  }
  const nn::LayerNorm last(c.parameters, "norm", H);
  const auto segments = nn::Segments::of_lengths(std::vector<size_t>(B, L));
  std::vector<int32_t> positions;
  for (size_t i = 0; i < B * L; ++i) positions.push_back(int32_t(i % L));
  c.kept.push_back(blocks);
  c.forward = [=, x = data.ids("x"), y = data.ids("y")](nn::Tape<float>& t) {
    nn::Var h = nn::add(t, nn::scale(t, items(t, x), std::sqrt(double(H))), position(t, positions));
    for (const Block& b : *blocks) {
      h = nn::add(t, h, b.attention(t, b.norm1(t, h), segments));
      h = nn::add(t, h, b.f2(t, nn::activate(t, b.f1(t, b.norm2(t, h)), nn::Activation::kRelu)));
    }
    nn::linear_cross_entropy<float>(t, last(t, h), items.table, {}, y, 1.0 / double(B * L));
  };
}

void make_encoder(Case& c, const TrainData& data, const std::vector<size_t>& shape) {
  const size_t B = shape[0], L = shape[1], W = shape[2], F = shape[3], heads = shape[4];
  std::vector<nn::TransformerEncoderBlock> blocks;
  for (int b = 0; b < 2; ++b) blocks.emplace_back(c.parameters, "b" + std::to_string(b), nn::TransformerOptions{W, heads, F, 0, false, false, nn::Activation::kRelu});
  const auto segments = nn::Segments::of_lengths(std::vector<size_t>(B, L));
  c.optimizer = {.kind = nn::OptimizerOptions::Kind::kSgd, .lr = 0.01};
  c.forward = [=, x = data.floats("x"), d = data.floats("d")](nn::Tape<float>& t) {
    nn::Var h = t.constant(x.data(), B * L, W);
    for (const auto& block : blocks) h = block(t, h, segments);
    nn::weighted_sum(t, h, d.data(), 1.0 / double(B * L));
  };
}

// Of one session-parallel time step: batch x (batch + drawn items) scores, as the published GRU4Rec. Gradients of the tables by rows.
void make_gru4rec(Case& c, const TrainData& data, const std::vector<size_t>& shape) {
  const size_t B = shape[0], H = shape[3];
  const nn::Linear of_input(c.parameters, "i", H, 3 * H), of_state(c.parameters, "h", H, 3 * H);
  const nn::Embedding items(c.parameters, "e", shape[2], H, nn::Initial::normal(1), true), out(c.parameters, "o", shape[2], H, nn::Initial::normal(1), true);
  const auto bias = c.parameters.add_table("b.weight", shape[2], 1, nn::Initial::constant(0));
  c.optimizer = {.kind = nn::OptimizerOptions::Kind::kAdagrad, .lr = 0.05};
  // A constant is not copied: the next state waits until this step is through.
  auto state = std::make_shared<std::vector<float>>(B * H, 0.0f), next_state = std::make_shared<std::vector<float>>(B * H, 0.0f);
  auto step = std::make_shared<size_t>(0);
  std::vector<int32_t> own(B);
  for (size_t r = 0; r < B; ++r) own[r] = int32_t(r);
  c.forward = [=, x = data.ids("x"), y = data.ids("y"), drawn = data.ids("negatives"), N = shape[1]](nn::Tape<float>& t) {
    state->swap(*next_state);
    const nn::Var h = t.constant(state->data(), B, H), a = of_input(t, items(t, x)), b = of_state(t, h);
    const auto gate = [&](size_t k) { return nn::activate(t, nn::add(t, nn::slice(t, a, k * H, H), nn::slice(t, b, k * H, H)), nn::Activation::kSigmoid); };
    const nn::Var r = gate(0), z = gate(1), n = nn::activate(t, nn::add(t, nn::slice(t, a, 2 * H, H), nn::multiply(t, r, nn::slice(t, b, 2 * H, H))), nn::Activation::kTanh);
    const nn::Var next = nn::add(t, n, nn::multiply(t, z, nn::add(t, h, nn::scale(t, n, -1))));
    std::vector<int32_t> columns = y;
    const size_t first = (*step)++ * N % drawn.size();
    columns.insert(columns.end(), drawn.begin() + std::ptrdiff_t(first), drawn.begin() + std::ptrdiff_t(first + N));
    nn::cross_entropy<float>(t, nn::linear_of_rows(t, next, out.table, bias, columns), own, 1.0 / double(B));
    next_state->assign(t.value(next), t.value(next) + B * H);
  };
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) throw std::runtime_error("usage: throng_train_bench CASE DATA STEPS");
  keep_freed_memory();  // as the program does
  flush_denormals();
  const std::string name = argv[1];
  const TrainData data(argv[2]);
  const int steps = std::stoi(argv[3]);
  std::vector<std::string> words;
  std::istringstream in(name);
  for (std::string word; std::getline(in, word, '-');) words.push_back(word);
  reset_peak_resident();
  const uint64_t before = resident_bytes();
  Case c;
  if (words[0] == "layer") make_layer(c, data, words[1], shape_of(words[2]));
  else if (words[0] == "lm") make_language_model(c, data, words[1], shape_of(words[2]));
  else if (words[0] == "sasrec") make_sasrec(c, data, shape_of(words[1]));
  else if (words[0] == "gru4rec") make_gru4rec(c, data, shape_of(words[1]));
  else if (words[0] == "encoder") make_encoder(c, data, shape_of(words[1]));
  else throw std::runtime_error("unknown case " + name);
  std::vector<float> weights(c.parameters.size()), gradient(c.parameters.dense_size());
  nn::TableRows<float> tables(c.parameters);
  data.copy_weights(c.parameters, weights);
  nn::Optimizer<float> optimizer(c.optimizer, c.parameters);
  nn::Tape<float> tape;
  json losses = json::array(), seconds = json::array();
  for (int step = 0; step < 5 + steps; ++step) {
    Stopwatch watch;
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    tables.clear();
    tape.start(c.parameters, weights, gradient, 0, 0, &tables);
    c.forward(tape);
    const double loss = tape.loss();
    tape.backward();
    optimizer.update(weights, gradient, 1, &tables);
    if (step < 5) losses.push_back(loss);
    else seconds.push_back(watch.seconds());
  }
  std::cout << json{{"losses", losses}, {"seconds", seconds}, {"bytes", tape.peak_bytes()}, {"memory", peak_resident_bytes() - before}}.dump() << std::endl;
  return 0;
} catch (const std::exception& e) {
  std::cerr << "throng_train_bench: " << e.what() << std::endl;
  return 1;
}
