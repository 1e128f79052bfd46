# Tests of real servers, seen from outside.
