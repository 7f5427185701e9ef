"""Benchmarks of search: what a sampler, a pruner and a stopper that know other tasks are worth."""
