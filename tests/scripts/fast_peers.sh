#!/bin/bash
# word2vec against gensim and topics against scikit-learn: on posts with planted subjects each finds them as well as its peer.
. "$SOURCE/tests/support/with_python.sh" gensim sklearn
"$THRONG" generate behaviour --users 300 --events 12000 --seed 21 --out events.jsonl > /dev/null
cat > job.yaml <<'YAML'
job: peers
steps:
  events: { op: read_events, path: events.jsonl }
  posts: { op: filter, from: events, where: "text is not null" }
  tokens: { op: tokenize, from: posts }
  exact: { op: word2vec, from: tokens, dim: 32, epochs: 8 }
  fast: { op: word2vec, from: tokens, dim: 32, epochs: 8, mode: fast }
  topics: { op: topics, from: tokens, k: 8, iterations: 60 }
YAML
"$THRONG" run job.yaml -t 2 --out run --no-estimate > /dev/null
for step in exact tokens fast; do "$THRONG" export run/steps/$step/data --to $step.jsonl > /dev/null; done
# Both samplers may end in a poor optimum: three seeds of each.
for seed in 1 2 3; do
  "$THRONG" run job.yaml --seed $seed -t 2 --out run$seed --no-estimate > /dev/null
  "$THRONG" export run$seed/steps/topics/data --to topics$seed.jsonl > /dev/null
done
OPENBLAS_NUM_THREADS=1 $python - <<'PY'
import json
import random
import numpy as np
from gensim.models import Word2Vec
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import normalized_mutual_info_score

def rows(name): return [json.loads(line) for line in open(name + ".jsonl")]
subjects = json.load(open("events.jsonl.truth.json"))["topics"]
subject_of = {w: i for i, t in enumerate(subjects) for w in t["words"]}
docs = [r["tokens"] for r in rows("tokens")]

# Words: how often a word of the same subject is nearer than one of another.
def separation(get, words):
    rng, right, n = random.Random(3), 0, 4000
    unit = {w: np.array(get(w)) / np.linalg.norm(get(w)) for w in words}
    by = {}
    for w in words: by.setdefault(subject_of[w], []).append(w)
    names = sorted(t for t in by if len(by[t]) > 1)
    for _ in range(n):
        t, u = rng.sample(names, 2)
        a, b = rng.sample(by[t], 2)
        c = rng.choice(by[u])
        right += unit[a] @ unit[b] > unit[a] @ unit[c]
    return right / n
ours = {step: {r["word"]: r["vector"] for r in rows(step)} for step in ("exact", "fast")}
model = Word2Vec(docs, sg=1, vector_size=32, window=5, negative=5, min_count=5, sample=1e-3, epochs=8, workers=1, seed=1)
words = sorted(w for w in subject_of if w in model.wv and w in ours["exact"])
assert len(words) > 80, len(words)
peer = separation(lambda w: model.wv[w], words)
for step, vectors in ours.items():
    own = separation(lambda w: vectors[w], words)
    print(f"word2vec {step}: {own:.3f}, gensim {peer:.3f}")
    assert own > peer - 0.03 and own > 0.9

# Topics: agreement of each post's first topic with its planted subject.
truth = [max(range(len(subjects)), key=lambda i: sum(subject_of.get(w) == i for w in d)) for d in docs]
kept = [i for i, d in enumerate(docs) if any(w in subject_of for w in d)]
counts = CountVectorizer(analyzer=lambda d: d, min_df=5).fit_transform([docs[i] for i in kept])
k, own, peer = 8, [], []
for seed in (1, 2, 3):
    found = [r["topic"] for r in rows(f"topics{seed}")]
    own.append(normalized_mutual_info_score([truth[i] for i in kept], [found[i] if found[i] is not None else -1 for i in kept]))
    lda = LatentDirichletAllocation(k, max_iter=15, random_state=seed).fit_transform(counts)
    peer.append(normalized_mutual_info_score([truth[i] for i in kept], lda.argmax(1)))
own, peer = sum(own) / 3, sum(peer) / 3
print(f"topics: NMI {own:.3f}, scikit-learn {peer:.3f}, {len(subjects)} subjects, {len(kept)} posts")
assert own > peer - 0.05 and own > 0.7
PY
