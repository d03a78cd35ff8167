def apply(name, theirs, ours):
    return theirs, []
