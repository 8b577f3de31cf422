"""Whether a set-up works: what ``perian-shim doctor`` looks at, and what to do if it does not.

``here`` looks at this machine, ``account`` asks Perian, ``store`` does with an object store what a
pod and a job do. Each yields findings; ``findings`` bounds them. Nothing is rented.
"""
