#include "framework/nn/layers.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "framework/base/buffer.h"
#include "framework/base/error.h"
#include "framework/nn/recompute.h"

namespace throng::nn {
namespace {

Initial within(size_t fan_in) { return Initial::uniform(1 / std::sqrt(double(fan_in))); }

template <class T>
Var feed_forward(Tape<T>& t, Var x, const Linear& widen, const Linear& narrow, const TransformerOptions& options) {
  return narrow(t, dropout(t, activate(t, widen(t, x), options.activation), options.dropout));
}

// x and what `part` makes of it, with the norm before or after.
template <class T, class Part>
Var residual(Tape<T>& t, Var x, const LayerNorm& norm, const TransformerOptions& options, const Part& part) {
  if (options.norm_first) return add(t, x, dropout(t, part(norm(t, x)), options.dropout));
  return norm(t, add(t, x, dropout(t, part(x), options.dropout)));
}

AttentionOptions attention_of(const TransformerOptions& o, bool causal) { return {o.heads, causal, o.dropout}; }

}  // namespace

Linear::Linear(Parameters& p, const std::string& name, size_t in, size_t out, bool with_bias) : weight(p.add(name + ".weight", out, in, within(in))) {
  if (with_bias) bias = p.add(name + ".bias", 1, out, within(in), false);
}

Embedding::Embedding(Parameters& p, const std::string& name, size_t values, size_t width, Initial initial, bool by_rows)
    : table(by_rows ? p.add_table(name + ".weight", values, width, initial) : p.add(name + ".weight", values, width, initial)) {}

LayerNorm::LayerNorm(Parameters& p, const std::string& name, size_t width, double e)
    : gain(p.add(name + ".weight", 1, width, Initial::constant(1), false)), bias(p.add(name + ".bias", 1, width, Initial::constant(0), false)), epsilon(e) {}

BatchNorm::BatchNorm(Parameters& p, const std::string& name, size_t channels, double e)
    : gain(p.add(name + ".weight", 1, channels, Initial::constant(1), false)),
      bias(p.add(name + ".bias", 1, channels, Initial::constant(0), false)),
      statistics{p.add_statistic(name + ".running_mean", channels, 0), p.add_statistic(name + ".running_var", channels, 1), p.add_statistic(name + ".rows", 1, 0)},
      epsilon(e) {}

Recurrent::Recurrent(Parameters& p, const std::string& name, size_t in, size_t h, const RecurrentOptions& o) : options(o), hidden(h) {
  const size_t directions = o.bidirectional ? 2 : 1;
  for (size_t l = 0; l < o.layers; ++l)
    for (size_t d = 0; d < directions; ++d) {
      const size_t inputs = l == 0 ? in : hidden * directions;
      weights.push_back(p.add(name + ".l" + std::to_string(l) + (d ? ".reverse" : ""), 1, RecurrentLayer<float>(o.cell, inputs, hidden).num_weights(), within(hidden)));
    }
}

template <class T>
Var recurrent(Tape<T>& t, Var x, const Packing& packing, Cell cell, size_t hidden, const Parameter& weights, RecurrentState<T>* state) {
  const RecurrentLayer<T> layer(cell, x.cols, hidden);
  THRONG_CHECK(layer.num_weights() == weights.size() && x.rows == packing.num_rows(), "{} weights of {}, {} rows of {}", weights.size(), layer.num_weights(), x.rows, packing.num_rows());
  AlignedVector<T> unkept(t.training() ? 0 : x.rows * layer.cache_cols());
  const std::optional<Var> kept = t.training() ? std::optional(t.make(x.rows, layer.cache_cols(), false)) : std::nullopt;
  T* cache = kept ? t.value(*kept) : unkept.data();
  const Var h = t.make(x.rows, hidden, true);
  // The state moves on before the way back: it is copied.
  typename RecurrentLayer<T>::Begin begin;
  if (state && !state->h.empty()) {
    const size_t n = packing.sizes[0] * hidden;
    THRONG_CHECK(state->h.size() == n && (cell != Cell::kLstm || state->c.size() == n), "a state of {} numbers for {} sequences of {}", state->h.size(), packing.sizes[0], hidden);
    T* kept = t.scratch(2 * n);
    std::copy(state->h.begin(), state->h.end(), kept), std::copy(state->c.begin(), state->c.end(), kept + n);
    begin = {kept, cell == Cell::kLstm ? kept + n : nullptr};
  }
  layer.forward(t.packed_cache(), packing, t.weight(weights), t.value(x), t.value(h), cache, begin);
  if (state) {
    const size_t sequences = packing.sizes[0], last = (packing.num_rows() - sequences) * hidden;
    THRONG_CHECK(packing.sizes.back() == sequences, "sequences of several lengths go on from a state");
    state->h.assign(t.value(h) + last, t.value(h) + last + sequences * hidden);
    if (cell == Cell::kLstm) state->c.assign(layer.cells(cache, x.rows) + last, layer.cells(cache, x.rows) + last + sequences * hidden);
  }
  t.on_backward(h, [&t, layer, packing, x, h, cache, weights, begin] {
    std::vector<T> unwanted;
    bool empty;
    T *dx = t.gradient(x, empty), *dw = t.weight_gradient(weights), *room = dx && !empty ? t.scratch(x.size()) : dx;
    if (!dw) unwanted.assign(weights.size(), T(0)), dw = unwanted.data();
    layer.backward(t.packed_cache(), packing, t.weight(weights), t.value(x), t.value(h), cache, t.gradient(h), dw, room, begin);
    for (size_t i = 0; room != dx && i < x.size(); ++i) dx[i] += room[i];
  });
  return h;
}

template <class T>
Var recurrent(Tape<T>& t, Var x, const Segments& segments, Cell cell, size_t hidden, const Parameter& weights, bool reversed) {
  THRONG_CHECK(x.rows == segments.num_rows(), "{} rows of {}", x.rows, segments.num_rows());
  // Longest first, all first steps, then all second ones.
  std::vector<size_t> order(segments.count()), lengths;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return segments.length(a) > segments.length(b); });
  for (size_t s : order) lengths.push_back(segments.length(s));
  const Packing packing = Packing::of(lengths);
  std::vector<uint32_t> from(x.rows), to(x.rows);
  for (size_t step = 0; step < packing.num_steps(); ++step)
    for (size_t j = 0; j < packing.sizes[step]; ++j) {
      const size_t s = order[j], row = reversed ? segments.end(s) - 1 - step : segments.begin(s) + step;
      from[packing.offsets[step] + j] = uint32_t(row), to[row] = uint32_t(packing.offsets[step] + j);
    }
  return gather_rows<T>(t, recurrent<T>(t, gather_rows<T>(t, x, from), packing, cell, hidden, weights), to);
}

