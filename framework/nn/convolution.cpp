#include "framework/nn/convolution.h"

#include <cstring>
#include <utility>

#include "framework/base/error.h"
#include "framework/tensor/gemm.h"
#include "framework/tensor/outer_products.h"

namespace throng::nn {

using tensor::gemm;
using tensor::Side;

namespace {

// Calls visit(output position, kernel position, input position) for all places of an axis that are there.
template <class Visit>
void for_each_tap(const Window& w, size_t inputs, size_t outputs, const Visit& visit) {
  for (size_t o = 0; o < outputs; ++o)
    for (size_t k = 0; k < w.kernel; ++k) {
      const size_t shifted = o * w.stride + k * w.dilation;
      if (shifted >= w.padding && shifted - w.padding < inputs) visit(o, k, shifted - w.padding);
    }
}

// How windows over an image lie: a column for each window, a row for each channel and place in the kernel.
struct Columns {
  Image in;
  Window rows, cols;
  size_t height, width;  // windows
  size_t depth() const { return in.channels * rows.kernel * cols.kernel; }
  size_t count() const { return height * width; }

  template <class Visit>
  void for_each(const Visit& visit) const {
    for (size_t c = 0; c < in.channels; ++c)
      for_each_tap(rows, in.height, height, [&](size_t oy, size_t ky, size_t y) {
        for_each_tap(cols, in.width, width, [&](size_t ox, size_t kx, size_t x) {
          visit(((c * rows.kernel + ky) * cols.kernel + kx) * count() + oy * width + ox, (c * in.height + y) * in.width + x);
        });
      });
  }
  template <class T>
  void gather(const T* image, T* columns) const {
    std::fill_n(columns, depth() * count(), T(0));
    for_each([&](size_t column, size_t pixel) { columns[column] = image[pixel]; });
  }
  template <class T>
  void scatter_add(const T* columns, T* image) const {
    for_each([&](size_t column, size_t pixel) { image[pixel] += columns[column]; });
  }
};

template <class T>
void add_bias_gradient(T* db, const T* dy, size_t images, size_t channels, size_t positions) {
  if (!db) return;
  for (size_t n = 0; n < images; ++n)
    for (size_t c = 0; c < channels; ++c)
      for (size_t p = 0; p < positions; ++p) db[c] += dy[(n * channels + c) * positions + p];
}

template <class T>
void begin_with_bias(T* out, const T* bias, size_t images, size_t channels, size_t positions) {
  for (size_t n = 0; n < images; ++n)
    for (size_t c = 0; c < channels; ++c) std::fill_n(out + (n * channels + c) * positions, positions, bias ? bias[c] : T(0));
}

}  // namespace

template <class T>
Var conv1d(Tape<T>& t, Var x, Segments& segments, const Parameter& weight, const std::optional<Parameter>& bias, const Window& window) {
  const size_t I = x.cols, O = weight.rows, K = window.kernel;
  THRONG_CHECK(weight.cols == I * K && x.rows == segments.num_rows(), "convolution of ({}, {}) by ({}, {}), kernel {}", x.rows, I, O, weight.cols, K);
  std::vector<size_t> lengths;
  for (size_t s = 0; s < segments.count(); ++s) lengths.push_back(window.outputs(segments.length(s)));
  const Segments before = segments;
  segments = Segments::of_lengths(lengths);
  const size_t N = segments.num_rows(), depth = I * K;
  // A row for each window: channel, then place in the kernel, as the weights have them.
  auto for_each = [before, after = segments, window, I, K](const auto& visit) {
    for (size_t s = 0; s < before.count(); ++s)
      for_each_tap(window, before.length(s), after.length(s), [&](size_t o, size_t k, size_t i) {
        for (size_t c = 0; c < I; ++c) visit((after.begin(s) + o) * I * K + c * K + k, (before.begin(s) + i) * I + c);
      });
  };
  T* columns = t.scratch(N * depth);
  std::fill_n(columns, N * depth, T(0));
  const T* in = t.value(x);
  for_each([&](size_t column, size_t at) { columns[column] = in[at]; });
  const Var y = t.make(N, O, true);
  if (bias)
    for (size_t r = 0; r < N; ++r) std::memcpy(t.value(y) + r * O, t.weight(*bias), O * sizeof(T));
  gemm(Side::kPlain, Side::kTransposed, N, O, depth, T(1), columns, t.weight(weight), T(bias ? 1 : 0), t.value(y));
  t.on_backward(y, [&t, x, y, weight, bias, columns, for_each, N, O, depth] {
    const T* dy = t.gradient(y);
    if (T* dw = t.weight_gradient(weight)) tensor::add_outer_products(N, O, depth, dy, columns, dw);
    if (T* db = bias ? t.weight_gradient(*bias) : nullptr)
      for (size_t r = 0; r < N; ++r)
        for (size_t c = 0; c < O; ++c) db[c] += dy[r * O + c];
    T* dx = t.gradient(x);
    if (!dx) return;
    gemm(Side::kPlain, Side::kPlain, N, depth, O, T(1), dy, t.weight(weight), T(0), columns);
    for_each([&](size_t column, size_t at) { dx[at] += columns[column]; });
  });
  return y;
}

template <class T>
Var conv_transpose1d(Tape<T>& t, Var x, Segments& segments, const Parameter& weight, const std::optional<Parameter>& bias, const Window& window) {
  const size_t I = x.cols, K = window.kernel, O = weight.cols / K;
  THRONG_CHECK(weight.rows == I && weight.cols == O * K && x.rows == segments.num_rows(), "transposed convolution of ({}, {}) by ({}, {}), kernel {}", x.rows, I, weight.rows, weight.cols, K);
  std::vector<size_t> lengths;
  for (size_t s = 0; s < segments.count(); ++s) lengths.push_back(window.transposed_outputs(segments.length(s)));
  const Segments before = segments;
  segments = Segments::of_lengths(lengths);
  const size_t N = x.rows, M = segments.num_rows(), depth = O * K;
  // The other way round: a row for each row of x, whose windows lie in the result.
  auto for_each = [before, after = segments, window, O, K](const auto& visit) {
    for (size_t s = 0; s < before.count(); ++s)
      for_each_tap(window, after.length(s), before.length(s), [&](size_t row, size_t k, size_t at) {
        for (size_t c = 0; c < O; ++c) visit((before.begin(s) + row) * O * K + c * K + k, (after.begin(s) + at) * O + c);
      });
  };
  T* columns = t.scratch(N * depth);
  gemm(Side::kPlain, Side::kPlain, N, depth, I, T(1), t.value(x), t.weight(weight), T(0), columns);
  const Var y = t.make(M, O, true);
  begin_with_bias(t.value(y), bias ? t.weight(*bias) : nullptr, M, O, 1);
  T* out = t.value(y);
  for_each([&](size_t column, size_t at) { out[at] += columns[column]; });
  t.on_backward(y, [&t, x, y, weight, bias, columns, for_each, N, M, I, O, depth] {
    const T* dy = t.gradient(y);
    add_bias_gradient(bias ? t.weight_gradient(*bias) : nullptr, dy, M, O, 1);
    T *dx = t.gradient(x), *dw = t.weight_gradient(weight);
    if (!dx && !dw) return;
    std::fill_n(columns, N * depth, T(0));
    for_each([&](size_t column, size_t at) { columns[column] = dy[at]; });
    if (dx) gemm(Side::kPlain, Side::kTransposed, N, I, depth, T(1), columns, t.weight(weight), T(1), dx);
    if (dw) tensor::add_outer_products(N, I, depth, t.value(x), columns, dw);
  });
  return y;
}

template <class T>
Var conv2d(Tape<T>& t, Var x, Image& image, const Parameter& weight, const std::optional<Parameter>& bias, const Window& rows, const Window& cols) {
  const Columns columns{image, rows, cols, rows.outputs(image.height), cols.outputs(image.width)};
  const size_t N = x.rows, O = weight.rows, depth = columns.depth(), P = columns.count(), size = image.size();
  THRONG_CHECK(x.cols == size && weight.cols == depth, "convolution of {} numbers by ({}, {})", x.cols, O, weight.cols);
  image = {O, columns.height, columns.width};
  const Var y = t.make(N, O * P, true);
  begin_with_bias(t.value(y), bias ? t.weight(*bias) : nullptr, N, O, P);
  T* room = t.scratch(depth * P);
  for (size_t n = 0; n < N; ++n) {
    columns.gather(t.value(x) + n * size, room);
    gemm(Side::kPlain, Side::kPlain, O, P, depth, T(1), t.weight(weight), room, T(1), t.value(y) + n * O * P);
  }
  t.on_backward(y, [&t, x, y, weight, bias, columns, room, N, O, P, depth, size] {
    const T* dy = t.gradient(y);
    T *dx = t.gradient(x), *dw = t.weight_gradient(weight);
    add_bias_gradient(bias ? t.weight_gradient(*bias) : nullptr, dy, N, O, P);
    for (size_t n = 0; n < N; ++n) {
      if (dw) {
        columns.gather(t.value(x) + n * size, room);
        gemm(Side::kPlain, Side::kTransposed, O, depth, P, T(1), dy + n * O * P, room, T(1), dw);
      }
      if (!dx) continue;
      gemm(Side::kTransposed, Side::kPlain, depth, P, O, T(1), t.weight(weight), dy + n * O * P, T(0), room);
      columns.scatter_add(room, dx + n * size);
    }
  });
  return y;
}

template <class T>
Var conv_transpose2d(Tape<T>& t, Var x, Image& image, const Parameter& weight, const std::optional<Parameter>& bias, const Window& rows, const Window& cols) {
  // The other way round: x lies where windows lie, the result where the image does.
  const size_t I = image.channels, O = weight.cols / (rows.kernel * cols.kernel);
  const Image out{O, rows.transposed_outputs(image.height), cols.transposed_outputs(image.width)};
  const Columns columns{out, rows, cols, image.height, image.width};
  const size_t N = x.rows, depth = columns.depth(), P = columns.count(), size = out.size();
  THRONG_CHECK(x.cols == image.size() && weight.rows == I && weight.cols == depth, "transposed convolution of {} numbers by ({}, {})", x.cols, weight.rows, weight.cols);
  image = out;
  const Var y = t.make(N, size, true);
  begin_with_bias(t.value(y), bias ? t.weight(*bias) : nullptr, N, O, out.height * out.width);
  T* room = t.scratch(depth * P);
  for (size_t n = 0; n < N; ++n) {
    gemm(Side::kTransposed, Side::kPlain, depth, P, I, T(1), t.weight(weight), t.value(x) + n * I * P, T(0), room);
    columns.scatter_add(room, t.value(y) + n * size);
  }
  t.on_backward(y, [&t, x, y, weight, bias, columns, room, N, I, O, P, depth, size, out] {
    const T* dy = t.gradient(y);
    T *dx = t.gradient(x), *dw = t.weight_gradient(weight);
    add_bias_gradient(bias ? t.weight_gradient(*bias) : nullptr, dy, N, O, out.height * out.width);
    for (size_t n = 0; n < N; ++n) {
      columns.gather(dy + n * size, room);
      if (dx) gemm(Side::kPlain, Side::kPlain, I, P, depth, T(1), t.weight(weight), room, T(1), dx + n * I * P);
      if (dw) gemm(Side::kPlain, Side::kTransposed, I, depth, P, T(1), t.value(x) + n * I * P, room, T(1), dw);
    }
  });
  return y;
}

namespace {

// Puts a matrix of so many rows and columns on the tape, each number of which is the maximum or the mean of some of x: `for_each` visits (output, input) by output, in order of input.
template <class T, class ForEach>
Var pool(Tape<T>& t, Var x, size_t rows, size_t cols, WindowPooling pooling, const ForEach& for_each) {
  const Var y = t.make(rows, cols, t.needs(x));
  // What each output is made of: the place of the maximum, or how many were averaged.
  std::vector<uint32_t> found(y.size(), pooling == WindowPooling::kMax ? UINT32_MAX : 0);
  std::fill_n(t.value(y), y.size(), T(0));
  const T* in = t.value(x);
  T* out = t.value(y);
  if (pooling == WindowPooling::kMax) {
    for_each([&](size_t o, size_t i) {
      if (found[o] == UINT32_MAX || in[i] > out[o]) out[o] = in[i], found[o] = uint32_t(i);
    });
  } else {
    for_each([&](size_t o, size_t i) { out[o] += in[i], ++found[o]; });
    for (size_t o = 0; o < y.size(); ++o) out[o] /= T(std::max(1u, found[o]));
  }
  t.on_backward(y, [&t, x, y, pooling, for_each, found = std::move(found)] {
    const T* dy = t.gradient(y);
    T* dx = t.gradient(x);
    if (pooling == WindowPooling::kMean) return for_each([&](size_t o, size_t i) { dx[i] += dy[o] / T(found[o]); });
    for (size_t o = 0; o < found.size(); ++o)
      if (found[o] != UINT32_MAX) dx[found[o]] += dy[o];
  });
  return y;
}

}  // namespace

template <class T>
Var pool1d(Tape<T>& t, Var x, Segments& segments, WindowPooling pooling, const Window& window) {
  THRONG_CHECK(x.rows == segments.num_rows(), "pooling of {} rows in sequences of {}", x.rows, segments.num_rows());
  std::vector<size_t> lengths;
  for (size_t s = 0; s < segments.count(); ++s) lengths.push_back(window.outputs(segments.length(s)));
  const Segments in = std::exchange(segments, Segments::of_lengths(lengths)), out = segments;
  return pool(t, x, out.num_rows(), x.cols, pooling, [=, C = x.cols](const auto& visit) {
    for (size_t s = 0; s < in.count(); ++s)
      for_each_tap(window, in.length(s), out.length(s), [&](size_t o, size_t, size_t i) {
        for (size_t c = 0; c < C; ++c) visit((out.begin(s) + o) * C + c, (in.begin(s) + i) * C + c);
      });
  });
}

template <class T>
Var pool2d(Tape<T>& t, Var x, Image& image, WindowPooling pooling, const Window& rows, const Window& cols) {
  const size_t C = image.channels, H = image.height, W = image.width, h = rows.outputs(H), w = cols.outputs(W);
  THRONG_CHECK(x.cols == image.size(), "pooling of {} numbers as {} channels of {} x {}", x.cols, C, H, W);
  image.height = h, image.width = w;
  return pool(t, x, x.rows, C * h * w, pooling, [=](const auto& visit) {
    for (size_t plane = 0; plane < x.rows * C; ++plane)
      for_each_tap(rows, H, h, [&](size_t oy, size_t, size_t iy) {
        for_each_tap(cols, W, w, [&](size_t ox, size_t, size_t ix) { visit((plane * h + oy) * w + ox, (plane * H + iy) * W + ix); });
      });
  });
}

#define THRONG_INSTANTIATE(T)                                                                                                                       \
  template Var conv1d<T>(Tape<T>&, Var, Segments&, const Parameter&, const std::optional<Parameter>&, const Window&);                               \
  template Var conv_transpose1d<T>(Tape<T>&, Var, Segments&, const Parameter&, const std::optional<Parameter>&, const Window&);                     \
  template Var conv2d<T>(Tape<T>&, Var, Image&, const Parameter&, const std::optional<Parameter>&, const Window&, const Window&);                   \
  template Var conv_transpose2d<T>(Tape<T>&, Var, Image&, const Parameter&, const std::optional<Parameter>&, const Window&, const Window&);         \
  template Var pool1d<T>(Tape<T>&, Var, Segments&, WindowPooling, const Window&);                                                                   \
  template Var pool2d<T>(Tape<T>&, Var, Image&, WindowPooling, const Window&, const Window&);
THRONG_INSTANTIATE(float)
THRONG_INSTANTIATE(double)
#undef THRONG_INSTANTIATE

}  // namespace throng::nn
