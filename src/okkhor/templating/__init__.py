"""This repository as a template: a copy under another name, for another data set, with or without the reference task.

`naming` says which names will do, `renaming` how names and words change, `leaving_out` and `parts.yaml` what stays
behind and what is said otherwise, `copying` makes the copy. `own` holds files that every copy gets in place of this
repository's, `instead` those of a copy without the reference task.
"""
