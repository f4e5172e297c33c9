// Convolutions over sequences and images, and pooling.
#pragma once
#include <optional>

#include "framework/nn/tape.h"

namespace throng::nn {

/// Windows of one dimension: output i starts at i * stride - padding and looks at every `dilation`-th place.
struct Window {
  size_t kernel = 1, stride = 1, padding = 0, dilation = 1;
  /// How many windows n places have.
  size_t outputs(size_t n) const {
    const size_t reach = dilation * (kernel - 1) + 1;
    return n + 2 * padding < reach ? 0 : (n + 2 * padding - reach) / stride + 1;
  }
  /// How many places a transposed convolution makes of n.
  size_t transposed_outputs(size_t n) const {
    const size_t whole = n == 0 ? 0 : (n - 1) * stride + dilation * (kernel - 1) + 1;
    return whole <= 2 * padding ? 0 : whole - 2 * padding;
  }
};

/// Convolution along each sequence of x (N, I), time-major: as torch.nn.functional.conv1d of each one by itself. `weight` is PyTorch's (O, I, kernel)
/// as (O, I * kernel), `bias` (1, O). `segments` becomes that of the result.
template <class T>
Var conv1d(Tape<T>& t, Var x, Segments& segments, const Parameter& weight, const std::optional<Parameter>& bias, const Window& window);

/// As torch.nn.functional.conv_transpose1d of each sequence by itself; `weight` is PyTorch's (I, O, kernel) as (I, O * kernel). `segments` becomes that of the result.
template <class T>
Var conv_transpose1d(Tape<T>& t, Var x, Segments& segments, const Parameter& weight, const std::optional<Parameter>& bias, const Window& window);

/// Images, one a row: channels, then rows, then columns (PyTorch's NCHW).
struct Image {
  size_t channels = 1, height = 1, width = 1;
  size_t size() const { return channels * height * width; }
};

/// As torch.nn.functional.conv2d; `weight` (O, I * kernel * kernel). `image` becomes that of the result. A one-dimensional convolution over rows of
/// equal length is one with height 1: `rows` then is the window {}.
template <class T>
Var conv2d(Tape<T>& t, Var x, Image& image, const Parameter& weight, const std::optional<Parameter>& bias, const Window& rows, const Window& cols);
/// As torch.nn.functional.conv_transpose2d; `weight` is PyTorch's (I, O, kernel, kernel) as (I, O * kernel * kernel).
template <class T>
Var conv_transpose2d(Tape<T>& t, Var x, Image& image, const Parameter& weight, const std::optional<Parameter>& bias, const Window& rows, const Window& cols);

/// Padding counts neither as a value nor in the mean's divisor (PyTorch's count_include_pad=False).
enum class WindowPooling { kMax, kMean };
/// Per column, over windows along each sequence of x, time-major. `segments` becomes that of the result.
template <class T>
Var pool1d(Tape<T>& t, Var x, Segments& segments, WindowPooling pooling, const Window& window);
/// Per channel, over windows of an image. `image` becomes that of the result.
template <class T>
Var pool2d(Tape<T>& t, Var x, Image& image, WindowPooling pooling, const Window& rows, const Window& cols);

}  // namespace throng::nn
