"""First figures: word2vec and LDA against gensim, the LSTM against PyTorch, the group-by against DuckDB. See run.sh."""
import json
import math
import os
import random
import subprocess
import time

from harness import export, record, run, run_cases, small, throng, work

epochs = 1 if small else 5


def text_job(step):
    """Runs a job with `step` over the tokens; returns its seconds by step and the token lists."""
    seconds, _ = run("text", [
        "events: { op: read_events, path: uploads.jsonl }",
        "tokens: { op: tokenize, from: events, numbers: drop, min_length: 3 }",
        step])
    docs = [r["tokens"] for r in export("text", "tokens/data")[0]]
    return seconds, docs


def word2vec():
    """Skip-gram with the same sizes; quality by how often near words are nearer than far ones."""
    from gensim.models import Word2Vec
    seconds, docs = text_job(f"vectors: {{ op: word2vec, from: tokens, dim: 100, epochs: {epochs} }}")
    start = time.perf_counter()
    model = Word2Vec(docs, sg=1, vector_size=100, window=5, negative=5, min_count=5, sample=1e-3, workers=2, epochs=epochs, seed=1)
    theirs = time.perf_counter() - start
    vectors = {r["word"]: r["vector"] for r in export("text", "vectors/data")[0]}

    def separation(get):
        """How often a pair of words from one window is nearer than a pair of words drawn apart (AUC, 20,000 draws)."""
        rng = random.Random(1)
        words = [w for d in docs for w in d if w in vectors and w in model.wv]
        near = far = 0

        def cosine(a, b):
            x, y = get(a), get(b)
            return sum(p * q for p, q in zip(x, y)) / (math.sqrt(sum(p * p for p in x) * sum(q * q for q in y)) or 1)
        for _ in range(3000 if small else 20000):
            i = rng.randrange(len(words) - 6)
            a, b, c = words[i], words[i + rng.randint(1, 5)], words[rng.randrange(len(words))]
            if a == b or a == c:
                continue
            near += cosine(a, b) > cosine(a, c)
            far += 1
        return near / far


    ours_quality, theirs_quality = separation(lambda w: vectors[w]), separation(lambda w: model.wv[w])
    record("word2vec", "gensim", seconds["vectors"], theirs, ours_quality > theirs_quality - 0.02,
           f"{len(docs)} rows, dim 100, {epochs} epochs, 2 threads; neighbour AUC {ours_quality:.3f} / {theirs_quality:.3f}")


def lda():
    """LDA with the same number of topics; quality by NPMI of the ten first words."""
    from gensim.corpora import Dictionary
    from gensim.models import LdaMulticore
    seconds, docs = text_job(f"topics: {{ op: topics, from: tokens, k: 12, iterations: {30 if small else 150}, max_share: 0.5 }}")
    dictionary = Dictionary(docs)
    dictionary.filter_extremes(no_below=5, no_above=0.5, keep_n=None)
    corpus = [dictionary.doc2bow(d) for d in docs]
    start = time.perf_counter()
    lda = LdaMulticore(corpus, id2word=dictionary, num_topics=12, passes=2 if small else 10, workers=2, random_state=1)
    theirs = time.perf_counter() - start
    tops = {}
    for r in export("text", "topics/words")[0]:
        tops.setdefault(r["topic"], []).append(r["word"])

    def npmi(topics):
        """Mean normalised pointwise mutual information of each topic's ten words, by rows."""
        sets = [set(d) for d in docs]
        words = {w for t in topics for w in t}
        rows = {w: {i for i, s in enumerate(sets) if w in s} for w in words}
        scores = []
        for t in topics:
            for i in range(len(t)):
                for j in range(i):
                    both = len(rows[t[i]] & rows[t[j]]) / len(sets)
                    if both == 0:
                        scores.append(-1.0)
                        continue
                    p = math.log(both / (len(rows[t[i]]) / len(sets) * len(rows[t[j]]) / len(sets)))
                    scores.append(p / -math.log(both) if both < 1 else 1.0)
        return sum(scores) / len(scores)


    ours_quality = npmi(list(tops.values()))
    theirs_quality = npmi([[w for w, _ in lda.show_topic(t, 10)] for t in range(12)])
    record("lda", "gensim", seconds["topics"], theirs, ours_quality > theirs_quality - 0.02,
           f"{len(docs)} rows, 12 topics, {30 if small else 150} sweeps / {2 if small else 10} passes, 2 threads; NPMI {ours_quality:.3f} / {theirs_quality:.3f}")


