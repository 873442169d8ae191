"""The endpoint half of Homeostat: one program that decides and one that acts."""
