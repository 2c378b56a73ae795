"""Named credentials: where a system is, how to authenticate there, and who may."""
