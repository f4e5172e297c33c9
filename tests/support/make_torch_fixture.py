"""Writes tests/learning/recurrent_torch.txt and layers_torch.txt: what PyTorch computes with given weights, to compare with framework/nn.

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
    lines.append(" ".join([name, str(len(values))] + ["%.14g" % v for v in values]))


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

with open("tests/learning/recurrent_torch.txt", "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")

lines.clear()


def case(name, module, ours, inputs, forward):
    """Values, gradients and ten steps of SGD with momentum of one layer (of a key bias the gradient is 0 but for rounding, which Adam would blow up). `ours`: our name of each matrix, and how it follows from PyTorch's weights."""
    optimiser = torch.optim.SGD(module.parameters(), lr=0.002, momentum=0.9)
    dout = None
    for step in range(10):
        optimiser.zero_grad()
        leaves = {key: value.clone().requires_grad_(True) for key, value in inputs.items()}
        out = forward(module, leaves)
        if step == 0:
            dout = torch.randn(out.shape)
            for key, pick in ours.items():
                put(f"{name}/weight/{key}", pick(lambda p: p))
            for key, value in inputs.items():
                put(f"{name}/input/{key}", value)
            put(f"{name}/out", out)
            put(f"{name}/dout", dout)
        (out * dout).sum().backward()
        if step == 0:
            for key, pick in ours.items():
                put(f"{name}/gradient/{key}", pick(lambda p: p.grad))
            for key, leaf in leaves.items():
                put(f"{name}/gradient/{key}", leaf.grad)
        optimiser.step()
    for key, pick in ours.items():
        put(f"{name}/after/{key}", pick(lambda p: p))


def named(prefix, layer):
    return {f"{prefix}.{key}": (lambda of, p=p: of(p)) for key, p in layer.named_parameters()}


def attention_names(prefix, layer):
    names = {}
    for i, part in enumerate(("query", "key", "value")):
        names[f"{prefix}.{part}.weight"] = lambda of, i=i: of(layer.in_proj_weight).chunk(3)[i]
        names[f"{prefix}.{part}.bias"] = lambda of, i=i: of(layer.in_proj_bias).chunk(3)[i]
    return {**names, **named(f"{prefix}.out", layer.out_proj)}


def spread_biases(module):
    """PyTorch begins some with zeros and ones, which would hide mistakes."""
    with torch.no_grad():
        for p in module.parameters():
            if p.dim() == 1:
                p += torch.randn(p.shape) * 0.3
    return module


nn = torch.nn
linear = nn.Linear(3, 4)
case("linear", linear, named("l", linear), {"x": torch.randn(5, 3)}, lambda m, i: m(i["x"]))
embedding = nn.Embedding(5, 3)
case("embedding", embedding, named("e", embedding), {}, lambda m, i: m(torch.tensor([4, 0, 4, 2])))
norm = spread_biases(nn.LayerNorm(5))
case("layer_norm", norm, named("n", norm), {"x": torch.randn(4, 5)}, lambda m, i: m(i["x"]))
batch = spread_biases(nn.BatchNorm1d(3))
batch_x = torch.randn(6, 3)
case("batch_norm", batch, named("n", batch), {"x": batch_x}, lambda m, i: m(i["x"]))
again = nn.BatchNorm1d(3)
again(batch_x)
put("batch_norm/running_mean", again.running_mean)
put("batch_norm/running_var", again.running_var)

