"""Files: versioned JSON and `.npy` members in a zip, read without pickle or skeleton.

`tree.json` holds `{"format": "deepconstruct", "version": 2, "tree": ...}`, beside which `"parts"` are
the trees of the constructions that origins tell of, each before those that refer to it by its number
as `{"part": 0}`; `"stack"` the leading axes of the leaves of an ensemble; and `"finite"` whether all
weights are. What trees are made of is said in `construction/encoding.py`. A target of the user's own
is `{"target": name}`. Beside it `certificate.json` may hold a certificate of the construction:
`{"format": "deepconstruct certificate", "version": 1, "certificate": ...}`.
"""

from .loading import load as load, load_certificate as load_certificate
from .saving import save as save
