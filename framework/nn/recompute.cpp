#include "framework/nn/recompute.h"

#include <algorithm>

#include "framework/base/error.h"
#include "framework/tensor/vector_kernels.h"

namespace throng::nn {
namespace {

/// One for each thread: its memory is that of the largest block.
template <class T>
Tape<T>& inner_tape() {
  thread_local Tape<T> tape;
  return tape;
}

}  // namespace

template <class T>
Var recompute(Tape<T>& t, Var x, std::function<Var(Tape<T>&, Var)> block) {
  if (!t.training()) return block(t, x);
  Tape<T>& inner = inner_tape<T>();
  THRONG_CHECK(&t != &inner, "what is computed anew has a part that is computed anew");
  const uint64_t draws = t.draws();
  inner.start_within(t, draws);
  const Var made = block(inner, inner.operand(t.value(x), nullptr, x.rows, x.cols, t.needs(x)));
  const Var y = t.make(made.rows, made.cols, true);
  std::copy_n(inner.value(made), made.size(), t.value(y));
  THRONG_CHECK(inner.loss() == 0, "what is computed anew has a loss");
  t.take_uses(inner);
  t.count_peak(inner);
  t.on_backward(y, [&t, x, y, draws, block = std::move(block)] {
    Tape<T>& again = inner_tape<T>();
    again.start_within(t, draws);
    const Var out = block(again, again.operand(t.value(x), t.gradient(x), x.rows, x.cols, t.needs(x)));
    if (T* to = again.gradient(out)) tensor::add(t.gradient(y), to, y.size());
    again.backward();
    t.count_peak(again);
  });
  return y;
}

template Var recompute<float>(Tape<float>&, Var, std::function<Var(Tape<float>&, Var)>);
template Var recompute<double>(Tape<double>&, Var, std::function<Var(Tape<double>&, Var)>);

}  // namespace throng::nn