def recurrent_case(key, layer):
    directions = ["", "_reverse"] if layer.bidirectional else [""]
    ours = {}
    for l in range(layer.num_layers):
        for d in directions:
            parts = [getattr(layer, f"{kind}_l{l}{d}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            ours[f"r.l{l}" + (".reverse" if d else "")] = lambda of, parts=parts: torch.cat([of(p).reshape(-1) for p in parts])

    def forward(m, i):
        lengths = [3, 1, 4]
        packed = nn.utils.rnn.pack_sequence(list(i["x"].split(lengths)), enforce_sorted=False)
        out, n = nn.utils.rnn.pad_packed_sequence(m(packed)[0], batch_first=True)
        return torch.cat([out[s, :length] for s, length in enumerate(lengths)])

    case(key, layer, ours, {"x": torch.randn(8, 2)}, forward)


for key, layer in (("stacked", nn.GRU(2, 3, num_layers=2, bidirectional=True)), ("relu", nn.RNN(2, 3, nonlinearity="relu"))):
    recurrent_case(key, layer)

# Two sequences of equal length, which is what PyTorch needs for one call.
causal = nn.Transformer.generate_square_subsequent_mask(3)
attention = spread_biases(nn.MultiheadAttention(4, 2, batch_first=True))


def self_attention(m, i):
    x = i["x"].reshape(2, 3, 4)
    return m(x, x, x, attn_mask=causal, need_weights=False)[0].reshape(6, 4)


def cross_attention(m, i):
    y = i["y"].reshape(2, 5, 4)
    return m(i["x"].reshape(2, 3, 4), y, y, need_weights=False)[0].reshape(6, 4)


case("self_attention", attention, attention_names("a", attention), {"x": torch.randn(6, 4)}, self_attention)
attention = spread_biases(nn.MultiheadAttention(4, 2, batch_first=True))
case("cross_attention", attention, attention_names("a", attention), {"x": torch.randn(6, 4), "y": torch.randn(10, 4)}, cross_attention)

for first in (False, True):
    block = spread_biases(nn.TransformerEncoderLayer(4, 2, 6, dropout=0, activation="gelu", batch_first=True, norm_first=first))
    ours = {**attention_names("b.attention", block.self_attn), **named("b.widen", block.linear1), **named("b.narrow", block.linear2),
            **named("b.norm1", block.norm1), **named("b.norm2", block.norm2)}
    case(f"encoder_{'pre' if first else 'post'}", block, ours, {"x": torch.randn(6, 4)},
         lambda m, i: m(i["x"].reshape(2, 3, 4), src_mask=causal).reshape(6, 4))
block = spread_biases(nn.TransformerDecoderLayer(4, 2, 6, dropout=0, activation="relu", batch_first=True))
ours = {**attention_names("b.attention", block.self_attn), **attention_names("b.to_source", block.multihead_attn), **named("b.widen", block.linear1),
        **named("b.narrow", block.linear2), **named("b.norm1", block.norm1), **named("b.norm2", block.norm2), **named("b.norm3", block.norm3)}
case("decoder", block, ours, {"x": torch.randn(6, 4), "y": torch.randn(10, 4)},
     lambda m, i: m(i["x"].reshape(2, 3, 4), i["y"].reshape(2, 5, 4), tgt_mask=causal).reshape(6, 4))

conv = nn.Conv1d(2, 3, 3, stride=2, padding=1, dilation=1)
case("conv1d", conv, named("c", conv), {"x": torch.randn(14, 2)},
     lambda m, i: m(i["x"].reshape(2, 7, 2).transpose(1, 2)).transpose(1, 2).reshape(-1, 3))
for key, conv in (("conv2d", nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 2))),
                  ("conv_transpose2d", nn.ConvTranspose2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 2)))):
    case(key, conv, named("c", conv), {"x": torch.randn(2, 40)}, lambda m, i: m(i["x"].reshape(2, 2, 5, 4)).reshape(2, -1))
torch.randn(2, 40)  # the random numbers below stay what they were


def loss_case(name, inputs, loss):
    leaves = {key: value.clone().requires_grad_(True) for key, value in inputs.items()}
    value = loss(leaves)
    value.backward()
    put(f"{name}/loss", value)
    for key, leaf in leaves.items():
        put(f"{name}/input/{key}", leaf)
        put(f"{name}/gradient/{key}", leaf.grad)


functional = nn.functional
targets = torch.tensor([2, 0, -1, 4])
loss_case("cross_entropy", {"x": torch.randn(4, 6)}, lambda i: functional.cross_entropy(i["x"], targets, ignore_index=-1, reduction="sum"))
wanted = torch.tensor([[0.0, 1.0, 0.5]] * 4)
loss_case("binary_cross_entropy", {"x": torch.randn(4, 3) * 3}, lambda i: functional.binary_cross_entropy_with_logits(i["x"], wanted, reduction="sum"))
loss_case("squared_error", {"x": torch.randn(4, 3)}, lambda i: functional.mse_loss(i["x"], wanted, reduction="sum"))
loss_case("bpr", {"p": torch.randn(4, 1), "n": torch.randn(4, 5)}, lambda i: -functional.logsigmoid(i["p"] - i["n"]).mean(1).sum())


def bpr_max(i):
    s = functional.softmax(i["n"], 1)
    return (-torch.log((s * torch.sigmoid(i["p"] - i["n"])).sum(1)) + 0.4 * (s * i["n"] ** 2).sum(1)).sum()


