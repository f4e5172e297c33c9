"""Exits with 1 unless the HDF5 files named hold the same arrays, types and column attributes, each in its own storage."""
import sys

import h5py


def content(path):
    found = {}
    with h5py.File(path) as f:
        f.visititems(lambda name, x: found.update({name: (x.dtype, x[:].tobytes())}) if isinstance(x, h5py.Dataset) else None)
        attributes = {k: v.attrs["type"] for k, v in f.items() if "type" in v.attrs}
        return found, attributes, any(isinstance(x, h5py.Dataset) and x.is_virtual for x in (f[n] for n in found))


first, attributes, _ = content(sys.argv[1])
for other in sys.argv[2:]:
    arrays, others, is_virtual = content(other)
    assert not is_virtual, f"{other} links to other files"
    assert attributes == others, f"{other}: {others}"
    assert first.keys() == arrays.keys(), f"{other}: {first.keys() ^ arrays.keys()}"
    for name, (dtype, values) in first.items():
        assert arrays[name] == (dtype, values), f"{other}: {name} differs"
print(f"{len(first)} arrays of {len(attributes)} columns are the same in {len(sys.argv) - 1} files")
