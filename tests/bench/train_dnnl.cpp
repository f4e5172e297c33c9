// One training step of a recurrent layer by oneDNN's primitives, as train.cpp does it: forward, backward with gradients of input and weights, SGD. Weights are kept as PyTorch
// has them and laid out for the primitives in each step, as a program that trains must. usage: throng_train_dnnl_bench layer-KIND-BxTxIxH DATA STEPS
#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "framework/base/clock.h"
#include "tests/bench/train_data.h"

namespace throng {
namespace {

using dnnl::memory;
using nlohmann::json;

constexpr float kRate = 0.01f;
const auto kForward = dnnl::prop_kind::forward_training, kBackward = dnnl::prop_kind::backward;
const auto kOneWay = dnnl::rnn_direction::unidirectional_left2right;

/// What differs between the cells: gates in oneDNN's order, by their place in PyTorch's; biases of inputs and states, which are one sum but for the GRU's candidate.
struct Lstm {
  using Forward = dnnl::lstm_forward;
  using Backward = dnnl::lstm_backward;
  static constexpr int kBiases = 4;
  static std::vector<int> gates() { return {0, 1, 2, 3}; }
  template <class... M>
  static Forward::desc forward(const memory::desc& s, const memory::desc& x, const memory::desc& wl, const memory::desc& wi, const memory::desc& b, const memory::desc& h) {
    return {kForward, kOneWay, x, s, s, wl, wi, b, h, s, s};
  }
  static Backward::desc backward(const memory::desc& s, const memory::desc& x, const memory::desc& wl, const memory::desc& wi, const memory::desc& b, const memory::desc& h) {
    return {kBackward, kOneWay, x, s, s, wl, wi, b, h, s, s, x, s, s, wl, wi, b, h, s, s};
  }
};
struct Gru {
  using Forward = dnnl::lbr_gru_forward;
  using Backward = dnnl::lbr_gru_backward;
  static constexpr int kBiases = 4;
  static std::vector<int> gates() { return {1, 0, 2}; }
  static Forward::desc forward(const memory::desc& s, const memory::desc& x, const memory::desc& wl, const memory::desc& wi, const memory::desc& b, const memory::desc& h) { return {kForward, kOneWay, x, s, wl, wi, b, h, s}; }
  static Backward::desc backward(const memory::desc& s, const memory::desc& x, const memory::desc& wl, const memory::desc& wi, const memory::desc& b, const memory::desc& h) {
    return {kBackward, kOneWay, x, s, wl, wi, b, h, s, x, s, wl, wi, b, h, s};
  }
};
struct Rnn {
  using Forward = dnnl::vanilla_rnn_forward;
  using Backward = dnnl::vanilla_rnn_backward;
  static constexpr int kBiases = 1;
  static std::vector<int> gates() { return {0}; }
  static Forward::desc forward(const memory::desc& s, const memory::desc& x, const memory::desc& wl, const memory::desc& wi, const memory::desc& b, const memory::desc& h) {
    return {kForward, dnnl::algorithm::eltwise_tanh, kOneWay, x, s, wl, wi, b, h, s};
  }
  static Backward::desc backward(const memory::desc& s, const memory::desc& x, const memory::desc& wl, const memory::desc& wi, const memory::desc& b, const memory::desc& h) {
    return {kBackward, dnnl::algorithm::eltwise_tanh, kOneWay, x, s, wl, wi, b, h, s, x, s, wl, wi, b, h, s};
  }
};

float* numbers(const memory& m) { return static_cast<float*>(m.get_data_handle()); }

template <class Cell>
json run(const TrainData& data, memory::dim B, memory::dim T, memory::dim I, memory::dim H, int steps) {
  using Tag = memory::format_tag;
  const auto F32 = memory::data_type::f32;
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const auto gates = Cell::gates();
  const auto G = memory::dim(gates.size()), biases = memory::dim(Cell::kBiases);
  const memory::dims of_inputs{1, 1, I, G, H}, of_states{1, 1, H, G, H}, of_bias{1, 1, biases, H};
  const memory::desc x({T, B, I}, F32, Tag::tnc), h({T, B, H}, F32, Tag::tnc), state({1, 1, B, H}, F32, Tag::ldnc), any_inputs(of_inputs, F32, Tag::any), any_states(of_states, F32, Tag::any), bias(of_bias, F32, Tag::ldgo);
  const typename Cell::Forward::primitive_desc forward(Cell::forward(state, x, any_inputs, any_states, bias, h), engine);
  const typename Cell::Backward::primitive_desc backward(Cell::backward(state, x, any_inputs, any_states, bias, h), engine, forward);

  // ldgoi: an output's weights one after another, as PyTorch has them.
  const memory::desc inputs_kept(of_inputs, F32, Tag::ldgoi), states_kept(of_states, F32, Tag::ldgoi);
  memory w_inputs(inputs_kept, engine), w_states(states_kept, engine), b(bias, engine), dw_inputs(inputs_kept, engine), dw_states(states_kept, engine), db(bias, engine);
  const auto weights = data.floats("r"), xs = data.floats("x"), ds = data.floats("d");
  const float *torch_inputs = weights.data(), *torch_states = torch_inputs + G * H * I, *torch_bi = torch_states + G * H * H, *torch_bh = torch_bi + G * H;
  std::vector<float> bias_rate(size_t(biases * H), kRate);
  for (memory::dim g = 0; g < G; ++g) {
    const auto from = memory::dim(gates[size_t(g)]);
    std::copy_n(torch_inputs + from * H * I, H * I, numbers(w_inputs) + g * H * I);
    std::copy_n(torch_states + from * H * H, H * H, numbers(w_states) + g * H * H);
    const bool apart = biases > G && g == G - 1;  // the candidate of the GRU: the state's bias lies within the reset gate
    for (memory::dim i = 0; i < H; ++i) {
      numbers(b)[g * H + i] = torch_bi[from * H + i] + (apart ? 0 : torch_bh[from * H + i]);
      if (apart) numbers(b)[G * H + i] = torch_bh[from * H + i];
      else bias_rate[size_t(g * H + i)] = 2 * kRate;  // both of PyTorch's move
    }
  }
  const auto clear = [](const memory& m) { std::memset(m.get_data_handle(), 0, m.get_desc().get_size()); };
  // Zeros, though they may be left out: version 2.6.3 then has wrong gradients of the states' weights.
  std::unordered_map<int, memory> states_forth, states_back;
  for (int argument : {DNNL_ARG_SRC_ITER, DNNL_ARG_SRC_ITER_C, DNNL_ARG_DST_ITER, DNNL_ARG_DST_ITER_C}) {
    const memory m(state, engine);
    clear(m);
    states_forth.emplace(argument, m), states_back.emplace(argument, m);
    const memory difference(state, engine);
    clear(difference);
    states_back.emplace(argument == DNNL_ARG_SRC_ITER     ? DNNL_ARG_DIFF_SRC_ITER
                        : argument == DNNL_ARG_SRC_ITER_C ? DNNL_ARG_DIFF_SRC_ITER_C
                        : argument == DNNL_ARG_DST_ITER   ? DNNL_ARG_DIFF_DST_ITER
                                                          : DNNL_ARG_DIFF_DST_ITER_C,
                        difference);
  }
  const memory src(x, engine), dst(h, engine), diff_src(x, engine), diff_dst(h, engine), workspace(forward.workspace_desc(), engine);
  std::copy(xs.begin(), xs.end(), numbers(src));
  for (size_t i = 0; i < ds.size(); ++i) numbers(diff_dst)[i] = ds[i] / float(T * B);
  memory forth_inputs(forward.weights_layer_desc(), engine), forth_states(forward.weights_iter_desc(), engine), back_inputs(backward.weights_layer_desc(), engine), back_states(backward.weights_iter_desc(), engine),
      diff_inputs(backward.diff_weights_layer_desc(), engine), diff_states(backward.diff_weights_iter_desc(), engine);
  const typename Cell::Forward go_forth(forward);
  const typename Cell::Backward go_back(backward);
  const dnnl::reorder lay_inputs(w_inputs, forth_inputs), lay_states(w_states, forth_states), lay_back_inputs(w_inputs, back_inputs), lay_back_states(w_states, back_states), keep_inputs(diff_inputs, dw_inputs), keep_states(diff_states, dw_states);
  const auto with = [](std::unordered_map<int, memory> all, const std::unordered_map<int, memory>& more) { return all.insert(more.begin(), more.end()), all; };
  const auto forth = with(states_forth, {{DNNL_ARG_SRC_LAYER, src}, {DNNL_ARG_WEIGHTS_LAYER, forth_inputs}, {DNNL_ARG_WEIGHTS_ITER, forth_states}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST_LAYER, dst}, {DNNL_ARG_WORKSPACE, workspace}});
  const auto back = with(states_back, {{DNNL_ARG_SRC_LAYER, src}, {DNNL_ARG_WEIGHTS_LAYER, back_inputs}, {DNNL_ARG_WEIGHTS_ITER, back_states}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST_LAYER, dst}, {DNNL_ARG_WORKSPACE, workspace},
                                       {DNNL_ARG_DIFF_SRC_LAYER, diff_src}, {DNNL_ARG_DIFF_WEIGHTS_LAYER, diff_inputs}, {DNNL_ARG_DIFF_WEIGHTS_ITER, diff_states}, {DNNL_ARG_DIFF_BIAS, db}, {DNNL_ARG_DIFF_DST_LAYER, diff_dst}});
  json losses = json::array(), seconds = json::array();
  for (int step = 0; step < 5 + steps; ++step) {
    Stopwatch watch;
    lay_inputs.execute(stream, w_inputs, forth_inputs), lay_states.execute(stream, w_states, forth_states);
    go_forth.execute(stream, forth);
    stream.wait();
    double loss = 0;
    for (size_t i = 0; i < ds.size(); ++i) loss += double(numbers(dst)[i]) * double(ds[i]);
    clear(diff_inputs), clear(diff_states), clear(db), clear(diff_src);
    lay_back_inputs.execute(stream, w_inputs, back_inputs), lay_back_states.execute(stream, w_states, back_states);
    go_back.execute(stream, back);
    keep_inputs.execute(stream, diff_inputs, dw_inputs), keep_states.execute(stream, diff_states, dw_states);
    stream.wait();
    for (memory::dim i = 0; i < G * H * I; ++i) numbers(w_inputs)[i] -= kRate * numbers(dw_inputs)[i];
    for (memory::dim i = 0; i < G * H * H; ++i) numbers(w_states)[i] -= kRate * numbers(dw_states)[i];
    for (memory::dim i = 0; i < biases * H; ++i) numbers(b)[i] -= bias_rate[size_t(i)] * numbers(db)[i];
    if (step < 5) losses.push_back(loss / double(T * B));
    else seconds.push_back(watch.seconds());
  }
  return {{"losses", losses}, {"seconds", seconds}};
}

}  // namespace
}  // namespace throng

int main(int argc, char** argv) try {
  using namespace throng;
  if (argc != 4) throw std::runtime_error("usage: throng_train_dnnl_bench CASE DATA STEPS");
  const std::string name = argv[1], shape = name.substr(name.rfind('-') + 1);
  const TrainData data(argv[2]);
  const auto n = shape_of(shape);
  const auto dim = [&](size_t i) { return dnnl::memory::dim(n.at(i)); };
  const int steps = std::stoi(argv[3]);
  const auto call = [&](auto cell) { return run<decltype(cell)>(data, dim(0), dim(1), dim(2), dim(3), steps); };
  const json result = name.starts_with("layer-lstm") ? call(Lstm()) : name.starts_with("layer-gru") ? call(Gru()) : call(Rnn());
  std::cout << result.dump() << std::endl;
  return 0;
} catch (const std::exception& e) {
  std::cerr << "throng_train_dnnl_bench: " << e.what() << std::endl;
  return 1;
}
