"""Training steps beside PyTorch, from the same weights on the same data, one thread each. usage: train.py PROGRAM WORK SMALL OUT CASE

ranks-..: through the trainer on two ranks of one thread, in eight logical shards, beside the better of PyTorch with two threads and with DistributedDataParallel; and
with one rank, and with a shard for each rank, which says what two ranks and what the exact sums are worth. allreduce-MIB: beside MPI_Allreduce in place. machine-squares: how fast
OpenBLAS multiplies on one core, and how much more two do.

Equal: the losses of the first five steps, which the optimiser's moves are part of, agree to 1e-3. Both sides run in turn, three times; the median step of
the best run of each counts, since what disturbs a run only ever slows it. PyTorch is Debian's: built with OpenBLAS, its own kernels for AVX2, without oneDNN's
fused recurrent layers on this path. oneDNN's own primitives are a second peer of the recurrent layers."""
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from harness import case, entry, small, throng, work, write_results

os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import torch

torch.set_num_threads(1)
torch.set_flush_denormal(True)
nn, functional = torch.nn, torch.nn.functional


def tensors_of(pairs):
    return {name: tensor.detach().to(torch.float32).reshape(-1).numpy() for name, tensor in pairs.items()}


def recurrent_weights(layer):
    return torch.cat([p.reshape(-1) for p in (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)])


def attention_weights(prefix, layer):
    found = {}
    for i, part in enumerate(("query", "key", "value")):
        found[f"{prefix}.{part}.weight"] = layer.in_proj_weight.chunk(3)[i]
        found[f"{prefix}.{part}.bias"] = layer.in_proj_bias.chunk(3)[i]
    return {**found, **named(f"{prefix}.out", layer.out_proj)}


def named(prefix, layer):
    return {f"{prefix}.{key}": p for key, p in layer.named_parameters()}


KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


def layer_case(kind, B, T, I, H):
    layer = KINDS[kind](I, H)
    x, d = torch.randn(T, B, I).requires_grad_(True), torch.randn(T, B, H)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.01)

    def step():
        optimiser.zero_grad(set_to_none=True)
        x.grad = None
        loss = (layer(x)[0] * d).sum() / (T * B)
        loss.backward()
        optimiser.step()
        return loss

    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    return {"r": recurrent_weights(layer), "x": x, "d": d}, step, 3 * 2 * B * T * gates * H * (I + H)


def lm_case(kind, B, T, V, E, H):
    embedding, layer, out = nn.Embedding(V, E), KINDS[kind](E, H), nn.Linear(H, V)
    # Words as frequent as Zipf's law has them, so that a model has something to learn.
    words = torch.from_numpy(np.minimum(np.random.default_rng(3).zipf(1.3, (T + 1, B)) - 1, V - 1))
    x, y = words[:-1], words[1:]
    optimiser = torch.optim.Adam([*embedding.parameters(), *layer.parameters(), *out.parameters()])

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(out(layer(embedding(x))[0]).flatten(0, 1), y.flatten())
        loss.backward()
        optimiser.step()
        return loss

    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    return {"e.weight": embedding.weight, "r": recurrent_weights(layer), **named("o", out), "x": x, "y": y}, step, 3 * 2 * B * T * (gates * H * (E + H) + H * V)


