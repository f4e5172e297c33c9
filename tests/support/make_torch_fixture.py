"""Writes tests/learning/recurrent_torch.txt: what PyTorch computes with given weights, to compare with framework/nn.

Run from the repository's root: python3 tests/support/make_torch_fixture.py
Each line: name, number of values, values. Sequences are packed time-major, longest first, as in nn::Packing.
"""
import torch

LENGTHS, INPUTS, HIDDEN = [5, 3, 3, 1], 3, 4
torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
lines = []


def put(name, tensor):
    values = tensor.detach().reshape(-1).tolist()
    lines.append(" ".join([name, str(len(values))] + ["%.17g" % v for v in values]))


def weights_of(layer, pick):
    parts = (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
    return torch.cat([pick(p).reshape(-1) for p in parts])


for name, kind in (("rnn", torch.nn.RNN), ("lstm", torch.nn.LSTM), ("gru", torch.nn.GRU)):
    layer = kind(INPUTS, HIDDEN)
    sequences = [torch.randn(n, INPUTS) for n in LENGTHS]
    packed = torch.nn.utils.rnn.pack_sequence(sequences)
    x = packed.data.clone().requires_grad_(True)
    out, _ = layer(torch.nn.utils.rnn.PackedSequence(x, packed.batch_sizes))
    dh = torch.randn(out.data.shape)
    (out.data * dh).sum().backward()
    put(name + "_weights", weights_of(layer, lambda p: p))
    put(name + "_x", x)
    put(name + "_h", out.data)
    put(name + "_dh", dh)
    put(name + "_dweights", weights_of(layer, lambda p: p.grad))
    put(name + "_dx", x.grad)

# Ten steps on gradients that are given, so that nothing but the optimiser is compared.
for name, decay in (("adam", 0.0), ("adamw", 0.1)):
    weights = torch.randn(6).requires_grad_(True)
    gradients = torch.randn(10, 6) * torch.tensor([1e-6, 1e-3, 0.1, 1.0, 10.0, 1000.0])
    put(name + "_start", weights)
    put(name + "_gradients", gradients)
    optimiser = torch.optim.AdamW([weights], lr=0.05, weight_decay=decay)
    for gradient in gradients:
        weights.grad = gradient.clone()
        optimiser.step()
    put(name + "_end", weights)

with open("tests/learning/recurrent_torch.txt", "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")