loss_case("bpr_max", {"p": torch.randn(4, 1), "n": torch.randn(4, 5)}, bpr_max)
log_q = torch.tensor([-1, -2, -0.5, -3, -1.5, -0.7])


def sampled_softmax(i):
    negatives = torch.tensor([5, 2, 0, 5])
    total = 0
    for r, target in enumerate([2, 0, 4]):
        kept = torch.cat([torch.tensor([target]), negatives[negatives != target]])
        scores = i["table"][kept] @ i["x"][r] + i["bias"][kept] - log_q[kept]
        total = total - functional.log_softmax(scores, 0)[0]
    return total


loss_case("sampled_softmax", {"x": torch.randn(3, 3), "table": torch.randn(6, 3), "bias": torch.randn(6)}, sampled_softmax)

# Ten steps on gradients that are given, so that nothing but the optimiser is compared.
for name, make in (("sgd", lambda w: torch.optim.SGD(w, lr=0.05)),
                   ("sgd_momentum", lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9, weight_decay=0.1)),
                   ("sgd_nesterov", lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9, nesterov=True)),
                   ("adagrad", lambda w: torch.optim.Adagrad(w, lr=0.05)),
                   ("adadelta", lambda w: torch.optim.Adadelta(w, lr=0.5)),
                   ("rmsprop", lambda w: torch.optim.RMSprop(w, lr=0.05)),
                   ("rmsprop_momentum", lambda w: torch.optim.RMSprop(w, lr=0.05, momentum=0.9, weight_decay=0.1)),
                   ("adam", lambda w: torch.optim.Adam(w, lr=0.05)),
                   ("adam_decay", lambda w: torch.optim.Adam(w, lr=0.05, weight_decay=0.1)),
                   ("adamw", lambda w: torch.optim.AdamW(w, lr=0.05, weight_decay=0.1))):
    weights = torch.randn(6).requires_grad_(True)
    gradients = torch.randn(10, 6) * torch.tensor([1e-6, 1e-3, 0.1, 1.0, 10.0, 1000.0])
    put(f"optimizer/{name}/start", weights)
    put(f"optimizer/{name}/gradients", gradients)
    optimiser = make([weights])
    for gradient in gradients:
        weights.grad = gradient.clone()
        optimiser.step()
    put(f"optimizer/{name}/end", weights)

# Added later, and last, so that the random numbers above stay what they were.
for key, layer in (("tanh", nn.RNN(2, 3)), ("lstm", nn.LSTM(2, 3)), ("gru", nn.GRU(2, 3)), ("lstm_stacked", nn.LSTM(2, 3, num_layers=2, bidirectional=True)), ("tanh_stacked", nn.RNN(2, 3, num_layers=2, bidirectional=True))):
    recurrent_case(key, layer)


def reset_before(m, i):
    """Cho et al. (2014), which PyTorch has no layer of: by its autograd from nn.GRU's weights."""
    rows = []
    for x in i["x"].split([3, 1, 4]):
        h = torch.zeros(3)
        for row in x:
            a, b = functional.linear(row, m.weight_ih_l0, m.bias_ih_l0), m.weight_hh_l0 @ h + m.bias_hh_l0
            r, z = torch.sigmoid(a[:3] + b[:3]), torch.sigmoid(a[3:6] + b[3:6])
            n = torch.tanh(a[6:] + m.weight_hh_l0[6:] @ (r * h) + m.bias_hh_l0[6:])
            h = (1 - z) * n + z * h
            rows.append(h)
    return torch.stack(rows)


layer = nn.GRU(2, 3)
case("gru_before", layer, {"r.l0": lambda of, m=layer: torch.cat([of(p).reshape(-1) for p in (m.weight_ih_l0, m.weight_hh_l0, m.bias_ih_l0, m.bias_hh_l0)])}, {"x": torch.randn(8, 2)}, reset_before)

attention = spread_biases(nn.MultiheadAttention(4, 2, batch_first=True))
case("self_attention_all", attention, attention_names("a", attention), {"x": torch.randn(6, 4)},
     lambda m, i: m(*[i["x"].reshape(2, 3, 4)] * 3, need_weights=False)[0].reshape(6, 4))
