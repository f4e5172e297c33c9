"""Makes the text of the word count: words by Zipf's law, frequent ones short, 12 a line. The same for the same size. usage: make_text.py FILE BYTES"""
import sys

import numpy as np

path, size = sys.argv[1], int(sys.argv[2])
rng = np.random.default_rng(7)
ranks = np.arange(300_000)
share = 1 / (ranks + 2.7)
lengths = 1 + np.rint(np.log(ranks + 2) / np.log(6)).astype(int)
letters = rng.integers(ord("a"), ord("z") + 1, (len(ranks), lengths.max()), dtype=np.uint8)
vocabulary = [bytes(row[:n]).decode() for row, n in zip(letters, lengths)]
for i in range(0, len(vocabulary), 7):
    vocabulary[i] = vocabulary[i].capitalize()
for i in range(3, len(vocabulary), 11):
    vocabulary[i] += ",.;!?'\""[i % 7]
with open(path, "w") as f:
    written = 0
    while written < size:
        words = [vocabulary[i] for i in rng.choice(len(ranks), 1_200_000, p=share / share.sum())]
        text = "".join(" ".join(words[i:i + 12]) + "\n" for i in range(0, len(words), 12))
        text = text[:text.rfind("\n", 0, size - written) + 1] if len(text) > size - written else text
        if not text:
            break
        written += f.write(text)
