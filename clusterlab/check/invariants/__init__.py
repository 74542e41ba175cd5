"""Ready-made properties, one file a protocol.

They know the names of fields and notes, and import no protocol: a protocol of your own that uses
the same names is judged by the same properties.
"""
