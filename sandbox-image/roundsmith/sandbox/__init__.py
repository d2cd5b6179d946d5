"""What runs beside untrusted programs: standard library only, started by exec, never imported by a
solver's program.

Three processes a slot. The **supervisor** talks to the server and to the children, in frames of the
strict codec. The **zygote** is a small, single-threaded interpreter that never sees a program, a
test or an answer: it forks. A **child** hardens itself and becomes a solver (runs the program) or a
tester (runs the asserts, calls the solver). `boot` starts a supervisor: beside the server, or in a
pod, where `pod` is process 1.
"""
