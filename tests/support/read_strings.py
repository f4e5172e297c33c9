"""Reads a column of strings from a dataset.h5 or a part file with h5py, whether its pieces are plain or codes of a dictionary."""


def strings(column):
    ends, text = column["lengths"][:].cumsum(), column["bytes"][:].tobytes()
    words = [text[e - n:e].decode() for e, n in zip(ends, column["lengths"][:])]
    if "codes" not in column:
        return words
    rows, word, code = [], 0, 0
    for num_rows, num_words in zip(column["piece_rows"][:], column["piece_strings"][:]):
        piece = words[word:word + num_words]
        word += num_words
        if num_words < num_rows:  # a dictionary: a byte a row, or two
            width = 2 if num_words > 256 else 1
            piece = [piece[k] for k in column["codes"][code:code + width * num_rows].view("<u%d" % width)]
            code += width * num_rows
        rows += piece
    return rows