block = spread_biases(nn.TransformerEncoderLayer(4, 2, 6, dropout=0, activation="relu", batch_first=True))
ours = {**attention_names("b.attention", block.self_attn), **named("b.widen", block.linear1), **named("b.narrow", block.linear2), **named("b.norm1", block.norm1), **named("b.norm2", block.norm2)}
case("encoder_all", block, ours, {"x": torch.randn(6, 4)}, lambda m, i: m(i["x"].reshape(2, 3, 4)).reshape(6, 4))
block = spread_biases(nn.TransformerDecoderLayer(4, 2, 6, dropout=0, activation="gelu", batch_first=True, norm_first=True))
ours = {**attention_names("b.attention", block.self_attn), **attention_names("b.to_source", block.multihead_attn), **named("b.widen", block.linear1),
        **named("b.narrow", block.linear2), **named("b.norm1", block.norm1), **named("b.norm2", block.norm2), **named("b.norm3", block.norm3)}
case("decoder_pre", block, ours, {"x": torch.randn(6, 4), "y": torch.randn(10, 4)},
     lambda m, i: m(i["x"].reshape(2, 3, 4), i["y"].reshape(2, 5, 4), tgt_mask=causal).reshape(6, 4))

batch = spread_biases(nn.BatchNorm2d(2))
case("batch_norm_image", batch, named("n", batch), {"x": torch.randn(3, 12)}, lambda m, i: m(i["x"].reshape(3, 2, 2, 3)).reshape(3, 12))
put("batch_norm/used", again.eval()(batch_x))


class AdditivePool(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows, self.query, self.score = nn.Linear(4, 5), nn.Linear(3, 5, bias=False), nn.Linear(5, 1, bias=False)

    def forward(self, x, q):
        return functional.softmax(self.score(torch.tanh(self.rows(x) + self.query(q)))[:, 0], 0) @ x


class DotPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(3, 4, bias=False)

    def forward(self, x, q):
        return functional.softmax(x @ self.query(q), 0) @ x


for key, pool in (("additive_pool", AdditivePool()), ("dot_pool", DotPool())):
    case(key, pool, named("p", pool), {"x": torch.randn(8, 4), "q": torch.randn(3, 3)}, lambda m, i: torch.stack([m(x, q) for x, q in zip(i["x"].split([3, 1, 4]), i["q"])]))

# A linear layer in front, so that there is something to move.
for key, pick in (("sum", lambda x: x.sum(0)), ("mean", lambda x: x.mean(0)), ("max", lambda x: x.max(0)[0]), ("last", lambda x: x[-1])):
    front = nn.Linear(3, 3)
    case(f"pool_{key}", front, named("l", front), {"x": torch.randn(8, 3)}, lambda m, i: torch.stack([pick(x) for x in m(i["x"]).split([3, 1, 4])]))
for key, pool in (("max", functional.max_pool2d), ("mean", lambda *a, **b: functional.avg_pool2d(*a, **b, count_include_pad=False))):
    front = nn.Conv2d(2, 2, 1)
    case(f"pool2d_{key}", front, named("c", front), {"x": torch.randn(2, 40)}, lambda m, i: pool(m(i["x"].reshape(2, 2, 5, 4)), (3, 2), stride=(2, 1), padding=(1, 0)).reshape(2, -1))

conv = nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, dilation=2)
case("conv_transpose1d", conv, named("c", conv), {"x": torch.randn(14, 2)}, lambda m, i: m(i["x"].reshape(2, 7, 2).transpose(1, 2)).transpose(1, 2).reshape(-1, 3))

# The loss in one with the output layer, and with the table that the states came from, whose gradient is the sum of both uses.
fused_targets = torch.tensor([2, -1, 0, 6, 2])
loss_case("linear_cross_entropy", {"x": torch.randn(5, 3), "table": torch.randn(7, 3), "bias": torch.randn(7)}, lambda i: functional.cross_entropy(functional.linear(i["x"], i["table"], i["bias"]), fused_targets, ignore_index=-1, reduction="sum"))
loss_case("tied", {"table": torch.randn(7, 3)}, lambda i: functional.cross_entropy(functional.linear(functional.embedding(torch.tensor([1, 2, 1, 5, 0]), i["table"]), i["table"]), fused_targets, ignore_index=-1, reduction="sum"))