template <class T>
Var Recurrent::operator()(Tape<T>& t, Var x, const Segments& segments) const {
  for (size_t l = 0; l < options.layers; ++l) {
    if (l > 0) x = dropout(t, x, options.dropout);
    const auto layer = [cell = options.cell, both = options.bidirectional, hidden = hidden, weights = &weights[l * (options.bidirectional ? 2 : 1)], segments](Tape<T>& tape, Var v) {
      const Var forward = recurrent(tape, v, segments, cell, hidden, weights[0]);
      if (!both) return forward;
      const Var parts[] = {forward, recurrent(tape, v, segments, cell, hidden, weights[1], true)};
      return concat<T>(tape, parts);
    };
    x = options.recompute ? nn::recompute<T>(t, x, layer) : layer(t, x);
  }
  return x;
}

template <class T>
Var Recurrent::go_on(Tape<T>& t, Var x, size_t sequences, std::vector<RecurrentState<T>>& states) const {
  THRONG_CHECK(!options.bidirectional && sequences > 0 && x.rows % sequences == 0, "{} rows of {} sequences", x.rows, sequences);
  states.resize(options.layers);
  const Packing packing = Packing::of(std::vector<size_t>(sequences, x.rows / sequences));
  for (size_t l = 0; l < options.layers; ++l) {
    if (l > 0) x = dropout(t, x, options.dropout);
    const auto layer = [cell = options.cell, hidden = hidden, weights = &weights[l], packing, begin = states[l], end = &states[l]](Tape<T>& tape, Var v) {
      RecurrentState<T> state = begin;
      const Var h = recurrent(tape, v, packing, cell, hidden, *weights, &state);
      *end = std::move(state);
      return h;
    };
    x = options.recompute ? nn::recompute<T>(t, x, layer) : layer(t, x);
  }
  return x;
}

MultiHeadAttention::MultiHeadAttention(Parameters& p, const std::string& name, size_t width, const AttentionOptions& o)
    : query(p, name + ".query", width, width), key(p, name + ".key", width, width), value(p, name + ".value", width, width), out(p, name + ".out", width, width), options(o) {}

AttentionPool::AttentionPool(Parameters& p, const std::string& name, size_t width, size_t query_width, size_t inner, Score s) : score(s) {
  if (score == Score::kDot) {
    of_query = Linear(p, name + ".query", query_width, width, false);
    return;
  }
  of_rows = Linear(p, name + ".rows", width, inner);
  of_query = Linear(p, name + ".query", query_width, inner, false);
  to_score = Linear(p, name + ".score", inner, 1, false);
}

