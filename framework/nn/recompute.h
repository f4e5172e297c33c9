// Memory for time: values that the way back needs are computed anew instead of kept.
#pragma once
#include <functional>

#include "framework/nn/tape.h"

namespace throng::nn {

/// What `block` makes of x, of which only the result is kept; on the way back the block is gone through once more, with the same random numbers, and then back (Chen et al.,
/// 2016, "Training deep nets with sublinear memory cost"). Bits are those of block(t, x). `block` must have no loss, no batch norm and no `recompute` inside; what it holds
/// must live as long as the step.
template <class T>
Var recompute(Tape<T>& t, Var x, std::function<Var(Tape<T>&, Var)> block);

}  // namespace throng::nn
