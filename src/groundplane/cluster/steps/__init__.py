"""What `up` does, a module per subject. Each step looks, does the difference, and says in a few words what it did.

Every step may be killed at any point and run again. `up` holds the order between them.
"""
