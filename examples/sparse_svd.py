"""
Principal components of sparse counts
=====================================

Principal components are the singular vectors of centred data, and centring fills every
zero of a sparse matrix. ``sparse_output="linear_operator"`` does not store the result:
it gives a ``LinearOperator`` whose products add what centring would have filled in, and
products are all that ``scipy.sparse.linalg.svds`` asks for. Here word counts of 2,000
documents, drawn from five topics and weighted as tf-idf does, are compared with a dense
PCA: explained variances, the angle between the two subspaces, and the memory.

Usage: ``python examples/sparse_svd.py``
"""

import numpy as np
from scipy.linalg import subspace_angles
from scipy.sparse.linalg import svds
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfTransformer

from skbn import BatchNormTransformer

generator = np.random.default_rng(0)
topics = generator.dirichlet(np.full(1000, 0.05), size=5)
shares = generator.dirichlet(np.full(5, 0.3), size=2000)
counts = generator.poisson(60 * shares @ topics)
X = TfidfTransformer(norm=None).fit_transform(counts)

scaler = BatchNormTransformer(sparse_output="linear_operator")
Z = scaler.fit_transform(X)
_, singular, components = svds(Z, k=4, random_state=0)
variances = np.sort(singular**2)[::-1] / (X.shape[0] - 1)

dense = BatchNormTransformer().fit_transform(X.toarray())
pca = PCA(4, svd_solver="full").fit(dense)
angle = np.degrees(subspace_angles(components.T, pca.components_.T).max())

stored = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
print(f"stored  {X.nnz / np.prod(X.shape):.1%} of {X.shape[0]} x {X.shape[1]} values")
print("variances, operator ", *(f"{v:9.4f}" for v in variances))
print("variances, dense PCA", *(f"{v:9.4f}" for v in pca.explained_variance_))
print(f"largest angle between the components: {angle:.0e} degrees")
print(f"memory  {stored / 2**20:.1f} MiB, dense {dense.nbytes / 2**20:.1f} MiB")
