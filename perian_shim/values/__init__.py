"""Flyte's values without Python's types: literals to text and back, pure and without network.

In the resolver container a value is a ``Literal`` and its type a ``LiteralType``; the user's
classes do not exist there. ``literals`` writes literals as text and plain values, ``parsing`` reads
a job's text by the declared type, ``shapes`` says how an output lies on disk and refers to stored
files. Inputs are read as messages; outputs are made as *serialized* literals, see ``serialized``.
The other modules serve these.
"""
