"""Summary statistics of the JSON list of numbers on standard input, as JSON."""

import json
import sys

import numpy as np

values = np.array(json.load(sys.stdin), dtype=float)
json.dump({"mean": values.mean(), "median": float(np.median(values)), "std": values.std()}, sys.stdout)