def lstm():
    """The same rows, sizes, optimiser and number of epochs; no extras on our side."""
    seconds, steps = run("lstm", [
        "events: { op: read_events, path: events.jsonl }",
        "parts: { op: split, from: events, fraction: 0.2 }",
        f"next: {{ op: train_sequence, from: parts, target: action, inputs: [action], gaps: false, recent: 0, model: lstm, embedding: 32, hidden: 64, epochs: {epochs}, batch: 64, lr: 0.003 }}"])
    curve = steps["next"]["metrics"]["curve"]
    rows = export("lstm", "parts/data")[0]
    import torch
    users, names = {}, {}
    for r in rows:
        users.setdefault(r["user"], []).append((names.setdefault(r["action"], len(names)), r["holdout"]))

    def train(threads):
        torch.manual_seed(1)
        torch.set_num_threads(threads)
        embed, lstm, head = torch.nn.Embedding(len(names), 32), torch.nn.LSTM(32, 64, batch_first=True), torch.nn.Linear(64, len(names))
        optimiser = torch.optim.Adam([*embed.parameters(), *lstm.parameters(), *head.parameters()], lr=0.003)
        pieces = []
        for events in users.values():
            for i in range(0, len(events), 50):
                piece = events[i:i + 51]
                if len(piece) > 1 and not piece[1][1]:
                    pieces.append(piece)
        start = time.perf_counter()
        rng = random.Random(1)
        for _ in range(epochs):
            rng.shuffle(pieces)
            for b in range(0, len(pieces), 64):
                chosen = sorted(pieces[b:b + 64], key=len, reverse=True)
                lengths = [len(p) - 1 for p in chosen]
                x = torch.zeros(len(chosen), lengths[0], dtype=torch.long)
                y = torch.full((len(chosen), lengths[0]), -100)
                for i, p in enumerate(chosen):
                    x[i, :len(p) - 1] = torch.tensor([a for a, _ in p[:-1]])
                    y[i, :len(p) - 1] = torch.tensor([-100 if held else a for a, held in p[1:]])
                packed = torch.nn.utils.rnn.pack_padded_sequence(embed(x), lengths, batch_first=True)
                h, _ = torch.nn.utils.rnn.pad_packed_sequence(lstm(packed)[0], batch_first=True)
                loss = torch.nn.functional.cross_entropy(head(h).flatten(0, 1), y.flatten(), ignore_index=-100)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_([*embed.parameters(), *lstm.parameters(), *head.parameters()], 5)
                optimiser.step()
        took = time.perf_counter() - start
        total = count = 0
        with torch.no_grad():
            for events in users.values():
                if len(events) < 2:
                    continue
                h, _ = lstm(embed(torch.tensor([[a for a, _ in events[:-1]]])))
                losses = torch.nn.functional.cross_entropy(head(h)[0], torch.tensor([a for a, _ in events[1:]]), reduction="none")
                held = torch.tensor([x for _, x in events[1:]])
                total += float(losses[held].sum())
                count += int(held.sum())
        return took, total / max(1, count)


    best = min((train(n) for n in (1, 2)), key=lambda r: r[0])
    record("lstm", "pytorch", seconds["next"], best[0], curve[-1]["holdout_loss"] < 1.02 * best[1],
           f"{len(rows)} events, {epochs} epochs, hidden 64, batch 64; Throng's whole step with judging, PyTorch's training loop; held-out loss {curve[-1]['holdout_loss']:.4f} / {best[1]:.4f}")


def group_by():
    """Rows and distinct users by token and week."""
    seconds, steps = run("group", [
        "events: { op: read_events, path: events.jsonl }",
        "posts: { op: filter, from: events, where: \"text is not null\" }",
        "tokens: { op: tokenize, from: posts, stop_words: none }",
        "trends: { op: trends, from: tokens, window: 7d }",
        "keep: { op: filter, from: tokens, where: \"true\" }"])
    rows, path = export("group", "trends/data")
    tokens, path = export("group", "tokens/data")
    check = [len(rows), sum(r["count"] for r in rows), sum(r["users"] for r in rows), sum(r["count"] ** 2 for r in rows)]
    duck = json.loads(subprocess.check_output(["node", os.path.join(os.path.dirname(__file__), "group_by.mjs"), os.path.abspath(work), path]))
    record("group_by", "duckdb", seconds["trends.by_key"] + seconds["trends"], duck["seconds"], duck["check"] == check,
           f"{len(tokens)} posts: rows and distinct users by token and week, then (Throng only) z-scores; 2 threads, own formats")


run_cases({"word2vec": word2vec, "lda": lda, "lstm": lstm, "group_by": group_by})
