"""The tests that every datastore plugin passes, and what they are made of.

A plugin author writes one file: a class that derives from :class:`guestagent.conformance.datastore.Datastore`, and
``from guestagent.conformance.suite import *``. README.md beside this file shows one. No agent imports anything of it.
"""
