"""A language model's steps by PyTorch. usage: train_peer.py one|threads|ddp CASE DATA STEPS [RANK PORT]

one, threads: one process with one thread, or two. ddp: two processes of one thread each, which have half of the batch, DistributedDataParallel over gloo. DATA is what train.py writes. Prints
{"losses", "seconds", "memory"} as the benchmark's programs do; memory, of one: bytes resident at the peak, less those before the model was made."""
import json
import os
import subprocess
import sys
import time

mode, name, data, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if mode == "ddp" and len(sys.argv) == 5:
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    runs = [subprocess.Popen([sys.executable, *sys.argv, str(rank), port], stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL) for rank in range(2)]
    sys.stdout.buffer.write(runs[0].communicate()[0])
    sys.exit(max(r.wait() for r in runs))
threads = 2 if mode == "threads" else 1
os.environ["OMP_NUM_THREADS"] = str(threads)
import numpy as np
import torch

torch.set_num_threads(threads)
torch.set_flush_denormal(True)
nn, functional = torch.nn, torch.nn.functional
rank, ranks = (int(sys.argv[5]), 2) if mode == "ddp" else (0, 1)
kind, shape = name.split("-")[-2:]
B, T, V, E, H = map(int, shape.split("x"))
with open(data, "rb") as file:
    places = json.loads(file.readline())
    numbers = np.frombuffer(file.read(), dtype="<f4")
arrays = {k: torch.from_numpy(numbers[at : at + n].copy()) for k, (at, n) in places.items()}


def resident(line):
    with open("/proc/self/status") as status:
        return next(int(l.split()[1]) * 1024 for l in status if l.startswith(line))


def baseline():
    """What a step of any model brings into memory is not the model's."""
    small = nn.ModuleList([nn.Embedding(5, 4), {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](4, 4), nn.Linear(4, 5)])
    optimiser = torch.optim.Adam(small.parameters())
    functional.cross_entropy(small[2](small[1](small[0](torch.zeros(2, 2, dtype=torch.long)))[0]).flatten(0, 1), torch.zeros(4, dtype=torch.long)).backward()
    optimiser.step()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak begins anew
    return resident("VmRSS")


before = baseline() if mode == "one" else None


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.layer, self.out = nn.Embedding(V, E), {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](E, H), nn.Linear(H, V)
        with torch.no_grad():
            at = 0
            for p in self.layer.parameters():
                p.copy_(arrays["r"][at : at + p.numel()].view_as(p))
                at += p.numel()
            self.embedding.weight.copy_(arrays["e.weight"].view(V, E))
            self.out.weight.copy_(arrays["o.weight"].view(V, H)), self.out.bias.copy_(arrays["o.bias"])

    def forward(self, x):
        return self.out(self.layer(self.embedding(x))[0])


network = Network()
if mode == "ddp":
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=sys.argv[6])
    torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    network = nn.parallel.DistributedDataParallel(network)
x, y = (arrays[k].long().view(T, B)[:, B * rank // ranks : B * (rank + 1) // ranks] for k in ("x", "y"))
optimiser = torch.optim.Adam(network.parameters())
losses, seconds = [], []
for step in range(5 + steps):
    start = time.perf_counter()
    optimiser.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(network(x).flatten(0, 1), y.flatten())
    loss.backward()
    optimiser.step()
    seconds.append(time.perf_counter() - start)
    if step < 5:
        loss = loss.detach()
        if ranks > 1:
            torch.distributed.all_reduce(loss)
        losses.append(float(loss) / ranks)
if rank == 0:
    print(json.dumps({"losses": losses, "seconds": seconds[5:], "memory": resident("VmHWM") - before if before else None}))
