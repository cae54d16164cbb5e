"""Speed, memory and accuracy of streaming scalers, side by side.

``python -m benchmarks`` prints a table in a minute or two; asv keeps the history.
"""