template <class T>
Var AttentionPool::operator()(Tape<T>& t, Var rows, Var queries, const Segments& segments, Var* weights) const {
  std::vector<uint32_t> sequence(rows.rows);
  for (size_t s = 0; s < segments.count(); ++s) std::fill(sequence.begin() + ptrdiff_t(segments.begin(s)), sequence.begin() + ptrdiff_t(segments.end(s)), uint32_t(s));
  const Var query = gather_rows<T>(t, of_query(t, queries), sequence);
  const Var scores = score == Score::kDot ? row_dot(t, rows, query) : to_score(t, activate(t, add(t, of_rows(t, rows), query), Activation::kTanh));
  const Var found = segment_softmax(t, scores, segments);
  if (weights) *weights = found;
  return segment_weighted_sum(t, rows, found, segments);
}

TransformerEncoderBlock::TransformerEncoderBlock(Parameters& p, const std::string& name, const TransformerOptions& o)
    : options(o),
      attention(p, name + ".attention", o.width, attention_of(o, o.causal)),
      widen(p, name + ".widen", o.width, o.inner),
      narrow(p, name + ".narrow", o.inner, o.width),
      norm1(p, name + ".norm1", o.width),
      norm2(p, name + ".norm2", o.width) {}

template <class T>
Var TransformerEncoderBlock::operator()(Tape<T>& t, Var x, const Segments& segments, const std::function<void(size_t, size_t, const T*)>& see) const {
  if (options.recompute && t.training()) {
    TransformerEncoderBlock kept = *this;
    kept.options.recompute = false;
    return nn::recompute<T>(t, x, [kept, segments, see](Tape<T>& inner, Var v) { return kept(inner, v, segments, see); });
  }
  x = residual(t, x, norm1, options, [&](Var v) { return attention(t, v, segments, v, segments, see); });
  return residual(t, x, norm2, options, [&](Var v) { return feed_forward(t, v, widen, narrow, options); });
}

TransformerDecoderBlock::TransformerDecoderBlock(Parameters& p, const std::string& name, const TransformerOptions& o)
    : options(o),
      attention(p, name + ".attention", o.width, attention_of(o, true)),
      to_source(p, name + ".to_source", o.width, attention_of(o, false)),
      widen(p, name + ".widen", o.width, o.inner),
      narrow(p, name + ".narrow", o.inner, o.width),
      norm1(p, name + ".norm1", o.width),
      norm2(p, name + ".norm2", o.width),
      norm3(p, name + ".norm3", o.width) {}

template <class T>
Var TransformerDecoderBlock::operator()(Tape<T>& t, Var x, const Segments& segments, Var source, const Segments& of_source) const {
  x = residual(t, x, norm1, options, [&](Var v) { return attention(t, v, segments); });
  x = residual(t, x, norm2, options, [&](Var v) { return to_source(t, v, segments, source, of_source); });
  return residual(t, x, norm3, options, [&](Var v) { return feed_forward(t, v, widen, narrow, options); });
}

Conv1d::Conv1d(Parameters& p, const std::string& name, size_t in, size_t out, const Window& w, bool t, bool with_bias) : window(w), transposed(t) {
  // PyTorch reckons the fan-in of a transposed convolution from its outputs.
  const Initial initial = within((t ? out : in) * w.kernel);
  weight = p.add(name + ".weight", t ? in : out, (t ? out : in) * w.kernel, initial);
  if (with_bias) bias = p.add(name + ".bias", 1, out, initial, false);
}

Conv2d::Conv2d(Parameters& p, const std::string& name, size_t in, size_t out, const Window& r, const Window& c, bool t, bool with_bias) : rows(r), cols(c), transposed(t) {
  const size_t taps = r.kernel * c.kernel;
  const Initial initial = within((t ? out : in) * taps);
  weight = p.add(name + ".weight", t ? in : out, (t ? out : in) * taps, initial);
  if (with_bias) bias = p.add(name + ".bias", 1, out, initial, false);
}

#define THRONG_INSTANTIATE(T)                                                                                           \
  template Var recurrent<T>(Tape<T>&, Var, const Packing&, Cell, size_t, const Parameter&, RecurrentState<T>*);         \
  template Var Recurrent::go_on<T>(Tape<T>&, Var, size_t, std::vector<RecurrentState<T>>&) const;                       \
  template Var recurrent<T>(Tape<T>&, Var, const Segments&, Cell, size_t, const Parameter&, bool);                      \
  template Var Recurrent::operator()<T>(Tape<T>&, Var, const Segments&) const;                                          \
  template Var AttentionPool::operator()<T>(Tape<T>&, Var, Var, const Segments&, Var*) const;                           \
  template Var TransformerEncoderBlock::operator()<T>(Tape<T>&, Var, const Segments&, const std::function<void(size_t, size_t, const T*)>&) const; \
  template Var TransformerDecoderBlock::operator()<T>(Tape<T>&, Var, const Segments&, Var, const Segments&) const;
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
