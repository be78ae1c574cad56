"""How good a model is: metrics, probes, perturbations and pages for human raters.

metrics/    pure functions of answers       score       a number with its interval
runs/       asking, conditions, transfer    prediction  what was asked and answered, on disk
scoring     metrics by name                 report      JSON, rows, curves, tables; plots draws them
data        data sets by name               features    vectors of media: distances, retrieval
raters/     a blind page, and its votes
"""
