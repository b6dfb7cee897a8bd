"""How strongly the regressions of heads are regularised, and how finely they are fitted."""

from typing import Final

from smallfirst.linear.regression import Search

#: On vectors of length 1 the best was 10 to 30 for thousands of examples and 100 to 300 for a dozen
#: a label (HEADLINES, BANKING77).
SEARCH: Final = Search((1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0), first=10.0)
#: Where fitting stops (largest slope of the loss): roughly while choosing, finely at last. Ten
#: times coarser at last cost half a point of accuracy on BANKING77.
CHOOSING_TOLERANCE, FINAL_TOLERANCE = 1e-4, 1e-5
