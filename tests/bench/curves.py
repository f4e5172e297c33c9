"""A language model's loss, epoch by epoch, beside PyTorch's: same text, streams, first weights and protocol. usage: curves.py THRONG WORK SMALL OUT CASE [TEXT]

The set-up is that of Zaremba et al. (2014), small: LSTM of two layers of 200, embeddings of 200, 20 streams, 20 tokens a step, all weights uniform within
0.1, SGD with rate 1, halved after each epoch from the fourth on, gradients clipped to a norm of 5. TEXT is any text file; without it, and for --small, text is made. Both use two
threads. Equal: the loss of each epoch, and at the end that of the held-out tenth, differ by less than 1 %: float32 sums differ in their last bits, and SGD with so high a rate
lets that grow, most in what an epoch of rate 1 happens to end with."""
import json
import math
import os
import struct
import subprocess
import sys
import time

from harness import case, entry, export, run, small, work, write_results

import numpy as np
import torch

torch.set_num_threads(2)
torch.set_flush_denormal(True)
nn, functional = torch.nn, torch.nn.functional

HIDDEN, LAYERS, STREAMS, LENGTH, SHARDS = 200, 2, 20, 20, 4
EPOCHS, DECAY_AFTER = (3, 1) if small else (6, 4)
text = sys.argv[6] if len(sys.argv) > 6 and not small else ""


def made_up():
    """Words as frequent as Zipf's law has them, each followed by one of a few."""
    rng = np.random.default_rng(7)
    words, word = [], 0
    for i in range(40000):
        word = (word * 7 + int(rng.zipf(1.5))) % 997
        words.append(f"w{word}" + ("\n" if i % 11 == 10 else " "))
    path = f"{work}/curves.txt"
    with open(path, "w") as f:
        f.write("".join(words))
    return path


