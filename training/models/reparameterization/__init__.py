"""The reparameterization encoder beta of Eq. 12 (Deng et al. 2024) and the blocks that it is compared with."""
