#!/usr/bin/env python3
"""Put copies of a matrix on the diagonal: repeat-matrix.py IN.npz ENTRIES OUT.npz

As many as come nearest to so many entries. Matrices in collections are often too small for the time of a product to be measured.
"""
import sys

import scipy.sparse as sp

source, entries, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
matrix = sp.load_npz(source)
copies = max(1, round(entries / matrix.nnz))
sp.save_npz(target, sp.block_diag([matrix] * copies, format="csr"), compressed=False)
print(f"{target}: {copies} copies of {matrix.shape[0]} rows, {matrix.nnz / matrix.shape[0]:.1f} entries a row")