def save_safetensors(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    raw = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for values in tensors.values():
            f.write(np.ascontiguousarray(values, dtype="<f4").tobytes())


class Network(nn.Module):
    def __init__(self, words, arrays):
        super().__init__()
        self.embedding, self.lstm, self.out = nn.Embedding(words, HIDDEN), nn.LSTM(HIDDEN, HIDDEN, LAYERS), nn.Linear(HIDDEN, words)
        with torch.no_grad():
            for p in self.parameters():
                p.uniform_(-0.1, 0.1)
        arrays["tokens.weight"], arrays["out.weight"], arrays["out.bias"] = self.embedding.weight, self.out.weight, self.out.bias[None]
        for k in range(LAYERS):
            arrays[f"recurrent.l{k}"] = torch.cat([getattr(self.lstm, f"{name}_l{k}").reshape(-1) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")])[None]

    def forward(self, x, state):
        h, state = self.lstm(self.embedding(x), state)
        return self.out(h), state


def read_rows():
    """Token numbers of the training and the held-out rows, numbered as Throng does: 0 the end of a row, 1 unknown, then words by their frequency, ties by their bytes."""
    rows, _ = export("curves_text", "parts/data")
    counts = {}
    for row in rows:
        if not row["holdout"]:
            for word in row["tokens"]:
                counts[word] = counts.get(word, 0) + 1
    words = sorted(counts, key=lambda w: (-counts[w], w.encode()))[:10000]
    number = {w: k + 2 for k, w in enumerate(words)}
    texts = [], []
    for row in rows:
        texts[row["holdout"]].extend([number.get(w, 1) for w in row["tokens"]] + [0])
    return len(words) + 2, torch.tensor(texts[0]), torch.tensor(texts[1])


def judge(network, tokens):
    loss = 0.0
    with torch.no_grad():
        for k in range(SHARDS):
            piece, state = tokens[len(tokens) * k // SHARDS : len(tokens) * (k + 1) // SHARDS + 1], None
            for at in range(0, len(piece) - 1, LENGTH):
                y = piece[at + 1 : at + LENGTH + 1]
                scores, state = network(piece[at : at + len(y)][:, None], state)
                loss += float(functional.cross_entropy(scores[:, 0], y, reduction="sum"))
    return loss / (len(tokens) - 1)


def train(network, tokens, held_out):
    streams = tokens[: len(tokens) // STREAMS * STREAMS].view(STREAMS, -1).t()
    curve, seconds = [], 0.0
    for epoch in range(EPOCHS):
        rate, state, total, predicted, start = 0.5 ** max(0, epoch + 1 - DECAY_AFTER), None, 0.0, 0, time.perf_counter()
        for at in range(0, len(streams) - 1, LENGTH):
            y = streams[at + 1 : at + LENGTH + 1]
            if state is not None:
                state = tuple(s.detach() for s in state)
            scores, state = network(streams[at : at + len(y)], state)
            loss = functional.cross_entropy(scores.flatten(0, 1), y.flatten())
            network.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5)
            with torch.no_grad():
                for p in network.parameters():
                    p -= rate * p.grad
            total, predicted = total + loss.item() * y.numel(), predicted + y.numel()
        seconds += time.perf_counter() - start
        curve.append({"loss": total / predicted, "holdout_loss": judge(network, held_out)})
        print(f"  PyTorch, epoch {epoch + 1}: {curve[-1]['loss']:.4f}, held out {curve[-1]['holdout_loss']:.4f}", file=sys.stderr)
    return curve, seconds


name = "curves-lstm-" + (os.path.basename(os.path.dirname(text)) if text else "made_up")
if case in ("all", name):
    torch.manual_seed(1)
    prepare = ["lines: { op: read_events, path: " + json.dumps(os.path.abspath(text or made_up())) + ', format: tsv, columns: [line], types: { line: string }, timeless: true, partitions: 8 }',
               "words: { op: tokenize, from: lines, column: line, stop_words: none, max_tokens: 1000000 }", "placed: { op: over, from: words, columns: { place: row_number() } }",
               'timed: { op: derive, from: placed, columns: { ts: "timestamp(place)" } }', "parts: { op: split, from: timed, by: time, fraction: 0.1 }"]
    run("curves_text", prepare)
    words, tokens, held_out = read_rows()
    arrays = {}
    network = Network(words, arrays)
    start = os.path.abspath(f"{work}/curves.safetensors")
    save_safetensors(start, {k: v.detach().numpy() for k, v in arrays.items()})
    seconds, steps = run("curves", prepare + [f"model: {{ op: language_model, from: parts, embedding: {HIDDEN}, hidden: {HIDDEN}, layers: {LAYERS}, batch: {STREAMS}, shards: {SHARDS}, length: {LENGTH}, optimizer: sgd, lr: 1, "
                                   f"schedule: step, decay_after: {DECAY_AFTER}, clip: 5, epochs: {EPOCHS}, max_words: 10000, start: {json.dumps(start)} }}"])
    ours, profile = steps["model"]["metrics"]["curve"], steps["model"]["metrics"]["profile"]
    curve, theirs = train(network, tokens, held_out)
    apart = max([abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(ours, curve)] + [abs(ours[-1]["holdout_loss"] - curve[-1]["holdout_loss"]) / curve[-1]["holdout_loss"]])
    equal = len(ours) == EPOCHS and apart < 0.01
    between = max(abs(a["holdout_loss"] - b["holdout_loss"]) / b["holdout_loss"] for a, b in zip(ours, curve))  # a high rate throws them about
    mine = sum(v for k, v in profile.items() if k not in ("steps", "tape_bytes"))
    conditions = f"{EPOCHS} epochs of {len(tokens)} tokens, {words} words, 2 threads, steps alone; perplexity {math.exp(ours[-1]['holdout_loss']):.2f} against {math.exp(curve[-1]['holdout_loss']):.2f}, losses at most {100 * apart:.2f} % apart, held-out ones in between {100 * between:.2f} %"
    entry(name, "throng", mine, 1, equal, conditions)
    entry(name, "pytorch", theirs, theirs / mine, equal, conditions)
    if not equal:
        print(ours, curve, file=sys.stderr)
write_results()