# Weight decay of those that had none above; two groups with a rate and a decay each; steps that a gradient of some rows makes.
spread = torch.tensor([1e-6, 1e-3, 0.1, 1.0, 10.0, 1000.0])
for name, make in (("adagrad_decay", lambda w: torch.optim.Adagrad(w, lr=0.05, weight_decay=0.1)),
                   ("adadelta_decay", lambda w: torch.optim.Adadelta(w, lr=0.5, weight_decay=0.1)),
                   ("rmsprop_decay", lambda w: torch.optim.RMSprop(w, lr=0.05, weight_decay=0.1)),
                   ("sgd_groups", lambda w: torch.optim.SGD([{"params": w[:1], "lr": 0.01, "weight_decay": 0.3}, {"params": w[1:]}], lr=0.05, momentum=0.9, weight_decay=0.1)),
                   ("adam_groups", lambda w: torch.optim.Adam([{"params": w[:1], "lr": 0.01, "weight_decay": 0.3}, {"params": w[1:]}], lr=0.05, weight_decay=0.1)),
                   ("adamw_groups", lambda w: torch.optim.AdamW([{"params": w[:1], "lr": 0.01, "weight_decay": 0.3}, {"params": w[1:]}], lr=0.05, weight_decay=0.1))):
    groups = [torch.randn(6).requires_grad_(True) for _ in range(2 if name.endswith("groups") else 1)]
    gradients = torch.randn(10, len(groups), 6) * spread
    put(f"optimizer/{name}/start", torch.cat(groups))
    put(f"optimizer/{name}/gradients", gradients)
    optimiser = make(groups)
    for step in gradients:
        for weights, gradient in zip(groups, step):
            weights.grad = gradient.clone()
        optimiser.step()
    put(f"optimizer/{name}/end", torch.cat(groups))
# SparseAdam adds epsilon before the bias correction, Adam behind it: it is made too small to tell.
for name, make in (("sparse_sgd", lambda w: torch.optim.SGD(w, lr=0.05)), ("sparse_adagrad", lambda w: torch.optim.Adagrad(w, lr=0.05)), ("sparse_adam", lambda w: torch.optim.SparseAdam(w, lr=0.05, eps=1e-30))):
    table = torch.randn(8, 3).requires_grad_(True)
    rows, gradients = torch.stack([torch.randperm(8)[:3] for _ in range(10)]), torch.randn(10, 3, 3)
    put(f"optimizer/{name}/start", table)
    put(f"optimizer/{name}/rows", rows.double())
    put(f"optimizer/{name}/gradients", gradients)
    optimiser = make([table])
    for r, gradient in zip(rows, gradients):
        table.grad = torch.sparse_coo_tensor(r[None], gradient, (8, 3))
        optimiser.step()
    put(f"optimizer/{name}/end", table)

recurrent_case("relu_stacked", nn.RNN(2, 3, num_layers=2, bidirectional=True, nonlinearity="relu"))


def reset_before_stacked(m, i):
    rows = []
    for x in i["x"].split([3, 1, 4]):
        for l in range(2):
            both = []
            for d in ("", "_reverse"):
                w_ih, w_hh, b_ih, b_hh = (getattr(m, f"{kind}_l{l}{d}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                h, out = torch.zeros(3), []
                for row in x.flip(0) if d else x:
                    a, b = functional.linear(row, w_ih, b_ih), w_hh @ h + b_hh
                    r, z = torch.sigmoid(a[:3] + b[:3]), torch.sigmoid(a[3:6] + b[3:6])
                    n = torch.tanh(a[6:] + w_hh[6:] @ (r * h) + b_hh[6:])
                    h = (1 - z) * n + z * h
                    out.append(h)
                both.append(torch.stack(out[::-1] if d else out))
            x = torch.cat(both, 1)
        rows.append(x)
    return torch.cat(rows)


layer = nn.GRU(2, 3, num_layers=2, bidirectional=True)
ours = {}
for l in range(2):
    for d in ("", "_reverse"):
        parts = [getattr(layer, f"{kind}_l{l}{d}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        ours[f"r.l{l}" + (".reverse" if d else "")] = lambda of, parts=parts: torch.cat([of(p).reshape(-1) for p in parts])
case("gru_before_stacked", layer, ours, {"x": torch.randn(8, 2)}, reset_before_stacked)

for key, pool in (("max", functional.max_pool1d), ("mean", lambda *a, **b: functional.avg_pool1d(*a, **b, count_include_pad=False))):
    front = nn.Conv1d(2, 2, 1)
    case(f"pool1d_{key}", front, named("c", front), {"x": torch.randn(14, 2)}, lambda m, i: pool(m(i["x"].reshape(2, 7, 2).transpose(1, 2)), 3, stride=2, padding=1).transpose(1, 2).reshape(-1, 2))

with open("tests/learning/layers_torch.txt", "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")