def sasrec_case(B, L, V, H, dropout=0):
    items, position, last = nn.Embedding(V, H), nn.Embedding(L, H), nn.LayerNorm(H)
    with torch.no_grad():
        items.weight *= 0.1
    blocks = nn.ModuleList([nn.ModuleDict({"norm1": nn.LayerNorm(H), "attention": nn.MultiheadAttention(H, 1, batch_first=True, dropout=dropout), "norm2": nn.LayerNorm(H),
                                           "f1": nn.Linear(H, H), "f2": nn.Linear(H, H)}) for _ in range(2)])
    mask = torch.triu(torch.ones(L, L, dtype=torch.bool), 1)
    words = torch.from_numpy(np.minimum(np.random.default_rng(3).zipf(1.3, (B, L + 1)) - 1, V - 1))
    x, y = words[:, :-1], words[:, 1:]
    everything = nn.ModuleList([items, position, last, blocks])
    optimiser = torch.optim.Adam(everything.parameters())

    def step():
        optimiser.zero_grad(set_to_none=True)
        drop = (lambda v: functional.dropout(v, dropout)) if dropout else lambda v: v
        h = drop(items(x) * H ** 0.5 + position.weight[None])
        for b in blocks:
            q = b["norm1"](h)
            h = h + drop(b["attention"](q, q, q, attn_mask=mask, need_weights=False)[0])
            h = h + drop(b["f2"](drop(functional.relu(b["f1"](b["norm2"](h))))))
        loss = functional.cross_entropy((last(h) @ items.weight.t()).flatten(0, 1), y.flatten())
        loss.backward()
        optimiser.step()
        return loss

    weights = {"e.weight": items.weight, "p.weight": position.weight, **named("norm", last), "x": x, "y": y}
    for i, b in enumerate(blocks):
        weights.update({**attention_weights(f"b{i}.attention", b["attention"]), **named(f"b{i}.norm1", b["norm1"]), **named(f"b{i}.norm2", b["norm2"]),
                        **named(f"b{i}.f1", b["f1"]), **named(f"b{i}.f2", b["f2"])})
    return weights, step, 3 * B * L * 2 * (2 * (6 * H * H + 2 * L * H) + H * V)


def gru4rec_case(B, N, V, H):
    """One session-parallel step with items drawn for all rows, as in the published GRU4Rec; tables get sparse gradients."""
    items, out, bias, cell = nn.Embedding(V, H, sparse=True), nn.Embedding(V, H, sparse=True), nn.Embedding(V, 1, sparse=True), nn.GRUCell(H, H)
    x, y, drawn = torch.randint(0, V, (B,)), torch.randint(0, V, (B,)), torch.randint(0, V, (64, N))
    optimiser = torch.optim.Adagrad([*items.parameters(), *out.parameters(), *bias.parameters(), *cell.parameters()], lr=0.05, eps=1e-10)
    state = {"h": torch.zeros(B, H), "step": 0}

    def step():
        optimiser.zero_grad(set_to_none=True)
        columns = torch.cat([y, drawn[state["step"] % 64]])
        h = cell(items(x), state["h"])
        loss = functional.cross_entropy(h @ out(columns).t() + bias(columns).t(), torch.arange(B))
        loss.backward()
        optimiser.step()
        state["h"], state["step"] = h.detach(), state["step"] + 1
        return loss

    weights = {"e.weight": items.weight, "o.weight": out.weight, "b.weight": bias.weight, "i.weight": cell.weight_ih, "i.bias": cell.bias_ih, "h.weight": cell.weight_hh, "h.bias": cell.bias_hh,
               "x": x, "y": y, "negatives": drawn}
    return weights, step, 3 * 2 * (B * 3 * H * 2 * H + B * (B + N) * H)


def gru4rec_tied_case(B, N, V, H):
    """What the operator learns: one table of items, which are the outputs' vectors, too, and a state's own item against those drawn, of which those that are the
    state's own are left out."""
    items, cell = nn.Embedding(V, H, sparse=True), nn.GRUCell(H, H)
    x, y, drawn = torch.randint(0, V, (B,)), torch.randint(0, V, (B,)), torch.randint(0, V, (64, N))
    optimiser = torch.optim.Adagrad([*items.parameters(), *cell.parameters()], lr=0.05, eps=1e-10)
    state = {"step": 0}
    start, own_first = torch.zeros(B, H), torch.zeros(B, dtype=torch.long)

    def step():
        optimiser.zero_grad(set_to_none=True)
        h = cell(items(x), start)
        negatives = drawn[state["step"] % 64]
        scores = torch.cat([(h * items(y)).sum(1, keepdim=True), (h @ items(negatives).t()).masked_fill_(y[:, None] == negatives, -1e30)], 1)
        loss = functional.cross_entropy(scores, own_first)
        loss.backward()
        optimiser.step()
        state["step"] += 1
        return loss

    return None, step, 3 * 2 * (B * 3 * H * 2 * H + B * (B + N) * H)


