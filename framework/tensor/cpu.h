// Which vector instructions the kernels use. Whichever it is, sums are made in the same order, so that the bits are the same; only those of the plain
// loops differ where the processor lacks fused multiply-add.
#pragma once

namespace throng::tensor {

enum class Instructions { kPlain, kAvx2, kAvx512 };

/// The best this processor has (AVX2 counts with FMA; AVX-512 as F, BW, DQ and VL), or what `limit_instructions` left of it.
Instructions instructions();
/// For tests: no more than `most`. Not while kernels run.
void limit_instructions(Instructions most);

}  // namespace throng::tensor
