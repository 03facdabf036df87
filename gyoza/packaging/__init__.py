"""Version folders: a flow's files as a service takes them, written so that none is ever seen by half.

- ``gyoza.packaging.versions`` gives a version its folder, the next number of its model.
- ``gyoza.packaging.contents`` writes what lies beside ``flow.keras`` in it; importing it imports Keras.
- ``gyoza.packaging.golden`` records the golden vectors.
- ``gyoza.packaging.manifest`` writes ``flow.toml``.
"""

__all__: list[str] = []