def encoder_case(B, L, W, F, heads):
    blocks = nn.ModuleList([nn.TransformerEncoderLayer(W, heads, F, dropout=0, batch_first=True) for _ in range(2)])
    x, d = torch.randn(B, L, W), torch.randn(B, L, W)
    optimiser = torch.optim.SGD(blocks.parameters(), lr=0.01)

    def step():
        optimiser.zero_grad(set_to_none=True)
        h = x
        for b in blocks:
            h = b(h)
        loss = (h * d).sum() / (B * L)
        loss.backward()
        optimiser.step()
        return loss

    weights = {"x": x, "d": d}
    for i, b in enumerate(blocks):
        weights.update({**attention_weights(f"b{i}.attention", b.self_attn), **named(f"b{i}.widen", b.linear1), **named(f"b{i}.narrow", b.linear2),
                        **named(f"b{i}.norm1", b.norm1), **named(f"b{i}.norm2", b.norm2)})
    return weights, step, 3 * B * L * 2 * 2 * (4 * W * W + 2 * L * W + 2 * W * F)


def write_data(weights):
    places, at, arrays = {}, 0, tensors_of(weights)
    for key, numbers in arrays.items():
        places[key] = [at, numbers.size]
        at += numbers.size
    path = f"{work}/train.data"
    with open(path, "wb") as file:
        file.write(json.dumps(places).encode() + b"\n")
        for numbers in arrays.values():
            file.write(numbers.tobytes())
    return path


def close(a, b):
    return all(abs(x - y) <= 1e-3 * max(1e-2, abs(y)) for x, y in zip(a, b))


def on_ranks(ranks, *arguments):
    mpirun = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)]
    return json.loads(subprocess.check_output([*mpirun, os.path.join(os.path.dirname(throng), "throng_train_ranks_bench"), *map(str, arguments)]))


PRODUCT = """import sys, time, torch
torch.set_num_threads(1)
m, k, n = map(int, sys.argv[1:])
a, b = torch.randn(m, k), torch.randn(k, n)
seconds = []
while len(seconds) < 15 or sum(seconds) < 1:
    start = time.perf_counter()
    a @ b
    seconds.append(time.perf_counter() - start)
print(sorted(seconds)[len(seconds) // 2])"""


def product_at_once(processes, m, k, n):
    """Seconds of a product by OpenBLAS, in each of so many processes of one thread at once: of the slowest."""
    runs = [subprocess.Popen([sys.executable, "-c", PRODUCT, str(m), str(k), str(n)], stdout=subprocess.PIPE) for _ in range(processes)]
    return max(float(r.communicate()[0]) for r in runs)


def machine_case(name):
    """What OpenBLAS does with large squares on one core, and on two at once: more than two ranks can hope for is not to be had here."""
    alone, both = (min(product_at_once(n, 2000, 2000, 2000) for _ in range(1 if small else 3)) for n in (1, 2))
    entry(name, "openblas", alone, 1, None, f"a product of squares of 2,000, {16 / alone:.0f} GF/s on one core; two processes at once do {2 * alone / both:.2f} times the work")


