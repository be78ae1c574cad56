"""What the pocket model hears and feels with: small encoders of sounds and of solids, trained to tell them apart.

nets      the networks: samples or points to states            tasks     their training, on what is trained on alone
shipped   their weights in the package

They share no weights and no seeds with the judges that score what is made, and are trained on no held-out composition.
"""

from mmagent.pocket.encoders.shipped import digest, load

__all__ = ["digest", "load"]
