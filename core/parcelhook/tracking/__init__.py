"""How a parcel's progress becomes known: who is due, asking carriers, folding scans, telling Wix."""