def ranks_case(name):
    kind, shape = name.split("-")[-2:]
    path = write_data(lm_case(kind, *map(int, shape.split("x")))[0])
    steps, lm, runs, products = 4 if small else 10, f"lm-{kind}-{shape}", {}, {1: [], 2: []}
    B, T, V, _, H = map(int, shape.split("x"))
    for _ in range(1 if small else 3):
        for label, ranks, shards in (("two", 2, 8), ("one", 1, 8), ("two, fast", 2, 2), ("one, fast", 1, 1)):
            runs.setdefault(label, []).append(on_ranks(ranks, lm, path, steps, shards))
        # What this machine's two cores are worth now, at the largest product of a shard's step.
        for processes, seconds in products.items():
            seconds.append(product_at_once(processes, B * T // 8, H, V))
        for mode in ("threads", "ddp"):
            runs.setdefault(mode, []).append(json.loads(subprocess.check_output([sys.executable, "tests/bench/train_peer.py", mode, lm, path, str(steps)])))
    best = {label: min(statistics.median(r["seconds"]) for r in all_runs) for label, all_runs in runs.items()}
    equal = all(close(r["losses"], runs["two"][0]["losses"]) for all_runs in runs.values() for r in all_runs)
    profile = min(runs["two"], key=lambda r: statistics.median(r["seconds"]))["profile"]
    alone = min(runs["one"], key=lambda r: statistics.median(r["seconds"]))["profile"]
    n = profile["steps"]
    # Half of one rank's time in sums is adding up its own shards, which two ranks do, too: it is no communication.
    exposed = max(0.0, profile["sums"] - alone["sums"] / 2) + profile["share"]
    cores = 2 * min(products[1]) / min(products[2])
    conditions = (f"2 ranks, 8 shards; 1 rank {best['one']:.3f} s, {best['one'] / best['two']:.2f} times as long, {best['one'] / best['two'] / cores:.2f} of the {cores:.2f} times that OpenBLAS gets done on two cores at once; exact sums cost {100 * (best['one'] / best['one, fast'] - 1):.0f} % on one rank and "
                  f"{100 * (best['two'] / best['two, fast'] - 1):.0f} % on two; communication not hidden {1e3 * exposed / n:.1f} ms a step, {100 * exposed / n / best['two']:.1f} %")
    entry(name, "throng", best["two"], 1, equal, conditions)
    entry(name, "pytorch", best["threads"], best["threads"] / best["two"], equal, "one process, 2 threads")
    entry(name, "pytorch ddp", best["ddp"], best["ddp"] / best["two"], equal, "2 processes, gloo")


def allreduce_case(name):
    run = on_ranks(2, name, "-", 10, 2)
    ours, theirs = statistics.median(run["seconds"]), statistics.median(run["mpi"])
    entry(name, "throng", ours, 1, run["equal"], "2 ranks on one host")
    entry(name, "mpi", theirs, theirs / ours, run["equal"], "MPI_Allreduce in place")


def sequence_case(B, T, V, E, H):
    """What train_sequence's GRU is without times and recent values: a category of the events before, and a softmax over its values."""
    embedding, layer, out = nn.Embedding(V + 1, E), nn.GRU(E, H, batch_first=True), nn.Linear(H, V)
    words = torch.from_numpy(np.minimum(np.random.default_rng(3).zipf(1.3, (B, T)) - 1, V - 1))
    optimiser = torch.optim.AdamW([*embedding.parameters(), *layer.parameters(), *out.parameters()])

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(out(layer(embedding(words))[0][:, :-1]).flatten(0, 1), words[:, 1:].flatten())
        loss.backward()
        optimiser.step()
        return loss

    return None, step, 3 * 2 * B * T * (3 * H * (E + H) + H * V)


def write_events(users, events, of_user):
    with open(f"{work}/taken.csv", "w", encoding="utf-8") as file:
        file.write("user,ts,item\n")
        file.writelines(f"u{i % users},{1700000000 + i // users},i{item}\n" for i, item in enumerate(of_user[: users * events]))


def words_of(count, values):
    """As frequent as Zipf's law has them, and each there at least once."""
    random = np.random.default_rng(1)
    words = np.minimum(random.zipf(1.3, count) - 1, values - 1)
    words[: min(values, count)] = random.permutation(values)[:count]
    return words


def operator_job(what, kind, numbers):
    """Writes the data of a job; returns its step that learns, PyTorch's step of as many rows, and how many of these an epoch is, from the step's result: shards that have fewer rows than
    others make steps with less in them."""
    B, few = numbers[0], small
    if what == "sasrec":
        _, length, items, width = numbers
        users = B * (2 if few else 30)
        write_events(users, length + 1, words_of(users * (length + 1), items))
        return f"op: sasrec, max_length: {length}, dropout: 0.2, hidden: {width}, k: 1, validation: false", sasrec_case(*numbers, dropout=0.2), lambda result: users / B
    if what == "gru4rec":
        _, drawn, items, width = numbers
        users = B * (5 if few else 400)
        write_events(users, 2, words_of(users * 2, items))
        return f"op: gru4rec, loss: sampled, negatives: {drawn}, dropout: 0, sparse: true, optimizer: adagrad, lr: 0.05, hidden: {width}, k: 1, validation: false", gru4rec_tied_case(*numbers), lambda result: users / B
    if what == "sequence":
        _, length, items, embedding, hidden = numbers
        users = B * (4 if few else 20)
        write_events(users, length, words_of(users * length, items))
        return f"op: train_sequence, target: item, inputs: [item], model: gru, gaps: false, recent: 0, clip: 0, max_classes: {items}, max_length: {length}, embedding: {embedding}, hidden: {hidden}", sequence_case(*numbers), lambda result: result["training_pieces"] / B
    _, length, tokens, embedding, hidden = numbers
    words = words_of(B * length * (4 if few else 20), tokens - 2)
    with open(f"{work}/taken.csv", "w", encoding="utf-8") as file:
        # Rows of one user; the newest are held out, so that not all are written with their likelihoods.
        file.write("user,ts,text,holdout\n")
        rows = words.size // 49
        file.writelines(f"u,{1700000000 + r},{' '.join(f'w{w}' for w in words[r * 49 : r * 49 + 49])},{str(r + 1 == rows).lower()}\n" for r in range(rows))
    return f"op: language_model, model: {kind}, clip: 0, max_words: {tokens}, length: {length}, embedding: {embedding}, hidden: {hidden}", lm_case(kind, *numbers), lambda result: (result["training_tokens"] // B - 1) / length


def operator_case(name):
    """Steps of the operator itself, as a job runs it: reading, minibatches and dropout, eight shards that are summed exactly, rows of tables; beside PyTorch's step of as many rows. PyTorch writes no
    checkpoints here, and the job none within an epoch."""
    _, what, *kind, shape = name.split("-")
    numbers = list(map(int, shape.split("x")))
    model, (_, step, flops), steps_of_epoch = operator_job(what, kind[0] if kind else "", numbers)
    with open(f"{work}/operator.yaml", "w", encoding="utf-8") as file:
        rows = "taken: { op: read_events, path: taken.csv, partitions: 16 }"
        if what == "lm":
            rows = "read: { op: read_events, path: taken.csv, partitions: 16, types: { holdout: bool } }\n  taken: { op: tokenize, from: read, split: whitespace }"
        file.write(f"job: operator\nsteps:\n  {rows}\n  model: {{ from: taken, {model}, batch: {numbers[0]}, epochs: 2, bootstrap: 0, checkpoint_every: 0 }}\n")
    ours, theirs = {8: [], 1: []}, []
    for _ in range(1 if small else 3):
        for shards, seconds in ours.items():
            out = f"{work}/operator"
            shutil.rmtree(out, ignore_errors=True)
            program = os.path.join(os.path.dirname(os.path.dirname(throng)), "bin", "throng")
            subprocess.check_output([program, "run", f"{work}/operator.yaml", "--threads", "1", "--no-estimate", "--set", f"model.shards={shards}", "--out", out])
            with open(f"{out}/steps/model/step.json", encoding="utf-8") as file:
                metrics = {key: json.loads(value) if isinstance(value, str) else value for key, value in json.load(file)["metrics"].items() if key in ("profile", "result")}
            seconds.append(sum(metrics["profile"][part] for part in ("rows", "gradients", "sums", "update", "share")) / (2 * steps_of_epoch(metrics["result"])))
        of_step = []
        for _ in range(3 + max(3, min(60, int(2e10 / flops)))):
            start = time.perf_counter()
            step()
            of_step.append(time.perf_counter() - start)
        theirs.append(statistics.median(of_step[3:]))
    best = {shards: min(seconds) for shards, seconds in ours.items()}
    entry(name, "throng", best[8], 1, None, f"what a whole minibatch takes the operator in a job, the mean of its two epochs, 1 thread, 8 shards; with one shard {1e3 * best[1]:.1f} ms, PyTorch's {min(theirs) / best[1]:.2f} times")
    entry(name, "pytorch", min(theirs), min(theirs) / best[8], None, "a step of as many rows, 1 thread")


def dnnl_run(name, path, count):
    program = os.path.join(os.path.dirname(throng), "throng_train_dnnl_bench")
    if not os.path.exists(program):
        return None
    runs = [json.loads(subprocess.check_output([program, name, path, str(count)])) for _ in range(1 if small else 3)]
    return min(statistics.median(r["seconds"]) for r in runs), runs[0]["losses"]


CASES = [f"layer-{kind}-{shape}" for shape in ("64x50x128x256", "32x100x64x128", "128x50x50x50") for kind in KINDS]
CASES += [f"lm-{kind}-64x50x10000x128x256" for kind in KINDS] + ["gru4rec-128x2048x54000x100", "sasrec-128x200x3416x64", "encoder-32x100x128x512x4"]
CASES += ["operator-gru4rec-128x2048x54000x100", "operator-sasrec-128x200x3416x64", "operator-lm-lstm-64x50x10000x128x256", "operator-sequence-64x50x2000x32x64"]
CASES += ["ranks-lm-lstm-64x50x10000x128x256", "allreduce-25", "allreduce-100", "machine-squares"]
if small:
    CASES = ["layer-lstm-32x100x64x128", "layer-gru-128x50x50x50", "lm-gru-16x20x2000x64x64", "gru4rec-32x256x2000x50", "sasrec-16x50x500x64", "encoder-8x50x64x128x4", "operator-gru4rec-32x256x2000x50", "operator-sasrec-16x50x500x64", "operator-lm-gru-16x20x2000x64x64", "operator-sequence-16x20x500x32x32", "ranks-lm-gru-16x20x2000x64x64", "allreduce-1", "machine-squares"]

for name in CASES:
    if case not in ("all", name):
        continue
    torch.manual_seed(1)
    of_machine = {"ranks": ranks_case, "allreduce": allreduce_case, "machine": machine_case, "operator": operator_case}.get(name.split("-")[0])
    if of_machine:
        of_machine(name)
        continue
    what, *kind, shape = name.split("-")
    make = {"layer": layer_case, "lm": lm_case, "gru4rec": gru4rec_case, "sasrec": sasrec_case, "encoder": encoder_case}[what]
    weights, step, flops = make(*kind, *map(int, shape.split("x")))
    path = write_data(weights)
    losses = [float(step().detach()) for _ in range(5)]
    count = max(3, min(60, int(2e10 / flops)))
    ours, theirs, run = [], [], None
    for _ in range(1 if small else 3):
        run = json.loads(subprocess.check_output([throng, name, path, str(count)]))
        ours.append(statistics.median(run["seconds"]))
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        theirs.append(statistics.median(seconds))
    onednn = dnnl_run(name, path, count) if what == "layer" else None
    equal = close(run["losses"], losses)
    conditions = f"one step, 1 thread; {flops / min(ours) / 1e9:.0f} GF/s against {flops / min(theirs) / 1e9:.0f}; the tape held {run['bytes'] / 2**20:.0f} MiB"
    beside = "one step, 1 thread"
    if what == "lm":
        peer = json.loads(subprocess.check_output([sys.executable, "tests/bench/train_peer.py", "one", name, path, "3"]))
        equal = equal and close(peer["losses"], losses)
        memory = [r / 2**20 for r in (run["memory"], peer["memory"])]
        conditions += f"; {memory[0]:.0f} MiB at the peak beyond those before the model was made, {memory[0] / memory[1]:.2f} of PyTorch's"
        beside += f"; {memory[1]:.0f} MiB at the peak, in a process of its own; its cross-entropy is a function of all scores"
    entry(name, "throng", min(ours), 1, equal, conditions)
    entry(name, "pytorch", min(theirs), min(theirs) / min(ours), equal, beside)
    if onednn:
        entry(name, "onednn", onednn[0], onednn[0] / min(ours), close(onednn[1], run["losses"]), "its primitives alone, one step, 1 thread")
    if not equal:
        print(f"  losses: {run['losses']} and {losses}", file=sys.stderr)
write_results()
