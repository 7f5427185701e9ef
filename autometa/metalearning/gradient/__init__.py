"""Meta-learners that adapt by gradient descent: MAML and its kin, Reptile, Meta-SGD."""
