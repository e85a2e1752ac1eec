"""How fast it is: each row side by side with a peer in one run, told as a ratio.

``make bench`` prints the table and writes ``benchmarks/latest.json``. Absolute figures are those
of one machine; ratios carry over.
"""
