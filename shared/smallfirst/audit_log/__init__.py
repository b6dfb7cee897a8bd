"""The audit log: one record per result, in files where nothing changes or goes unseen.

A transparency log as C2SP's specifications describe it: `checkpoint`, a signed note that says how
many records there are and the root of their Merkle tree, and `tile/`, the tree and the records
themselves. So a verifier that is not ours reads it. Beside them lies what may be erased: `index`,
with the salt of each record.

Sources: https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note,
https://c2sp.org/tlog-proof, RFC 6962 section 2.1.
"""
